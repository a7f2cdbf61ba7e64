"""What a kernel holds of a table, expression by expression, so that two kernels' can be laid side by side.

Only what differs by chance is taken out: the names of sets that rules bring along, and the order of elements.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

from testbed.datapaths.nftables.keys import NET
from testbed.datapaths.nftables.netlink.listing import Listing
from testbed.datapaths.nftables.netlink.requests import ANONYMOUS
from testbed.datapaths.nftables.netlink.transaction import Nftables
from testbed.machine.netlink import NETFILTER, attributes, walk
from testbed.machine.netns import Netns
from testbed.proxier.plan import Family

Facts = dict[str, Any]


@contextlib.contextmanager
def opened(node: Netns) -> Iterator[Nftables]:
    """A socket to the node's nf_tables."""
    kernel = Nftables(node.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER))
    try:
        yield kernel
    finally:
        kernel.close()


def facts(kernel: Nftables, family: Family, table: str) -> Facts:
    """Everything in the table."""
    listing = Listing(kernel, NET[family], table)
    sets = dict(listing.sets())
    members = {name: sorted(listing.elements(name)) for name in sets}
    unnamed = {name: (form, members[name]) for name, form in sets.items() if form.flags & ANONYMOUS}
    found: Facts = {f"chain {each.name}": each for each in listing.chains()}
    found |= {f"set {name}": (form, members[name]) for name, form in sets.items() if name not in unnamed}
    for rule in listing.rules():
        said = [_expression(content, unnamed) for _, content in walk(memoryview(rule.expressions))]
        found.setdefault(f"rules of {rule.chain}", []).append((said, rule.userdata))
    return found | {"table": listing.table()}


def _expression(content: memoryview, unnamed: dict[str, Any]) -> tuple[bytes, dict[int, Any]]:
    """Its name, and its attributes; of a lookup into a set without a name, that set."""
    found = attributes(content)
    has: dict[int, Any] = {kind: bytes(value) for kind, value in walk(found[2])} if 2 in found else {}
    if bytes(found[1]) == b"lookup\0":
        name = has[1].rstrip(b"\0").decode()
        has[1] = unnamed.get(name, name)
    return bytes(found[1]), has
