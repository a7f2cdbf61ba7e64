"""The objects of a lab instance, as a case brings them in, looks at them and takes them away again.

Knows the Kubernetes API's client; knows nothing of what becomes of an object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from testbed.errors import StatusError
from testbed.kube.client import Client, DeleteOptions
from testbed.kube.objects import KINDS, kind_named, load_text

Object = Mapping[str, Any]
Key = tuple[str, str, str]
"""Kind, namespace, name."""

NAMESPACE = "default"
AT_ONCE = DeleteOptions(grace_seconds=0)
# They tell of others' lives, and end by themselves.
PASSING = frozenset({"Event"})


class Objects:
    """Asked by the API of an instance; remembers what was applied."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._applied: dict[Key, None] = {}

    def apply(self, text: str) -> None:
        """Bring manifests in, all or none. Raises the errors that the instance answers with."""
        if text.strip():
            manifests = load_text(text, "case").manifests
            done = self._client.apply(manifests)
            self._applied |= dict.fromkeys((each["kind"], each["namespace"], each["name"]) for each in done)

    def delete(self, target: str) -> None:
        """Tell an object to end, as `service/web` names it. Raises NotFound."""
        word, _, name = target.partition("/")
        kind = kind_named(word)
        self._client.delete(kind, NAMESPACE if kind.namespaced else "", name)

    def list(self, kind: str) -> Sequence[Object]:
        """Every object of a kind."""
        return self._client.list(kind).items

    def everything(self) -> dict[Key, Object]:
        """What there is, with the labels that somebody may have changed."""
        return {
            (kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]): obj["metadata"].get(
                "labels", {}
            )
            for kind in KINDS
            if kind not in PASSING
            for obj in self.list(kind)
        }

    def delete_applied(self) -> None:
        """Tell all that was applied to end at once, what came last first."""
        there = self.everything()
        for kind, namespace, name in reversed([key for key in self._applied if key in there]):
            self._end(kind, namespace, name)
        self._applied.clear()

    def _end(self, kind: str, namespace: str, name: str) -> None:
        """One that was ending may be gone since it was seen: then there is nothing to do."""
        try:
            self._client.delete(kind, namespace, name, AT_ONCE)
        except StatusError as error:
            if error.reason != "NotFound":
                raise
