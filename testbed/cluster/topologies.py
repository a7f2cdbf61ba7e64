"""The cluster shapes that come along: the YAML files of the folder `topologies/`."""

from __future__ import annotations

from pathlib import Path

from testbed.errors import UsageError

FOLDER = Path(__file__).parents[2] / "topologies"


def names() -> list[str]:
    """What can be given to `--topology`."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def path(name: str) -> Path:
    """The file of a topology. Raises UsageError."""
    if name not in names():
        raise UsageError(f"no topology {name!r}; there are: {', '.join(names())}")
    return FOLDER / f"{name}.yaml"
