"""`get ipvs`: the virtual and real servers of the nodes' kernels, as rows and as JSON.

Knows the text of `ipvsadm -ln` (print_service_entry of ipvsadm 1.31), which the daemon's verb `show` begins with.
Knows nothing of how the kernel is asked.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from testbed.cli import common
from testbed.cli.table import table
from testbed.cluster.rpc import Client
from testbed.errors import NotFound, UsageError
from testbed.kube import client as kube

WORD = "ipvs"
_SERVER = re.compile(r"(?P<protocol>TCP|UDP|SCTP) +(?P<virtual>\S+:\d+) (?P<scheduler>\w+)(?P<flags>.*)")
_REAL = re.compile(
    r"  -> (?P<real>\S+:\d+) +(?P<forward>\w+) +(?P<weight>\d+) +(?P<active>\d+) +(?P<inactive>\d+)"
)
_PERSISTENT = re.compile(r"persistent (\d+)")
_COLUMNS = (
    "NODE",
    "PROTOCOL",
    "VIRTUAL SERVER",
    "SCHEDULER",
    "FLAGS",
    "REAL SERVER",
    "WEIGHT",
    "ACTIVE",
    "INACTIVE",
)
_WIDE = ("FORWARD", "SERVICE")

Server = dict[str, Any]


def get(arguments: argparse.Namespace) -> int:
    """Print what was asked for. Raises UsageError, NotFound."""
    if len(arguments.words) > 1 or arguments.output not in ("", "wide", "json"):
        raise UsageError(f"get {WORD}: takes no names, and -o is wide or json")
    node = "" if arguments.namespace == "default" else arguments.namespace
    with common.client(arguments.name) as client, common.api(arguments.name) as api:
        names = _services(api)
        found = [
            {"node": each, **server, "service": names.get((server["protocol"], server["virtual"]), "")}
            for each in _nodes(client, node)
            for server in parsed(client.call("show", node=each))
        ]
    if arguments.output == "json":
        common.print_json(found)
    else:
        print(text(found, wide=arguments.output == "wide"))
    return 0


def _nodes(client: Client, asked: str) -> list[str]:
    """The nodes whose datapath is IPVS. Raises NotFound if there is none, or not the one that was asked for."""
    agents = {agent["node"]: agent["datapath"] for agent in client.call("inspect")["agents"]}
    if asked and asked not in agents:
        raise NotFound(f"no node {asked!r}; there are: {', '.join(agents)}")
    found = [node for node, datapath in agents.items() if datapath == WORD and asked in ("", node)]
    if not found:
        used = ", ".join(sorted(set(agents.values()))) or "none"
        raise NotFound(f"no node has IPVS, their datapath is {used}; see: testbed datapath switch {WORD}")
    return found


def _services(api: kube.Client) -> dict[tuple[str, str], str]:
    """Whose cluster IP or load balancer address a virtual server has; node ports have no address of their own."""
    names = {}
    for service in api.list("Service", None).items:
        spec, status = service["spec"], service.get("status", {}).get("loadBalancer", {})
        ips = [*spec.get("clusterIPs", ()), *spec.get("externalIPs", ())]
        ips += [each["ip"] for each in status.get("ingress", ()) if "ip" in each]
        name = f"{service['metadata']['namespace']}/{service['metadata']['name']}"
        for port in spec.get("ports") or ():
            for ip in ips:
                place = f"[{ip}]:{port['port']}" if ":" in ip else f"{ip}:{port['port']}"
                names[port.get("protocol", "TCP"), place] = name
    return names


def parsed(shown: str) -> Iterator[Server]:
    """The virtual servers in what `show` says."""
    server: Server = {}
    for line in shown.splitlines():
        if match := _SERVER.match(line):
            if server:
                yield server
            server = _server(match)
        elif server and (match := _REAL.match(line)):
            server["realServers"].append(_real(match))
        elif server:
            break
    if server:
        yield server


def _server(match: re.Match[str]) -> Server:
    persistent = _PERSISTENT.search(match["flags"])
    return {
        "protocol": match["protocol"], "virtual": match["virtual"], "scheduler": match["scheduler"],
        "flags": match["flags"].strip(), "persistentSeconds": int(persistent[1]) if persistent else None,
        "realServers": [],
    }  # fmt: skip


def _real(match: re.Match[str]) -> dict[str, Any]:
    numbers = {name: int(match[name]) for name in ("weight", "active", "inactive")}
    return {"real": match["real"], "forward": match["forward"], **numbers}


def text(servers: Sequence[Mapping[str, Any]], *, wide: bool = False) -> str:
    """One line for each real server, and for each virtual server without any."""
    rows = [
        (server["node"], server["protocol"], server["virtual"], server["scheduler"], server["flags"],
         *_cells(real, server["service"], wide=wide))
        for server in servers
        for real in server["realServers"] or [None]
    ]  # fmt: skip
    return table((*_COLUMNS, *(_WIDE if wide else ())), rows)


def _cells(real: Mapping[str, Any] | None, service: str, *, wide: bool) -> Iterator[str]:
    for name in ("real", "weight", "active", "inactive", *(("forward",) if wide else ())):
        yield str(real[name]) if real else ""
    if wide:
        yield service
