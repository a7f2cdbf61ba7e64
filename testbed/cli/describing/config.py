"""The pages of ConfigMaps and Secrets; of a Secret only how long each value is (k8s.io/kubectl/pkg/describe)."""

from __future__ import annotations

import base64
import binascii

from testbed.cli.describing.page import Page
from testbed.cli.describing.parts import Object, events, head, marks
from testbed.kube.client import Client


def config_map(page: Page, obj: Object, client: Client) -> None:
    """Its entries in full."""
    head(page, obj)
    marks(page, obj)
    page.line("\nData\n====")
    for key, value in sorted((obj.get("data") or {}).items()):
        page.line(f"{key}:\n----\n{value}\n")
    page.line("\nBinaryData\n====")
    for key, value in sorted((obj.get("binaryData") or {}).items()):
        page.line(f"{key}: {_length(value)} bytes")
    page.line()
    events(page, obj, client)


def secret(page: Page, obj: Object, _: Client) -> None:
    """Its entries without their values."""
    head(page, obj)
    marks(page, obj)
    page.line(f"\nType:\t{obj.get('type', '')}")
    page.line("\nData\n====")
    for key, value in sorted((obj.get("data") or {}).items()):
        page.field(key, f"{_length(value)} bytes")


def _length(encoded: str) -> int:
    try:
        return len(base64.b64decode(encoded))
    except binascii.Error:
        return len(encoded)
