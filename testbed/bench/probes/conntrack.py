"""Connection tracking between runs: a flow that the kernel remembers is not new."""

from __future__ import annotations

from testbed.machine.netns import Netns


def flush(netns: Netns) -> None:
    """Forget every connection of a namespace (`conntrack -F`). Raises CommandFailed if it cannot run."""
    netns.run(["conntrack", "-F"])
