"""Where lab instances leave their records: one folder per instance, gone when the instance is.

Root: /run/testbed. An ordinary user: $XDG_RUNTIME_DIR/testbed, else a folder of the user's own in /tmp.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from testbed.errors import UsageError

DEFAULT_NAME = "testbed"
NAME_VARIABLE = (
    "TESTBED_NAME"  # the environment's word for which lab instance is meant, as KUBECONFIG is kubectl's
)
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


def default_name() -> str:
    """The lab instance that is meant when none is named."""
    return os.environ.get(NAME_VARIABLE) or DEFAULT_NAME


def root() -> Path:
    """The folder that holds a folder for each lab instance of this user."""
    if os.geteuid() == 0:
        return Path("/run/testbed")
    own = os.environ.get("XDG_RUNTIME_DIR")
    return Path(own) / "testbed" if own else Path(f"/tmp/testbed-{os.geteuid()}")


def instance_folder(name: str) -> Path:
    """The folder of one lab instance. Raises UsageError for a name that cannot be one."""
    if not NAME.fullmatch(name):
        raise UsageError(f"--name {name!r}: small letters, digits and '-', at most 40, e.g. 'lab-1'")
    return root() / name
