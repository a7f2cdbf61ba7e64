"""Files of /etc that are the sandbox's own, in a mount namespace that only this test has. Needs root."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REPLACE = "import sys; from pathlib import Path; from testbed.machine.mounts import replace; "
REPLACE += (
    "path = Path(sys.argv[1]); replace(path, 'ours'); print(path.read_text() if path.exists() else 'none')"
)
INSIDE = 'mount -t tmpfs none /run && exec "$@"'


def seen_inside(path: Path) -> str:
    """What the file reads once it is replaced."""
    argv = ["unshare", "--mount", "sh", "-c", INSIDE, "sh", sys.executable, "-c", REPLACE, str(path)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def link(tmp_path: Path) -> Path:
    return tmp_path / "resolv.conf"


def test_a_file_is_covered(link: Path) -> None:
    link.write_text("theirs")
    assert seen_inside(link) == "ours"
    assert link.read_text() == "theirs"


def test_what_a_link_leads_to_is_covered(link: Path, tmp_path: Path) -> None:
    target = tmp_path / "real"
    target.write_text("theirs")
    link.symlink_to(target)
    assert seen_inside(link) == "ours"
    assert target.read_text() == "theirs"


def test_a_link_into_run_leads_to_a_file(link: Path) -> None:
    target = Path("/run/no-such-resolver/stub-resolv.conf")
    link.symlink_to(target)
    assert seen_inside(link) == "ours"
    assert not target.parent.exists()


def test_a_link_to_nowhere_stays(link: Path, tmp_path: Path) -> None:
    link.symlink_to(tmp_path / "nothing")
    assert seen_inside(link) == "none"
    assert not (tmp_path / "nothing").exists()


def test_what_is_not_there_is_not_made(link: Path) -> None:
    assert seen_inside(link) == "none"
    assert not link.exists()
