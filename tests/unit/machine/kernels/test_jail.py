"""Which folders a guest may be given to write to."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.errors import UsageError
from testbed.machine.kernels.jail import shareable


def test_a_folder_is_shared_as_it_really_is(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert shareable([tmp_path / "link"]) == (tmp_path / "real",)


@pytest.mark.parametrize("path", ["/", "/proc", "/sys/kernel", "/dev/shm", "/run"])
def test_what_a_guest_has_of_its_own_is_not_shared(path: str) -> None:
    with pytest.raises(UsageError, match=f"share {path}: it cannot be"):
        shareable([Path(path)])


def test_a_link_to_such_a_folder_is_none_either(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/proc")
    with pytest.raises(UsageError, match="share /proc"):
        shareable([tmp_path / "link"])


def test_a_file_is_not_shared(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="no such folder"):
        shareable([tmp_path / "file"])
