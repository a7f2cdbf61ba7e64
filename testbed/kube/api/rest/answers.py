"""What a client accepts: whole objects, their metadata alone, or a table made for people.

    Accept: application/json;as=Table;v=v1;g=meta.k8s.io, application/json

Knows the header and the three forms. Knows no store.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.kube.api.rest import status
from testbed.kube.api.rest.message import JSON, Request
from testbed.kube.objects import Kind
from testbed.kube.store import Object

META = "meta.k8s.io/v1"
_FORMS = {
    "": "",
    "Table": "Table",
    "PartialObjectMetadata": "Partial",
    "PartialObjectMetadataList": "Partial",
}

Clock = Callable[[], datetime.datetime]


@dataclass(frozen=True, slots=True)
class View:
    """How objects of one kind are shown to one client: `form` is empty for whole ones, else Table or Partial."""

    kind: Kind
    form: str
    include: str
    now: Clock

    def one(self, obj: Object) -> Any:
        """A single object."""
        if self.form == "Table":
            version = obj["metadata"].get("resourceVersion", "")
            return self._table([obj], {"resourceVersion": version})
        return partial(obj) if self.form else obj

    def many(self, objects: Sequence[Object], metadata: Mapping[str, Any]) -> Any:
        """A list; `metadata` is the list's own."""
        if self.form == "Table":
            return self._table(objects, metadata)
        if self.form:
            whole = {"kind": "PartialObjectMetadataList", "apiVersion": META}
            return {**whole, "metadata": metadata, "items": [partial(obj) for obj in objects]}
        whole = {"kind": f"{self.kind.name}List", "apiVersion": self.kind.api_version}
        return {**whole, "metadata": metadata, "items": objects}

    def event(self, obj: Object, *, first: bool) -> Any:
        """An object of a watch; only the first table tells its columns."""
        shown = self.one(obj)
        if self.form == "Table" and not first:
            shown = {**shown, "columnDefinitions": None}
        return shown

    def _table(self, objects: Sequence[Object], metadata: Mapping[str, Any]) -> dict[str, Any]:
        from testbed.kube.api.tables import table  # here, since programs ask for whole objects

        return {**table(self.kind, objects, self.now(), self.include), "metadata": metadata}


def partial(obj: Object) -> dict[str, Any]:
    """A PartialObjectMetadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": META, "metadata": obj["metadata"]}


def view(kind: Kind, request: Request, now: Clock) -> View:
    """The first form of those accepted that is known here. Raises StatusError (406) if none is."""
    include = request.query.get("includeObject") or "Metadata"
    if include not in ("None", "Metadata", "Object"):
        raise status.bad_request(f'unrecognized includeObject value: "{include}"')
    for media, parameters in accepted(request.headers.get("accept", "")):
        known = media in (JSON, "application/*", "*/*")
        form = _FORMS.get(parameters.get("as", ""))
        right = form == "" or (parameters.get("g"), parameters.get("v")) == ("meta.k8s.io", "v1")
        if known and form is not None and right:
            return View(kind, form, include, now)
    raise status.not_acceptable([JSON])


def accepted(header: str) -> list[tuple[str, dict[str, str]]]:
    """The media types of an Accept header with their parameters, in their order. No header accepts all."""
    clauses = [[part.strip() for part in clause.split(";")] for clause in (header or "*/*").split(",")]
    return [
        (media.lower(), dict(part.partition("=")[::2] for part in parameters))
        for media, *parameters in clauses
        if media
    ]
