"""The labs that come along: the folders of `scenarios/labs/`."""

from __future__ import annotations

from pathlib import Path

from testbed.errors import UsageError
from testbed.scenario.lab.spec import FILE

FOLDER = Path(__file__).parents[3] / "scenarios" / "labs"


def names(folder: Path = FOLDER) -> list[str]:
    """The labs of a folder, by name."""
    return sorted(path.parent.name for path in folder.glob(f"*/{FILE}"))


def path(word: str, folder: Path = FOLDER) -> Path:
    """The folder of a lab, given by its name. Raises UsageError."""
    if word not in names(folder):
        raise UsageError(f"no lab {word!r}; there are: {', '.join(names(folder))}")
    return folder / word
