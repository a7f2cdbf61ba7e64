"""What is wrong with a case file: every mistake at once, with its line. The format is told in `case_file.py`."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

from testbed.errors import ManifestErrors, Mistake

FOLDER = Path(__file__).parents[1] / "cases"
CAST = FOLDER / "cast"

DESTINATION = re.compile(
    r"(?P<kind>service|nodePort|loadBalancer|externalIP|healthCheck|pod|node|address)"
    r"/(?P<name>[a-z0-9-]+|[0-9.]+|\[[0-9a-f:]+\])"
    r"(:(?P<port>[a-z0-9-]+))?(@(?P<via>[a-z0-9-]+)(?P<second>/secondary)?)?"
)

Place = tuple[str | int, ...]
"""A place in a case file, key by key."""


def checked(text: str, path: Path) -> dict[str, Any]:
    """The content of a case file that has no mistakes. Raises ManifestErrors with all that it has."""
    raw, tree = _yaml(text, path)
    wrong = [*_schema_mistakes(raw)] or [*_mistakes(raw)]
    if wrong:
        raise ManifestErrors([_mistake(path, tree, place, message) for place, message in wrong])
    found: dict[str, Any] = raw
    return found


def several(value: Any) -> list[Any]:
    """A list where one value or a list may be written."""
    return value if isinstance(value, list) else [value]


def _yaml(text: str, path: Path) -> tuple[Any, yaml.Node | None]:
    """The content, and the tree that knows the lines."""
    try:
        return yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ManifestErrors([Mistake(str(path), line, "", f"not YAML: {error.problem}")]) from error


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
    names: set[str] = set()
    for place, rows in _rows(raw):
        for number, row in enumerate(rows):
            for to in several(row["to"]):
                for message in _destination_mistakes(to, row, raw.get("secondary", ())):
                    yield (*place, number, "to"), message
            yield from (((*place, number, field), message) for field, message in _row_mistakes(row, names))
            names |= {row["name"]} if "name" in row else set()


def _rows(raw: Mapping[str, Any]) -> Iterator[tuple[Place, Sequence[Mapping[str, Any]]]]:
    yield ("packets",), raw["packets"]
    for number, step in enumerate(raw.get("then", ())):
        yield ("then", number, "packets"), step["packets"]


def _family(address: str) -> str:
    return "IPv6" if ":" in address else "IPv4"


def _row_mistakes(row: Mapping[str, Any], names: Collection[str]) -> Iterator[tuple[str, str]]:
    """What does not go together; `names` are those of the rows before."""
    echo, protocols = "ICMP" in several(row.get("protocol", "TCP")), several(row.get("protocol", "TCP"))
    expects = [row["expect"], *(each["expect"] for each in row.get("unlike", {}).values())]
    for expect in expects:
        if echo and not {"answered", "refused", "dropped", "untouched"} & expect.keys():
            yield (
                "expect",
                "an echo request is answered, refused, dropped or untouched: nobody tells who answers",
            )
        if not echo and "answered" in expect:
            yield "expect", "say which endpoints answer; `answered` is for protocol ICMP"
        if "within" in expect and not {"counts", "ranks"} & expect.keys():
            yield "expect", "`within` is about `counts` or `ranks`"
        since = expect.get("moved", {}).get("since")
        if since is not None and since not in names:
            yield "expect", f"no row before has `name: {since}`"
    if "hold" in row and protocols != ["TCP"]:
        yield "hold", "only TCP connections are held open"
    if "sources" in row and not all(sender.startswith("client/") for sender in several(row["from"])):
        yield "sources", "only a client has several addresses"


def _destination_mistakes(to: str, row: Mapping[str, Any], secondary: Sequence[str]) -> Iterator[str]:
    match = DESTINATION.fullmatch(to)
    if match is None:
        yield f"{to!r} is no destination; one is e.g. service/NAME:PORT or nodePort/NAME:PORT@NODE"
        return
    kind, port, via = match["kind"], match["port"], match["via"]
    outside = any(sender.startswith("client/") for sender in several(row["from"]))
    if kind in ("nodePort", "healthCheck") and not via:
        yield "a node port is somewhere: add @NODE"
    if kind in ("service", "loadBalancer", "externalIP", "address") and bool(via) != outside:
        yield "a client sends by way of a node: add @NODE" if outside else "@NODE is for clients outside"
    if kind in ("pod", "node") and (via or not (port or "").isdigit()):
        yield "a plain address is KIND/NAME:NUMBER"
    named = several(row.get("family", []))
    if kind == "address" and (not (port or "").isdigit() or named != [_family(match["name"])]):
        yield f"say `family: {_family(match['name'])}`, and ADDRESS:NUMBER"
    if match["second"] and (kind != "nodePort" or f"node/{via}" not in secondary):
        yield f"add `secondary: [node/{via}]`; only a node port is asked for there"
    if via == "localhost" and not all(sender.startswith("node/") for sender in several(row["from"])):
        yield "only a node has node ports on its loopback"
