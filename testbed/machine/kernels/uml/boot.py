"""The command line that boots a User Mode Linux kernel over this machine's files, and what its process 1 reads.

The kernel is an ordinary process: its memory is a file in its jail's private tmpfs, its console our standard error,
the wire its first serial line, on a socket that it inherits. It has no disk and no network device.
Knows the kernel's parameters (`linux --help`; Documentation/virt/uml/user_mode_linux_howto_64.rst); knows nothing
of what runs in the guest.
"""

from __future__ import annotations

import json
import shlex
import socket
from pathlib import Path

from testbed.machine.kernels.plan import SOURCES, Plan, init_argv
from testbed.machine.kernels.uml import find

WIRE = "/dev/ttyS0"
# Built-in drivers make devices of their own in every network namespace; modules that nobody uses do not.
NO_DEVICES = ("fb_tunnels=none", "dummy.numdummies=0")


def prepare(plan: Plan) -> list[str]:
    """Write what process 1 needs into the private folder; the command line."""
    settings = plan.private / "settings.json"
    modules = next(iter(find.STOCK_MODULES.glob("*")), "") if find.is_stock(plan.image.path) else ""
    told = {
        "shares": [str(path) for path in plan.shares],
        "hostname": socket.gethostname(),
        "modules": str(modules),
    }
    settings.write_text(json.dumps(told))
    # A script, since the kernel takes its command line apart at spaces.
    program = plan.private / "init"
    argv = shlex.join(init_argv(WIRE, str(settings)))
    program.write_text(f"#!/bin/sh\nPYTHONPATH={shlex.quote(str(SOURCES))} exec {argv}\n")
    program.chmod(0o700)
    return argv_of(plan, program)


def argv_of(plan: Plan, program: Path) -> list[str]:
    """The command line; `program` is process 1."""
    return [
        str(plan.image.path), f"mem={plan.memory}M", "quiet",
        "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", f"init={program}",
        "con=null", "con0=null,fd:2", "ssl=null", f"ssl0=fd:{plan.wire}",
        f"uml_dir={plan.private}", "umid=guest", *NO_DEVICES,
    ]  # fmt: skip
