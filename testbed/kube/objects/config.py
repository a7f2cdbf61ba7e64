"""Rules for ConfigMaps and Secrets that their schemas cannot say (pkg/apis/core/validation).

Knows keys, sizes and the types of Secrets. Knows nothing of who reads them.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

from testbed.kube.objects.fields import FieldError, FieldErrors, invalid, required
from testbed.kube.objects.source import child

_MAX_BYTES = 1024 * 1024  # core MaxSecretSize; a ConfigMap's is the same
_MAX_KEY = 253
_NEEDED_KEYS: Mapping[str, tuple[str, ...]] = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_TOKEN_TYPE, _ACCOUNT = "kubernetes.io/service-account-token", "kubernetes.io/service-account.name"

Part = Mapping[str, Any]


def config_map_errors(body: Part) -> FieldErrors:
    """The mistakes in a ConfigMap (`ValidateConfigMap`)."""
    texts, blobs = body.get("data", {}), body.get("binaryData", {})
    for field, values in (("data", texts), ("binaryData", blobs)):
        yield from _keys(field, values)
    for key in sorted(texts.keys() & blobs.keys()):
        yield invalid(child("data", key), key, "duplicate of key present in binaryData")
    sizes = [len(text.encode(errors="replace")) for text in texts.values()]
    yield from _blobs("binaryData", blobs, sum(sizes), "")


def secret_errors(body: Part) -> FieldErrors:
    """The mistakes in a defaulted Secret (`ValidateSecret`)."""
    data, kind = body.get("data", {}), body["type"]
    yield from _keys("data", data)
    yield from _blobs("data", data, 0, "for a plain text use stringData")
    for key in _NEEDED_KEYS.get(kind, ()):
        if key not in data:
            yield required(child("data", key), hint=f"a Secret of type {kind} has it")
    if kind == "kubernetes.io/basic-auth" and not data.keys() & {"username", "password"}:
        yield required("data.username", hint="a Secret of this type has data.username, data.password or both")
    if kind == _TOKEN_TYPE and not body["metadata"].get("annotations", {}).get(_ACCOUNT):
        yield required(child("metadata.annotations", _ACCOUNT))


def config_map_key(key: str) -> str:
    """What is wrong with a key, in Kubernetes' words (`IsConfigMapKey`); empty if nothing is."""
    if len(key) > _MAX_KEY:
        return f"must be no more than {_MAX_KEY} characters"
    if not re.fullmatch("[-._a-zA-Z0-9]+", key):
        return (
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' "
            "(e.g. 'key.name', or 'KEY_NAME', or 'key-name')"
        )
    if key == ".":
        return "must not be '.'"
    return "must not be '..'" if key == ".." else "must not start with '..'" if key.startswith("..") else ""


def _keys(field: str, values: Part) -> FieldErrors:
    for key in values:
        wrong = config_map_key(key)
        if wrong:
            yield invalid(child(field, key), key, wrong)


def _blobs(field: str, blobs: Mapping[str, str], size: int, hint: str) -> Iterator[FieldError]:
    """Each value is base64, and all together with `size` bytes of others are not too much."""
    for key, text in blobs.items():
        try:
            size += len(base64.b64decode(text.replace("\n", ""), validate=True))
        except (binascii.Error, ValueError):
            yield FieldError(child(field, key), "Invalid value: illegal base64 data", hint)
    if size > _MAX_BYTES:
        yield FieldError(field, f"Too long: may not be more than {_MAX_BYTES} bytes")
