"""Whole objects as text: JSON, YAML, names. Several objects are a List, as kubectl prints them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from testbed.cli.resources.selection import qualified
from testbed.kube.objects import KINDS

Object = Mapping[str, Any]


def as_list(objects: Sequence[Object]) -> Object:
    """A v1 List."""
    return {"apiVersion": "v1", "items": list(objects), "kind": "List", "metadata": {"resourceVersion": ""}}


def as_json(value: Any) -> str:
    """As `kubectl -o json`: four blanks, keys in order."""
    return json.dumps(value, indent=4, sort_keys=True, ensure_ascii=False)


def as_yaml(value: Any) -> str:
    """As `kubectl -o yaml`: keys in order, texts of several lines as such; no line end at the end."""
    import yaml  # here, since a table does not need it

    class Dumper(yaml.CSafeDumper):
        """With literal blocks."""

    def literal(dumper: yaml.CSafeDumper, text: str) -> yaml.Node:
        style = "|" if "\n" in text else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)

    Dumper.add_representer(str, literal)
    text: str = yaml.dump(value, Dumper=Dumper, default_flow_style=False, allow_unicode=True, width=1 << 20)
    return text.rstrip("\n")


def as_name(obj: Object) -> str:
    """`pod/web-1`, `deployment.apps/web`."""
    return f"{qualified(KINDS[obj['kind']])}/{obj['metadata']['name']}"
