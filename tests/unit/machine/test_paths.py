"""Names of lab instances, which become names of folders."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.errors import UsageError
from testbed.machine import paths


@pytest.mark.parametrize("name", ["a", "testbed", "lab-1", "0", "x" * 40])
def test_a_good_name_is_a_folder(name: str) -> None:
    assert paths.instance_folder(name) == paths.root() / name


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a_b", "a.b", "..", "a/b", "ä", "x" * 41, "a\n"])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="small letters, digits and '-', at most 40"):
        paths.instance_folder(name)


@given(st.text(max_size=50))
def test_whatever_comes_no_folder_lies_elsewhere(name: str) -> None:
    try:
        folder = paths.instance_folder(name)
    except UsageError:
        return
    assert folder.parent == paths.root()
    assert folder.resolve().parent == paths.root().resolve()
