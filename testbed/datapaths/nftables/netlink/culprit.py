"""Which object a refused request was about, read from the request itself: nothing is kept for it beforehand.

Pure. Knows requests as bytes, and the place that the kernel points at (NLMSGERR_ATTR_OFFS of linux/netlink.h).
"""

from __future__ import annotations

from testbed.datapaths.nftables.netlink import requests
from testbed.machine.netlink import ATTRIBUTE, GENERIC, HEADER, attributes, walk

VERBS = {
    requests.NEW_TABLE: "table",
    requests.DELETE_TABLE: "deleting table",
    requests.NEW_CHAIN: "chain",
    requests.DELETE_CHAIN: "deleting chain",
    requests.NEW_RULE: "rule of chain",
    requests.DELETE_RULE: "flushing chain",
    requests.NEW_SET: "set",
    requests.DELETE_SET: "deleting set",
    requests.NEW_ELEMENTS: "element of set",
    requests.DELETE_ELEMENTS: "deleting an element of set",
}
NAME_OF = {requests.NEW_CHAIN: 3, requests.DELETE_CHAIN: 3}  # NFTA_CHAIN_NAME; other kinds of objects have 2
OF_TABLE = (requests.NEW_TABLE, requests.DELETE_TABLE)
OF_ELEMENTS = (requests.NEW_ELEMENTS, requests.DELETE_ELEMENTS)


def named(request: bytes, offset: int | None = None) -> str:
    """The object in words, e.g. `chain services of table kube-proxy`; the element that `offset` points at."""
    kind = HEADER.unpack_from(request)[1] & 0xFF
    found = attributes(memoryview(request)[HEADER.size + GENERIC.size :])
    table = _name(found.get(1))
    if kind in OF_TABLE:
        return f"{VERBS[kind]} {table}"
    if kind == requests.DELETE_RULE and 2 not in found:
        return f"flushing all chains of table {table}"
    name = _name(found.get(NAME_OF.get(kind, 2)))
    which = f" ({_element(request, offset)})" if kind in OF_ELEMENTS and offset else ""
    return f"{VERBS.get(kind, f'request {kind}')} {name or 'without a name'} of table {table}{which}"


def _name(value: memoryview | None) -> str:
    return bytes(value).rstrip(b"\0").decode() if value is not None else ""


def _element(request: bytes, offset: int) -> str:
    """Its key in hexadecimal, and its comment if it has one."""
    length, _ = ATTRIBUTE.unpack_from(request, offset)
    found = attributes(memoryview(request)[offset + ATTRIBUTE.size : offset + length])
    key = next((bytes(value).hex() for _, value in walk(found.get(1, memoryview(b"")))), "without a key")
    comment = bytes(found.get(6, b""))[2:].rstrip(b"\0").decode(errors="replace")
    return f"{key} {comment}".rstrip()
