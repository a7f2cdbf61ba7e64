"""Mininet's command line on a running lab instance: `python -m testbed.cluster.shell SOCKET`, inside its sandbox.

The daemon is asked what stands where, and a Mininet is built of the namespaces that are there: nothing is made,
and nothing but shells ends at the end. Knows Mininet's CLI and the network's description; knows no objects.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mininet.cli import CLI
from mininet.log import lg

from testbed.cluster.lean import LeanNet
from testbed.cluster.rpc import Client


def net_of(network: Mapping[str, Any]) -> LeanNet:
    """A Mininet of what `inspect` tells of the network."""
    net = LeanNet()
    net.addSwitch(network["switch"])
    for place in (*network["nodes"], *network["clients"]):
        net.plug(
            place["netns"],
            place["device"],
            network["switch"],
            place["switchDevice"],
            f"{place['addresses'][0]}/{place['prefixLengths'][0]}",
        )
    for pod in (pod for pod in network["pods"] if pod["nodeDevice"]):  # the others are in their nodes
        address = f"{pod['addresses'][0]}/{pod['prefixLengths'][0]}"
        net.plug(pod["netns"], pod["device"], pod["node"], pod["nodeDevice"], address)
    return net


class Shell(CLI):  # type: ignore[misc]
    """Mininet's CLI where hosts may be called `default_web-1`; in `py` that one is `default_web_1`, too.

    `script` is None at a terminal; else the commands, which are run to the end or to `exit`.
    """

    identchars = CLI.identchars + "-."

    def __init__(self, net: LeanNet, script: Sequence[str] | None) -> None:
        self._script = script
        if script is None:
            super().__init__(net)
            return
        # While a command runs, Mininet hands it whatever can be read: here, that must not be the next commands.
        reading, writing = os.pipe()
        with os.fdopen(reading) as silent, os.fdopen(writing, "w"):
            super().__init__(net, stdin=silent)

    def run(self) -> None:
        """The loop at a terminal; without one, one command after the other."""
        if self._script is None:
            super().run()
            return
        for line in self._script:
            if self.onecmd(self.precmd(line.strip())):
                break

    def initReadline(self) -> None:  # noqa: N802  Mininet's name
        """A history is kept for people, not for scripts."""
        if self._script is None:
            super().initReadline()

    def getLocals(self) -> dict[str, Any]:  # noqa: N802  Mininet's name
        """What `py` knows: every host by its name, and by that name as Python can spell it."""
        known: dict[str, Any] = super().getLocals()
        known.update({name.translate(str.maketrans("-.", "__")): node for name, node in self.mn.items()})
        return known


def main() -> None:
    """Serve the terminal or the standard input until its end."""
    with Client(Path(sys.argv[1])) as client:
        network = client.call("inspect")["network"]
    net = net_of(network)
    lg.ch.setStream(sys.stdout)  # Mininet's log is how its CLI speaks; errors and answers go the same way
    try:
        Shell(net, None if sys.stdin.isatty() else sys.stdin.readlines())
    finally:
        for node in net.values():
            node.terminate()


if __name__ == "__main__":
    main()
