"""A small routed network for tests: client ─ router ─ servers, each a network namespace, joined by veths.

    client 10.244.0.2 ── router ──┬── server0 10.244.1.2
           eth0                   └── server1 10.244.2.2      IPv6: fd00:10:244:N::2

The router's side of every link has the MAC ee:ee:ee:ee:ee:ee, as a pod's gateway has.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyroute2 import IPRoute

from testbed.bench.probes.path import Endpoint
from testbed.bench.probes.path import Path as ProbePath
from testbed.machine import netns
from testbed.machine.netns import Netns

GATEWAY = "ee:ee:ee:ee:ee:ee"
SERVICE = "10.96.0.10"
SERVICE6 = "fd00:10:96::10"
PORT, TARGET = 80, 8080


@dataclass(frozen=True)
class Routed:
    """The namespaces, and the addresses in them by IP version."""

    client: Netns
    router: Netns
    servers: tuple[Netns, ...]

    def address(self, host: int, version: int = 4) -> str:
        """Host 0 is the client, host N the server N - 1."""
        return f"10.244.{host}.2" if version == 4 else f"fd00:10:244:{host}::2"

    def path(self, destination: str, port: int, protocol: str = "UDP", sink: bool = True) -> ProbePath:
        """From the client to `destination` (a service or a server), with a tap at every server."""
        version = 6 if ":" in destination else 4
        ends = tuple(
            Endpoint(server.name, "eth0", self.address(host, version), TARGET if sink else 0)
            for host, server in enumerate(self.servers, 1)
        )
        return ProbePath(
            netns=self.client.name, device="eth0", source=self.address(0, version), next_hop_mac=GATEWAY,
            destination=destination, port=port, protocol=protocol, endpoints=ends,
            folder=str(self.client.path.parent),
        )  # fmt: skip

    def rules(self, text: str, version: int = 4) -> None:
        """Load rules into the router."""
        command = "iptables-restore" if version == 4 else "ip6tables-restore"
        self.router.run([command, "--noflush", "--wait"], stdin=text)

    def service(self) -> None:
        """A Service by iptables as kube-proxy spells it: even odds over the servers, for both protocols."""
        for version, address in ((4, SERVICE), (6, SERVICE6)):
            rules = [
                f"-A PREROUTING -d {address} -p {protocol} --dport {PORT} -m statistic --mode random "
                f"--probability {1 / (len(self.servers) - index):.9f} -j DNAT --to-destination {target}"
                for protocol in ("udp", "tcp")
                for index, target in enumerate(self._targets(version))
            ]
            self.rules("\n".join(["*nat", *rules, "COMMIT", ""]), version)

    def _targets(self, version: int) -> list[str]:
        hosts = range(1, len(self.servers) + 1)
        if version == 4:
            return [f"{self.address(host)}:{TARGET}" for host in hosts]
        return [f"[{self.address(host, 6)}]:{TARGET}" for host in hosts]


@contextlib.contextmanager
def routed(folder: Path, servers: int = 1) -> Iterator[Routed]:
    """Make the network in namespaces named in `folder`; nothing of it is left afterwards."""
    names = ["client", "router", *(f"server{number}" for number in range(servers))]
    spaces = netns.create(names, folder=folder)
    try:
        net = Routed(spaces[0], spaces[1], tuple(spaces[2:]))
        for host, space in enumerate((net.client, *net.servers)):
            _link(net.router, space, host)
        with net.router.entered():
            for family in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
                Path(f"/proc/sys/net/{family}").write_text("1")
        yield net
    finally:
        for space in spaces:
            netns.delete(space)


def _link(router: Netns, space: Netns, host: int) -> None:
    """Join a namespace to the router: addresses, default routes and fixed neighbours on both sides."""
    with space.entered(), IPRoute() as inside, open(router.path) as there:
        peer = {"ifname": f"veth{host}", "address": GATEWAY, "net_ns_fd": there.fileno()}
        inside.link("add", ifname="eth0", kind="veth", address=_mac(host), peer=peer)
        _configure(inside, "eth0", host, 2, GATEWAY)
    with router.entered(), IPRoute() as outside:
        _configure(outside, f"veth{host}", host, 1, _mac(host))
    with space.entered(), IPRoute() as inside:
        for gateway in (f"10.244.{host}.1", f"fd00:10:244:{host}::1"):
            inside.route("add", dst="default" if "." in gateway else "::/0", gateway=gateway)


def _configure(route: IPRoute, device: str, host: int, end: int, neighbour_mac: str) -> None:
    """Addresses of one end of a link, and its neighbour's."""
    index = route.link_lookup(ifname=device)[0]
    route.link("set", index=route.link_lookup(ifname="lo")[0], state="up")
    route.link("set", index=index, state="up")
    for prefix, length in ((f"10.244.{host}.", 24), (f"fd00:10:244:{host}::", 64)):
        route.addr("add", index=index, address=f"{prefix}{end}", prefixlen=length, flags=0x02)
        route.neigh("add", dst=f"{prefix}{3 - end}", lladdr=neighbour_mac, ifindex=index, state=0x80)


def _mac(host: int) -> str:
    return f"02:00:00:00:00:{host:02x}"


def open_descriptors() -> int:
    """How many descriptors this process has open: tests show that they close theirs."""
    return len(list(Path("/proc/self/fd").iterdir()))
