"""Mininet without its price: hosts that start no shell until someone needs one, links that run no command.

Stock Mininet starts a shell per host and about ten commands per link (benchmarks/bench_bringup.py tells what that
costs). Here a host is a named namespace (`/run/netns/NAME`), a link is two names, and `machine.links` lays the wire
over netlink. What people use Mininet for is kept: names, `cmd`, `popen`, links, the CLI. Besides this file only
`shell.py` imports Mininet, for its CLI.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

if sys.version_info < (3, 12):
    # Mininet compares two versions with distutils. setuptools puts its own copy, which takes 0.1 s to import,
    # in front of Python's; without that, Python's own is found.
    with suppress(ImportError):
        import _distutils_hack  # type: ignore[import-untyped]

        _distutils_hack.remove_shim()

from mininet.link import Intf, Link
from mininet.net import Mininet
from mininet.node import Host, Switch

from testbed.machine.netns import Netns

# Importing Mininet makes every later logger one of its kind, which writes each line twice, once without an end.
logging.setLoggerClass(logging.Logger)

# Mininet's own initialisation raises host-wide limits by sysctl; a lab instance changes nothing outside.
Mininet.inited = True


class _OnDemand:
    """The shell of a node: started by the first command, in the node's namespace."""

    netns: Netns | None = None
    shell: Any = None

    def startShell(self, mnopts: str | None = None) -> None:  # noqa: N802  Mininet's name
        """Called by Mininet's constructor: not yet."""

    def sendCmd(self, *args: Any, **kwargs: Any) -> None:  # noqa: N802  Mininet's name
        """Start the shell if there is none, then do as Mininet does."""
        self._need_shell()
        super().sendCmd(*args, **kwargs)  # type: ignore[misc]

    def cmd(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command in the node and return its output."""
        self._need_shell()
        return super().cmd(*args, **kwargs)  # type: ignore[misc]

    def popen(self, *args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        """Start a program in the node; no shell is needed for it."""
        prefix = ["ip", "netns", "exec", self.netns.name] if self.netns else ["env"]
        started: subprocess.Popen[bytes] = super().popen(*args, mncmd=prefix, **kwargs)  # type: ignore[misc]
        return started

    def _need_shell(self) -> None:
        if self.shell is not None:
            return
        start = super().startShell  # type: ignore[misc]
        if self.netns is None:
            start()
        else:
            self.netns.call(start)

    def deleteIntfs(self, checkName: bool = True) -> None:  # noqa: N802, N803  Mininet's names
        """Devices go with their namespace, or by netlink; never by a shell."""


class LeanHost(_OnDemand, Host):  # type: ignore[misc]
    """A node, a pod or a client: a named network namespace."""

    def __init__(self, name: str, netns: Netns | None = None, **params: Any) -> None:
        self.netns = netns or Netns(name)
        # Mininet would move interfaces and unshare by itself; the namespace exists already.
        super().__init__(name, inNamespace=False, **params)

    @classmethod
    def setup(cls) -> None:
        """Nothing: Mininet looks for ifconfig here, which is not used."""


class LeanSwitch(_OnDemand, Switch):  # type: ignore[misc]
    """A Linux bridge in the sandbox's own namespace, made by `machine.links`."""

    def __init__(self, name: str, **params: Any) -> None:
        # As one in a namespace, or Mininet would start a shell to bring up the sandbox's `lo`.
        super().__init__(name, **{**params, "inNamespace": True})
        self.inNamespace = False

    def start(self, controllers: Sequence[Any]) -> None:
        """Nothing: the bridge forwards from the moment it is made."""

    @classmethod
    def setup(cls) -> None:
        """Nothing to look for."""


class LeanIntf(Intf):  # type: ignore[misc]
    """A device's name, MAC and address, for Mininet's views; configured elsewhere."""

    def config(self, mac: str | None = None, ip: str | None = None, **_params: Any) -> dict[str, Any]:
        """Remember, do nothing."""
        self.mac = mac
        if ip:
            self.ip, self.prefixLen = ip.split("/")
        return {}

    def updateIP(self) -> str | None:  # noqa: N802  Mininet's name
        """The address, which Mininet would ask ifconfig for."""
        address: str | None = self.ip
        return address


class LeanLink(Link):  # type: ignore[misc]
    """Two device names that belong together."""

    def __init__(self, node1: Any, node2: Any, **params: Any) -> None:
        super().__init__(node1, node2, **{**params, "intf": LeanIntf})

    @classmethod
    def makeIntfPair(cls, *names: Any, **_params: Any) -> tuple[str, str]:  # noqa: N802  Mininet's name
        """Nothing is made here."""
        return names[0], names[1]


class LeanNet(Mininet):  # type: ignore[misc]
    """A Mininet of named namespaces. Adding to it costs microseconds and starts nothing."""

    def __init__(self) -> None:
        super().__init__(
            host=LeanHost, switch=LeanSwitch, link=LeanLink, intf=LeanIntf, controller=None, build=False
        )
        self.built = True

    def plug(self, name: str, device: str, peer: str, peer_device: str, address: str) -> LeanHost:
        """Add a host `name` whose `device` with `address` (`ip/length`) is linked to `peer`'s `peer_device`."""
        host: LeanHost = self.addHost(name, ip=address)
        params = {"ip": address}
        self.addLink(name, peer, intfName1=device, intfName2=peer_device, params1=params)
        return host

    def unplug(self, name: str) -> None:
        """Forget a host and its links."""
        host = self.nameToNode[name]
        for link in [intf.link for intf in host.intfList()]:
            link.intf1.node.delIntf(link.intf1)
            link.intf2.node.delIntf(link.intf2)
            self.links.remove(link)
        self.delHost(host)
