"""What a request asks for, spelt as a URL: paths of resources, selectors, options of logs. Pure.

Knows the API's conventions (kubernetes.io/docs/reference/using-api). Whatever a name holds, it stays within its
part of the path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from testbed.errors import UsageError
from testbed.kube.objects import Kind

_IN_NO_SEGMENT = ("/", "%")


@dataclass(frozen=True, slots=True)
class Query:
    """Which objects of a kind: label and field selectors in kubectl's notation, empty for all.

    `version` is the resourceVersion from which a watch goes on; empty for what is there now.
    """

    labels: str = ""
    fields: str = ""
    version: str = ""

    def parameters(self) -> dict[str, str]:
        """As parameters of the API."""
        told = {"labelSelector": self.labels, "fieldSelector": self.fields, "resourceVersion": self.version}
        return {name: value for name, value in told.items() if value}


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """How an object ends: `grace_seconds` instead of its own; what depends on it goes by `propagation`
    (Background, Foreground or Orphan); or nothing happens at all (`dry_run`).
    """

    grace_seconds: int | None = None
    propagation: str = "Background"
    dry_run: bool = False

    def body(self) -> dict[str, Any]:
        """As the API's DeleteOptions."""
        body: dict[str, Any] = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": self.propagation,
        }
        if self.grace_seconds is not None:
            body["gracePeriodSeconds"] = self.grace_seconds
        return body | ({"dryRun": ["All"]} if self.dry_run else {})


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Which part of a container's log (core/v1 PodLogOptions); None and empty texts stand for all.

    `tail` counts lines, `limit` bytes; `since_time` is RFC 3339.
    """

    container: str = ""
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail: int | None = None
    since_seconds: int | None = None
    since_time: str = ""
    limit: int | None = None

    def parameters(self) -> dict[str, str]:
        """As parameters of the API."""
        flags = {"follow": self.follow, "previous": self.previous, "timestamps": self.timestamps}
        numbers = {"tailLines": self.tail, "sinceSeconds": self.since_seconds, "limitBytes": self.limit}
        texts = {"container": self.container, "sinceTime": self.since_time}
        return (
            {name: text for name, text in texts.items() if text}
            | {name: "true" for name, on in flags.items() if on}
            | {name: str(number) for name, number in numbers.items() if number is not None}
        )


def resource_path(kind: Kind, namespace: str | None, name: str = "", subresource: str = "") -> str:
    """The path of a collection or, with `name`, of one object. `namespace` None means all of them.

    Raises UsageError for a name that cannot be a part of a path (`IsValidPathSegmentName` in kubectl).
    """
    prefix = "/apis" if "/" in kind.api_version else "/api"
    parts = [prefix, kind.api_version]
    if kind.namespaced and namespace is not None:
        parts += ["namespaces", segment(namespace, "namespace")]
    parts.append(kind.plural)
    if name:
        parts.append(segment(name, "resource name"))
    return "/".join([*parts, subresource] if subresource else parts)


def segment(text: str, what: str) -> str:
    """A name, escaped as one part of a path. Raises UsageError if it is empty, a dot, dots or has a slash."""
    if not text:
        raise UsageError(f"{what} may not be empty")
    if text in (".", ".."):
        raise UsageError(f"invalid {what} \"{text}\": [may not be '{text}']")
    wrong = [f"may not contain '{letter}'" for letter in _IN_NO_SEGMENT if letter in text]
    if wrong:
        raise UsageError(f'invalid {what} "{text}": [{", ".join(wrong)}]')
    # Bytes of a command line that are no UTF-8 are surrogates in Python; they go as the bytes that they were.
    return quote(text.encode("utf-8", "surrogateescape"), safe="")


def with_parameters(path: str, parameters: dict[str, str]) -> str:
    """The path with its query."""
    encoded = {name: value.encode("utf-8", "surrogateescape") for name, value in parameters.items()}
    return f"{path}?{urlencode(encoded)}" if parameters else path
