"""How the parts of an object merge: the patch extensions of Kubernetes' own schemas.

Knows x-kubernetes-patch-strategy, -patch-merge-key and -list-map-keys. Knows no objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from testbed.kube.objects.schema import schema_of


@dataclass(frozen=True, slots=True)
class Shape:
    """One place of a kind's schema; an unknown place has an empty `part`, and is replaced as a whole."""

    root: Mapping[str, Any]
    part: Mapping[str, Any]

    @classmethod
    def of(cls, kind: str) -> Shape:
        """The shape of a whole object."""
        root = schema_of(kind)
        return cls(root, root)

    def field(self, name: str) -> Shape:
        """The shape of a field."""
        there = self._followed()
        part = there.get("properties", {}).get(name) or there.get("additionalProperties")
        return Shape(self.root, part if isinstance(part, Mapping) else {})

    def item(self) -> Shape:
        """The shape of each item of a list."""
        return Shape(self.root, self._followed().get("items", {}))

    @property
    def strategies(self) -> frozenset[str]:
        """`merge`, `replace`, `retainKeys`; none means that a list is replaced and a map merged."""
        return frozenset(self.part.get("x-kubernetes-patch-strategy", "").split(",")) - {""}

    @property
    def merge_key(self) -> str:
        """The field that tells the items of a list apart in a strategic merge patch."""
        return str(self.part.get("x-kubernetes-patch-merge-key", ""))

    @property
    def map_keys(self) -> tuple[str, ...]:
        """The fields that tell them apart for good (server-side apply's); else the merge key."""
        keys = self.part.get("x-kubernetes-list-map-keys") or filter(None, [self.merge_key])
        return tuple(keys)

    @property
    def default(self) -> Any:
        """What an absent field stands for."""
        return self._followed().get("default")

    def _followed(self) -> Mapping[str, Any]:
        part = self.part
        while "$ref" in part:
            part = self.root["$defs"][part["$ref"].rsplit("/", 1)[1]]
        return part
