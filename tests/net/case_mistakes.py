"""What is wrong with a case file: every mistake at once, with its line. The format is told in `case_file.py`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

from testbed.errors import ManifestErrors, Mistake

FOLDER = Path(__file__).parents[1] / "cases"
CAST = FOLDER / "cast"

DESTINATION = re.compile(
    r"(?P<kind>service|nodePort|loadBalancer|externalIP|healthCheck|pod|node)/(?P<name>[a-z0-9-]+)"
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
    for place, rows in _rows(raw):
        for number, row in enumerate(rows):
            for message in _destination_mistakes(row, raw.get("secondary", ())):
                yield (*place, number, "to"), message


def _rows(raw: Mapping[str, Any]) -> Iterator[tuple[Place, Sequence[Mapping[str, Any]]]]:
    yield ("packets",), raw["packets"]
    for number, step in enumerate(raw.get("then", ())):
        yield ("then", number, "packets"), step["packets"]


def _destination_mistakes(row: Mapping[str, Any], secondary: Sequence[str]) -> Iterator[str]:
    match = DESTINATION.fullmatch(row["to"])
    if match is None:
        yield f"{row['to']!r} is no destination; one is e.g. service/NAME:PORT or nodePort/NAME:PORT@NODE"
        return
    kind, port, via = match["kind"], match["port"], match["via"]
    outside = any(sender.startswith("client/") for sender in several(row["from"]))
    if kind in ("nodePort", "healthCheck") and not via:
        yield "a node port is somewhere: add @NODE"
    if kind in ("service", "loadBalancer", "externalIP") and bool(via) != outside:
        yield "a client sends by way of a node: add @NODE" if outside else "@NODE is for clients outside"
    if kind in ("pod", "node") and (via or not (port or "").isdigit()):
        yield "a plain address is KIND/NAME:NUMBER"
    if match["second"] and (kind != "nodePort" or f"node/{via}" not in secondary):
        yield f"add `secondary: [node/{via}]`; only a node port is asked for there"
    if via == "localhost" and not all(sender.startswith("node/") for sender in several(row["from"])):
        yield "only a node has node ports on its loopback"
