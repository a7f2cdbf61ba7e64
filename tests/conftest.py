"""What all tests share: marks by folder, a check of TESTBED_REQUIRE, and how hypothesis behaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from testbed.errors import UsageError
from tests.require import required

HERE = Path(__file__).parent
MARKS = {"kernel": "kernel", "net": "kernel", "browser": "browser"}

# No deadline: the machine is shared. No database: tests leave nothing. In CI always the same
# examples, so that a red run speaks of the change and not of luck.
settings.register_profile("testbed", deadline=None, database=None, derandomize="CI" in os.environ)
settings.load_profile("testbed")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse an unknown feature name before any test runs, rather than require nothing."""
    try:
        required()
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of whole folders, so that `make check` can leave them out without naming them."""
    for item in items:
        if item.path.is_relative_to(HERE):
            mark = MARKS.get(item.path.relative_to(HERE).parts[0])
            if mark:
                item.add_marker(mark)
