"""The format of a packet case: YAML in, frozen records out, every mistake at once.

    title: what is shown, in a sentence
    features: [affinity]           # what a datapath must offer beyond the basics (Datapath.features)
    nodes: 2                       # 2 unless given; always dual-stack, always client1 and client2 outside
    cast: [web, callers]           # files of tests/cases/cast/: pods that many cases share
    manifests: |                   # Kubernetes YAML; $(pod/web-1), $(client/client1:IPv6): its address
      ...
    packets:                       # lists in from, protocol, family: one packet for each combination
    - {from: pod/caller-1, to: "service/web:http", expect: {endpoints: [pod/web-1, "pod/web-2:8080"]}}
    - {from: client/client1, to: nodePort/web@node2, protocol: [TCP, UDP], expect: {refused: true}}
    then:                          # further steps, each: something changes, then packets
    - {apply: ..., delete: [service/web], unready: [pod/slow-1], packets: [...]}

`unready` names pods of a step that will not become ready: nobody waits for that. Both families and TCP are
meant where a packet says nothing else. Destinations:

    service/NAME[:PORT][@NODE]       its cluster IP; a client sends it by way of NODE
    nodePort/NAME[:PORT]@NODE        its node port on NODE's address
    loadBalancer/NAME[:PORT][@NODE]  its load-balancer IP; a client sends it by way of NODE
    externalIP/NAME[:PORT][@NODE]    its first external IP of the family, likewise
    pod/NAME:PORT, node/NAME:PORT    the plain address

PORT is the name or number of a service port, and may be left out where the Service has one for the
protocol. Outcomes: `endpoints` (every one of them answers, nothing else does; with `affinity: kept` always
the same one of them, with `spread: even` in equal shares), `refused` (TCP reset or ICMP port unreachable),
`dropped` (silence). `sourceSeen` is whose address the endpoint sees; `sender` means the sender's own.

Knows no datapath and no lab: a case is text about Services and packets.
"""

from __future__ import annotations

import enum
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

from testbed.errors import ManifestErrors, Mistake

FOLDER = Path(__file__).parents[1] / "cases"
CAST = FOLDER / "cast"
FAMILIES = ("IPv4", "IPv6")
MISS = 1e-7  # probability that an even choice never takes one of the endpoints, with the count chosen here

DESTINATION = re.compile(
    r"(?P<kind>service|nodePort|loadBalancer|externalIP|pod|node)/(?P<name>[a-z0-9-]+)"
    r"(:(?P<port>[a-z0-9-]+))?(@(?P<via>[a-z0-9-]+))?"
)


class Outcome(enum.StrEnum):
    """What becomes of a packet, as its sender sees it."""

    ANSWERED = "answered"
    REFUSED = "refused"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Host:
    """Somebody with a network namespace: a pod, a node, or a client outside."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def netns(self) -> str:
        """The name of its network namespace (docs/architecture.md)."""
        return f"default_{self.name}" if self.kind == "pod" else self.name


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a packet is sent; `port` is a service port's name or number, empty where there is only one."""

    kind: str
    name: str
    port: str = ""
    via: str = ""

    def __str__(self) -> str:
        port, via = f":{self.port}" if self.port else "", f"@{self.via}" if self.via else ""
        return f"{self.kind}/{self.name}{port}{via}"


@dataclass(frozen=True, slots=True)
class Expect:
    """What must become of a packet. `endpoints` are pods, each with or without a port."""

    outcome: Outcome
    endpoints: tuple[str, ...] = ()
    source: str = ""
    even: bool = False
    affinity: bool = False


@dataclass(frozen=True, slots=True)
class Packet:
    """`count` packets (connections, for TCP) from one sender to one destination, each a new flow."""

    sender: Host
    destination: Destination
    protocol: str
    family: str
    count: int
    expect: Expect

    def __str__(self) -> str:
        times = f" x {self.count}" if self.count > 1 else ""
        return f"{self.sender} -> {self.destination} {self.protocol} {self.family}{times}"


@dataclass(frozen=True, slots=True)
class Step:
    """Something changes, then packets are sent. The first step of a case deletes nothing."""

    apply: str
    delete: tuple[str, ...]
    unready: tuple[str, ...]
    packets: tuple[Packet, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One case file."""

    path: Path
    title: str
    features: frozenset[str]
    nodes: int
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return (
            str(self.path.relative_to(FOLDER).with_suffix(""))
            if FOLDER in self.path.parents
            else self.path.stem
        )

    @property
    def slug(self) -> str:
        """The case's name as a Kubernetes name."""
        return str(self).replace("/", "-")


def case_files(folder: Path = FOLDER) -> tuple[Path, ...]:
    """Every case file, sorted; the cast is none."""
    return tuple(sorted(path for path in folder.glob("*/*.yaml") if path.parent.name != CAST.name))


def load(path: Path) -> Case:
    """Read a case. Raises ManifestErrors with everything that is wrong with it."""
    return parse(path.read_text(), path)


def parse(text: str, path: Path) -> Case:
    """Read a case from text; `path` names it. Raises ManifestErrors."""
    raw, tree = _yaml(text, path)
    wrong = [*_schema_mistakes(raw)] or [*_mistakes(raw)]
    if wrong:
        raise ManifestErrors([_mistake(path, tree, place, message) for place, message in wrong])
    cast = [(CAST / f"{name}.yaml").read_text() for name in raw.get("cast", ())]
    first = Step("\n---\n".join([*cast, raw.get("manifests", "")]), (), (), _packets(raw["packets"]))
    steps = (first, *map(_step, raw.get("then", ())))
    families = {packet.family for step in steps for packet in step.packets}
    features = frozenset(raw.get("features", ())) | ({"ipv6"} if "IPv6" in families else frozenset())
    return Case(path, raw["title"], features, raw.get("nodes", 2), steps)


def _step(raw: Mapping[str, Any]) -> Step:
    delete, unready = tuple(raw.get("delete", ())), tuple(raw.get("unready", ()))
    return Step(raw.get("apply", ""), delete, unready, _packets(raw["packets"]))


def _yaml(text: str, path: Path) -> tuple[Any, yaml.Node | None]:
    """The content, and the tree that knows the lines."""
    try:
        return yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ManifestErrors([Mistake(str(path), line, "", f"not YAML: {error.problem}")]) from error


Place = tuple[str | int, ...]
"""A place in a case file, key by key."""


def _mistake(path: Path, tree: yaml.Node | None, place: Place, message: str) -> Mistake:
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return Mistake(str(path), _line(tree, place), field.lstrip("."), message)


def _line(node: yaml.Node | None, place: Place) -> int:
    """The line of a place in the file, or of the nearest thing around it; counts from 1."""
    if node is None:
        return 1
    inner: yaml.Node | None = None
    if place and isinstance(node, yaml.SequenceNode) and isinstance(place[0], int):
        inner = node.value[place[0]]
    elif place and isinstance(node, yaml.MappingNode):
        inner = next((value for key, value in node.value if key.value == place[0]), None)
    return _line(inner, place[1:]) if inner is not None else node.start_mark.line + 1


def _schema_mistakes(raw: Any) -> Iterator[tuple[Place, str]]:
    schema = json.loads(Path(__file__).with_name("case.schema.json").read_text())
    for error in jsonschema_rs.validator_for(schema).iter_errors(raw):
        yield tuple(error.instance_path), error.message


def _mistakes(raw: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """What a schema cannot say: destinations, and names of cast files."""
    for number, name in enumerate(raw.get("cast", ())):
        if not (CAST / f"{name}.yaml").is_file():
            yield ("cast", number), f"no file {name}.yaml in {CAST.name}/"
    for place, rows in _rows(raw):
        for number, row in enumerate(rows):
            for message in _destination_mistakes(row):
                yield (*place, number, "to"), message


def _rows(raw: Mapping[str, Any]) -> Iterator[tuple[Place, Sequence[Mapping[str, Any]]]]:
    yield ("packets",), raw["packets"]
    for number, step in enumerate(raw.get("then", ())):
        yield ("then", number, "packets"), step["packets"]


def _destination_mistakes(row: Mapping[str, Any]) -> Iterator[str]:
    match = DESTINATION.fullmatch(row["to"])
    if match is None:
        yield f"{row['to']!r} is no destination; one is e.g. service/NAME:PORT or nodePort/NAME:PORT@NODE"
        return
    kind, port, via = match["kind"], match["port"], match["via"]
    outside = any(sender.startswith("client/") for sender in _several(row["from"]))
    if kind == "nodePort" and not via:
        yield "a node port is somewhere: add @NODE"
    if kind in ("service", "loadBalancer", "externalIP") and bool(via) != outside:
        yield "a client sends by way of a node: add @NODE" if outside else "@NODE is for clients outside"
    if kind in ("pod", "node") and (via or not (port or "").isdigit()):
        yield "a plain address is KIND/NAME:NUMBER"


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _packets(rows: Sequence[Mapping[str, Any]]) -> tuple[Packet, ...]:
    return tuple(packet for row in rows for packet in _expanded(row))


def _expanded(row: Mapping[str, Any]) -> Iterator[Packet]:
    """One packet for each sender, protocol and family of a row."""
    match = DESTINATION.fullmatch(row["to"])
    assert match is not None, "parse() lets only destinations through"
    destination = Destination(match["kind"], match["name"], match["port"] or "", match["via"] or "")
    expect = _expect(row["expect"])
    count = row.get("count", default_count(len(expect.endpoints)))
    protocols, families = _several(row.get("protocol", "TCP")), _several(row.get("family", list(FAMILIES)))
    for sender, protocol, family in itertools.product(_several(row["from"]), protocols, families):
        yield Packet(Host(*sender.split("/")), destination, protocol, family, count, expect)


def _expect(raw: Mapping[str, Any]) -> Expect:
    outcome = next((Outcome(name) for name in ("refused", "dropped") if name in raw), Outcome.ANSWERED)
    endpoints = tuple(sorted(raw.get("endpoints", ())))
    return Expect(outcome, endpoints, raw.get("sourceSeen", ""), "spread" in raw, "affinity" in raw)


def default_count(endpoints: int) -> int:
    """Packets after which an even choice has taken every endpoint, but for a chance of MISS.

    The chance that one of k is never taken in n tries is at most k (1 - 1/k)^n (union bound).
    """
    if endpoints < 2:
        return 1
    return math.ceil(math.log(MISS / endpoints) / math.log(1 - 1 / endpoints))
