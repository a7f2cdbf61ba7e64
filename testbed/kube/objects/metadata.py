"""Rules for metadata, which every kind shares (apimachinery `ValidateObjectMeta`).

Knows names, labels and annotations. Knows nothing of what a kind has besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from testbed.kube.objects.fields import FieldError, FieldErrors, forbidden, invalid, required
from testbed.kube.objects.kinds import Kind
from testbed.kube.objects.names import (
    NameRule,
    dns_1035_label,
    dns_label,
    dns_subdomain,
    labels,
    named,
    qualified_name,
)
from testbed.kube.objects.source import child

_NAME_RULES: Mapping[str, NameRule] = {
    "Service": dns_1035_label,
    "Namespace": dns_label,
    "Cluster": dns_label,
}
_ANNOTATION_BYTES = 256 * 1024  # apimachinery TotalAnnotationSizeLimitB


def metadata_errors(body: Mapping[str, Any], kind: Kind) -> FieldErrors:
    """The mistakes in an object's metadata."""
    metadata = body.get("metadata", {})
    name = metadata.get("name", "")
    if name:
        yield from named("metadata.name", name, _NAME_RULES.get(kind.name, dns_subdomain))
    else:
        yield _nameless(metadata)
    namespace = metadata.get("namespace", "")
    if namespace and not kind.namespaced:
        yield forbidden("metadata.namespace", "not allowed on this type", f"a {kind.name} is in no namespace")
    elif namespace:
        yield from named("metadata.namespace", namespace, dns_label)
    yield from label_and_annotation_errors("metadata", metadata)


def _nameless(metadata: Mapping[str, Any]) -> FieldError:
    hint = (
        "generateName alone does not do here: objects are applied by name"
        if "generateName" in metadata
        else ""
    )
    return required("metadata.name", "name is required", hint)


def label_and_annotation_errors(path: str, metadata: Mapping[str, Any]) -> FieldErrors:
    """The mistakes in labels and annotations, of an object or of a pod template."""
    yield from labels(f"{path}.labels", metadata.get("labels", {}))
    annotations = metadata.get("annotations", {})
    for key in annotations:
        wrong = qualified_name(key.lower())
        if wrong:
            yield invalid(child(f"{path}.annotations", key), key, wrong)
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > _ANNOTATION_BYTES:
        yield FieldError(f"{path}.annotations", f"Too long: may not be more than {_ANNOTATION_BYTES} bytes")
