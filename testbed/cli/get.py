"""`testbed get`: objects, in kubectl's columns."""

from __future__ import annotations

import argparse
import datetime
from typing import Any

from testbed.cli import common
from testbed.cli.columns import COLUMNS, Object
from testbed.cli.table import table
from testbed.kube.api.tables.duration import human_duration as age
from testbed.kube.objects import kind_named


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("get", help="show objects", description=__doc__)
    common.add_name(parser)
    common.add_output(parser, "json", "yaml", "name", "wide")
    parser.add_argument("-n", "--namespace", default="default")
    parser.add_argument("-A", "--all-namespaces", action="store_true")
    parser.add_argument("kind", metavar="KIND")
    parser.add_argument("object", nargs="?", metavar="NAME")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the objects of a kind, or one."""
    word, object_name = arguments.kind, arguments.object
    if "/" in word and object_name is None:
        word, object_name = common.split_target(word)
    kind = kind_named(word)
    everywhere = arguments.all_namespaces or not kind.namespaced
    with common.client(arguments.name) as client:
        namespace = None if everywhere else arguments.namespace
        found = client.call("get", kind=kind.name, namespace=namespace, name=object_name)
    if arguments.output in ("json", "yaml"):
        _print_whole(found, one=object_name is not None, as_yaml=arguments.output == "yaml")
    elif arguments.output == "name":
        print("\n".join(f"{kind.singular}/{obj['metadata']['name']}" for obj in found))
    elif not found:
        print(
            f"No resources found in {arguments.namespace} namespace."
            if not everywhere
            else "No resources found"
        )
    else:
        print(_table(kind.name, found, namespaces=arguments.all_namespaces and kind.namespaced))
    return 0


def _print_whole(found: list[Object], *, one: bool, as_yaml: bool) -> None:
    value: Any = found[0] if one else {"apiVersion": "v1", "kind": "List", "items": found}
    if as_yaml:
        import yaml  # here, since the table does not need it

        print(yaml.safe_dump(value, sort_keys=False), end="")
    else:
        common.print_json(value)


def _table(kind: str, found: list[Object], *, namespaces: bool) -> str:
    header, row = COLUMNS.get(kind, ((), lambda _: ()))
    lines = [(obj["metadata"]["name"], *row(obj), _age(obj)) for obj in found]
    names = ("NAME", *header, "AGE")
    if namespaces:
        return table(
            ("NAMESPACE", *names),
            [(o["metadata"]["namespace"], *li) for o, li in zip(found, lines, strict=True)],
        )
    return table(names, lines)


def _age(obj: Object) -> str:
    created = datetime.datetime.fromisoformat(obj["metadata"]["creationTimestamp"])
    return age((datetime.datetime.now(datetime.UTC) - created).total_seconds())
