"""Finds the datapath folders. No list to edit: a folder here with a `datapath` callable is one."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from testbed.datapaths.contract import Datapath, DatapathOptions
from testbed.errors import TestbedError, UsageError


def names() -> tuple[str, ...]:
    """The datapaths that this installation has, sorted."""
    here = Path(__file__).parent
    return tuple(sorted(p.name for p in here.iterdir() if (p / "__init__.py").is_file()))


def choices(name: str) -> tuple[DatapathOptions, ...]:
    """The option sets under which a datapath is a thing of its own (its CHOICES), at least the empty one."""
    _known(name)
    made: tuple[DatapathOptions, ...] = getattr(_module(name), "CHOICES", ({},))
    return made


def load(name: str, options: DatapathOptions | None = None) -> Datapath:
    """The datapath called `name`, set up with `options`.

    Raises UsageError for a name that no folder has, and TestbedError for a folder that breaks the contract:
    a broken folder stops the program loudly rather than being passed over.
    """
    _known(name)
    module = _module(name)
    if not callable(getattr(module, "datapath", None)):
        raise TestbedError(f"testbed/datapaths/{name}/__init__.py offers no callable datapath(options)")
    made: Datapath = module.datapath(options or {})
    lacking = [m for m in Datapath.__annotations__ | _methods() if not hasattr(made, m)]
    if lacking:
        raise TestbedError(f"datapath {name!r} lacks {', '.join(lacking)}")
    return made


def _methods() -> dict[str, None]:
    return dict.fromkeys(
        name for name, member in vars(Datapath).items() if callable(member) and name[0] != "_"
    )


def _known(name: str) -> None:
    if name not in names():
        raise UsageError(f"no datapath {name!r}; there are: {', '.join(names())}")


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"testbed.datapaths.{name}")
