"""The format of a packet case: YAML in, frozen records out, every mistake at once.

    title: what is shown, in a sentence
    e2e: should be able to ...     # the Kubernetes end-to-end test, or tests, that this re-enacts
    features: [affinity]           # what a datapath must offer beyond the basics (Datapath.features)
    cluster: {nodes: [...], kubeProxy: {masqueradeAll: true}}   # where the Cluster document differs (see arms.py)
    secondary: [node/node1]        # nodes that have a second address of each family
    cast: [web, callers]           # files of tests/cases/cast/: pods that many cases share
    manifests: |                   # Kubernetes YAML; $(pod/web-1), $(client/client1:IPv6): its address
      ...
    packets:                       # lists in from, protocol, family: one packet for each combination
    - {from: pod/caller-1, to: "service/web:http", expect: {endpoints: [pod/web-1, "pod/web-2:8080"]}}
    - {from: client/client1, to: nodePort/web@node2, protocol: [TCP, UDP], expect: {refused: true}}
    then:                          # further steps, each: something changes, then packets
    - {apply: ..., delete: [service/web], unready: [pod/slow-1], packets: [...]}

What a step can do besides `apply` and `delete`, in this order:

    rejected: TEXT           what it applies is refused with a message that has this in it; nothing changes
    lose: [node/node1]       the node's kernel loses all that was programmed; wait until it is there again
    resync: [node/node1]     the node's agent begins anew, as after a restart, with the old rules in place

Nobody waits for pods that are named as `unready` (they run and do not become ready) or `ended` (they end).
Both families and TCP are meant where a packet says nothing else. Destinations:

    service/NAME[:PORT][@NODE]       its cluster IP; a client sends it by way of NODE
    nodePort/NAME[:PORT]@NODE        its node port on NODE's address; on NODE/secondary's; @localhost: on loopback
    loadBalancer/NAME[:PORT][@NODE]  its load-balancer IP; a client sends it by way of NODE
    externalIP/NAME[:PORT][@NODE]    its first external IP of the family, likewise
    healthCheck/NAME@NODE            its health-check node port on NODE's address
    pod/NAME:PORT, node/NAME:PORT    the plain address
    address/ADDRESS:PORT[@NODE]      an address that may be nobody's, e.g. address/[fd00::1]:80

PORT is the name or number of a service port, and may be left out where the Service has one for the
protocol, and with protocol ICMP, an echo request. What is sent: one line, or with `bytes: N` as much, or with `get:
PATH` an HTTP request; from the same port each time with `sourcePort: N`; `count` times, with `every: SECONDS` not
faster than that. A client takes N addresses in turn with `sources: N`. TCP connections stay open, until the case
ends, with `hold: true`. `to` may be a list, too.

Outcomes: `endpoints` (every one of them answers, nothing else does; with `affinity: kept` always
the same one of them, with `affinity: expires` sooner or later another one, with `spread: even` in equal shares),
`counts` (`{pod/web-1: 6, pod/web-2: 2}`: so many each), `answered` (by whoever, to an echo request),
`refused` (TCP reset or ICMP port unreachable), `dropped` (silence), `untouched` (left alone, so it goes to the
network's router, who knows no way: silence or an error of routing), `status` (of HTTP, with `localEndpoints`
what the body says). `sourceSeen` is whose address the endpoint sees; `sender` means the sender's own.

With `endpoints` also, for what a scheduler does; not every endpoint need answer then:

    ranks: [5, 3]              the busiest gets 5, the next 3, whichever they are; with `within: 1` one more or less
    sticks: source             each address of a sender meets one endpoint, and not all the same; or `destination`
    moved: {since: N, most: 0.1}   at most that share of the flows meets another endpoint now than in the row before
                               that has `name: N`; whose endpoint then is not among `endpoints` now does not count

Where kube-proxy's modes differ by design, a row says so for each datapath, with the reason and its source:

    unlike: {nftables: {expect: {refused: true}, because: "KEP-3866: ..."}}

Knows no datapath and no lab: a case is text about Services and packets.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.net.case import Case, Destination, Expect, Host, Outcome, Packet, Step, Unlike
from tests.net.case_mistakes import CAST, DESTINATION, FOLDER, checked, several

FAMILIES = ("IPv4", "IPv6")
MISS = 1e-7  # probability that an even choice never takes one of the endpoints, with the count chosen here


def case_files(folder: Path = FOLDER) -> tuple[Path, ...]:
    """Every case file, sorted; the cast is none."""
    return tuple(sorted(path for path in folder.glob("*/*.yaml") if path.parent.name != CAST.name))


def load(path: Path) -> Case:
    """Read a case. Raises ManifestErrors with everything that is wrong with it."""
    return parse(path.read_text(), path)


def parse(text: str, path: Path) -> Case:
    """Read a case from text; `path` names it. Raises ManifestErrors."""
    raw = checked(text, path)
    cast = [(CAST / f"{name}.yaml").read_text() for name in raw.get("cast", ())]
    given = "\n---\n".join([*cast, raw.get("manifests", "")])
    steps = (_step({**raw, "apply": given}), *map(_step, raw.get("then", ())))
    families = {packet.family for step in steps for packet in step.packets}
    return Case(
        name=str(path.relative_to(FOLDER).with_suffix("")) if FOLDER in path.parents else path.stem,
        title=raw["title"],
        e2e=tuple(several(raw.get("e2e", []))),
        features=frozenset(raw.get("features", ())) | ({"ipv6"} if "IPv6" in families else frozenset()),
        cluster=raw.get("cluster", {}),
        secondary=tuple(Host(*text.split("/")) for text in raw.get("secondary", ())),
        steps=steps,
    )


def _step(raw: Mapping[str, Any]) -> Step:
    return Step(
        apply=raw.get("apply", ""),
        delete=tuple(raw.get("delete", ())),
        rejected=raw.get("rejected", ""),
        lose=tuple(node.removeprefix("node/") for node in raw.get("lose", ())),
        resync=tuple(node.removeprefix("node/") for node in raw.get("resync", ())),
        unready=tuple(raw.get("unready", ())),
        ended=tuple(raw.get("ended", ())),
        packets=_packets(raw["packets"]),
    )


def _packets(rows: Sequence[Mapping[str, Any]]) -> tuple[Packet, ...]:
    return tuple(packet for number, row in enumerate(rows) for packet in _expanded(number, row))


def _expanded(number: int, row: Mapping[str, Any]) -> Iterator[Packet]:
    """One packet for each sender, destination, protocol and family of a row."""
    expect = _expect(row["expect"])
    unlike = {name: _unlike(raw, row) for name, raw in row.get("unlike", {}).items()}
    content = {name: row[key] for key, name in _CONTENT.items() if key in row}
    count = row.get("count") or _count(expect)
    protocols, families = several(row.get("protocol", "TCP")), several(row.get("family", list(FAMILIES)))
    ways = itertools.product(several(row["from"]), several(row["to"]), protocols, families)
    for sender, to, protocol, family in ways:
        place = Host(*sender.split("/")), _destination(to)
        yield Packet(*place, protocol, family, count, expect, row=number, unlike=unlike, **content)


def _unlike(raw: Mapping[str, Any], row: Mapping[str, Any]) -> Unlike:
    """With as many packets as it takes to see this, which may be fewer: one refusal says it all."""
    expect = _expect(raw["expect"])
    return Unlike(expect, raw["because"], raw.get("count") or row.get("count") or _count(expect))


def _destination(text: str) -> Destination:
    match = DESTINATION.fullmatch(text)
    assert match is not None, "checked() lets only destinations through"
    return Destination(**{name: part or "" for name, part in match.groupdict().items()})


_CONTENT = {
    "bytes": "size",
    "get": "path",
    "sourcePort": "source_port",
    "every": "every",
    "sources": "sources",
    "hold": "hold",
    "name": "name",
}


def _count(expect: Expect) -> int:
    """How often a packet is sent where its row does not say."""
    told = sum(count for _, count in expect.counts) or sum(expect.ranks)
    return told or default_count(len(expect.endpoints))


def _expect(raw: Mapping[str, Any]) -> Expect:
    outcome = next(
        (Outcome(name) for name in ("refused", "dropped", "untouched") if name in raw), Outcome.ANSWERED
    )
    counts = tuple(sorted(raw.get("counts", {}).items()))
    return Expect(
        outcome,
        endpoints=tuple(sorted(raw.get("endpoints", ()))) or tuple(pod for pod, _ in counts),
        source=raw.get("sourceSeen", ""),
        even="spread" in raw,
        affinity=raw.get("affinity", ""),
        status=raw.get("status", 0),
        local_endpoints=raw.get("localEndpoints"),
        counts=counts,
        ranks=tuple(raw.get("ranks", ())),
        within=raw.get("within", 0),
        sticks=raw.get("sticks", ""),
        moved=raw.get("moved", {}).get("most", 1.0),
        since=raw.get("moved", {}).get("since", ""),
    )


def default_count(endpoints: int) -> int:
    """Packets after which an even choice has taken every endpoint, but for a chance of MISS.

    The chance that one of k is never taken in n tries is at most k (1 - 1/k)^n (union bound).
    """
    if endpoints < 2:
        return 1
    return math.ceil(math.log(MISS / endpoints) / math.log(1 - 1 / endpoints))
