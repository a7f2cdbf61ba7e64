"""Sets without a name: the ones that a rule brings along (`numgen … map { … }`, `ip saddr { … }`). Pure.

They go with their rule, and the kernel lets nobody change them once a rule looks into them (NFT_SET_CONSTANT). So
a name that tells their content tells what they hold: `name` makes such names, and who reads a table back need not
read each set where that is what was expected. What nft writes of each was seen with `nft --debug=mnl`, nft 1.0.6;
it joins networks that touch, marks where each range ends, and begins with an end at address zero (src/segtree.c).
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass

from testbed.datapaths.nftables.keys import (
    ADDRESS,
    BYTES,
    DATA_EXPRESSION,
    DATA_INTERVAL,
    DATA_ORDER,
    HOST_ORDER,
    KEY_EXPRESSION,
    KEY_ORDER,
    MERGE,
    NETWORK_ORDER,
    PAYLOAD_EXPRESSION,
    UNKNOWN_ORDER,
    VERDICT_EXPRESSION,
    filled,
    joined,
    order,
    part_bytes,
    told_by,
)
from testbed.datapaths.nftables.model import DnatToAny, Field, GotoAny, KeyType, MatchesAny, Statement
from testbed.datapaths.nftables.netlink.expressions import GOTO, VALUE, host, verdict_data
from testbed.datapaths.nftables.netlink.requests import (
    ANONYMOUS,
    CONSTANT,
    ENDS_INTERVAL,
    INTERVAL,
    MAP,
    TO_VERDICTS,
    SetForm,
    element,
    note,
)
from testbed.machine.netlink import attribute
from testbed.proxier.plan import Family, IPNetwork

INTEGER, INTEGER_BYTES = 4, 4  # nft's number of the type that `numgen` draws
UNENDED = order(1, 1)  # user data of an element: NFTNL_UDATA_SET_ELEM_FLAGS, SET_ELEM_F_INTERVAL_OPEN
HEADER_NUMBER = {Family.IPV4: 12, Family.IPV6: 13}  # enum proto_desc_id
FIELD_NUMBER = {  # enum iphdr_field, enum ip6hdr_field
    (Family.IPV4, Field.SADDR): 11,
    (Family.IPV4, Field.DADDR): 12,
    (Family.IPV6, Field.SADDR): 8,
    (Family.IPV6, Field.DADDR): 9,
}


@dataclass(frozen=True, slots=True)
class Unnamed:
    """A set as it is made, and its elements."""

    form: SetForm
    elements: tuple[bytes, ...]


def brought_by(family: Family, statement: Statement) -> Unnamed | None:
    """The set that a statement looks into, if it brings one."""
    if isinstance(statement, DnatToAny):
        return _destinations(family, statement)
    if isinstance(statement, GotoAny):
        return _chains(statement)
    if isinstance(statement, MatchesAny):
        return _networks(family, statement)
    return None


def name(own: Unnamed) -> str:
    """A name for a set: what its content is, and what no other set was ever called.

    The kernel would look for a free number itself (`__map%d`), by reading the names of all sets with sscanf.
    """
    return f"__{digest(own)}.{_PROCESS}{next(_UNIQUE)}"


def digest(own: Unnamed) -> str:
    """16 hexadecimal digits that tell sets of different content apart."""
    return hashlib.blake2b(b"".join(own.elements), digest_size=8).hexdigest()


def told(called: str) -> str:
    """The digest in a name; of a set that was not named here, something that no digest is."""
    return called[2:].partition(".")[0]


_PROCESS = f"{os.getpid():x}.{os.urandom(4).hex()}."
_UNIQUE = itertools.count()


def _destinations(family: Family, statement: DnatToAny) -> Unnamed:
    kind, size = joined((ADDRESS[family], KeyType.PORT))
    elements = tuple(
        element(host(n), attribute(VALUE, address.packed + filled(port.to_bytes(2, "big"))))
        for n, (address, port) in enumerate(statement.endpoints)
    )
    return Unnamed(_drawn(kind, size, len(elements)), elements)


def _chains(statement: GotoAny) -> Unnamed:
    elements = tuple(element(host(n), verdict_data(GOTO, chain)) for n, chain in enumerate(statement.chains))
    return Unnamed(_drawn(TO_VERDICTS, 0, len(elements)), elements)


def _drawn(data_type: int, data_bytes: int, count: int) -> SetForm:
    """A map from numbers drawn."""
    notes = order(KEY_ORDER, HOST_ORDER) + order(DATA_ORDER, UNKNOWN_ORDER)
    if data_type == TO_VERDICTS:
        notes += note(DATA_EXPRESSION, told_by(VERDICT_EXPRESSION))
    notes += order(DATA_INTERVAL, 0)
    flags = ANONYMOUS | CONSTANT | MAP
    return SetForm(flags, INTEGER, INTEGER_BYTES, data_type, data_bytes, count, userdata=notes)


def _networks(family: Family, statement: MatchesAny) -> Unnamed:
    networks = statement.networks
    hosts = all(network.num_addresses == 1 for network in networks)
    elements = tuple(_hosts(networks) if hosts else _ranges(networks, BYTES[ADDRESS[family]]))
    unended = 0 if hosts else _reaches_end(networks[-1])  # nft counts the end that it leaves out
    field = order(0, HEADER_NUMBER[family]) + order(1, FIELD_NUMBER[family, statement.field])
    notes = order(KEY_ORDER, NETWORK_ORDER) + (b"" if hosts else order(MERGE, 1))
    notes += note(KEY_EXPRESSION, told_by(PAYLOAD_EXPRESSION, field))
    flags = ANONYMOUS | CONSTANT | (0 if hosts else INTERVAL)
    size = len(elements) + unended
    return Unnamed(SetForm(flags, *joined((ADDRESS[family],)), size=size, userdata=notes), elements)


def _hosts(networks: tuple[IPNetwork, ...]) -> Iterator[bytes]:
    return (element(part_bytes(network.network_address)) for network in networks)


def _ranges(networks: tuple[IPNetwork, ...], size: int) -> Iterator[bytes]:
    """Where each range begins and where it has ended. The last one may have no end."""
    ranges = _joined_ranges(networks)
    if ranges[0][0]:
        yield element(bytes(size), flags=ENDS_INTERVAL)
    for start, ended in ranges:
        last = ended == 1 << 8 * size
        yield element(start.to_bytes(size, "big"), userdata=UNENDED if last else b"")
        if not last:
            yield element(ended.to_bytes(size, "big"), flags=ENDS_INTERVAL)


def _joined_ranges(networks: tuple[IPNetwork, ...]) -> list[tuple[int, int]]:
    """First addresses, and the addresses after the last ones, of networks; those that touch are one range."""
    ranges: list[tuple[int, int]] = []
    for network in networks:
        start = int(network.network_address)
        if ranges and ranges[-1][1] == start:
            start = ranges.pop()[0]
        ranges.append((start, int(network.broadcast_address) + 1))
    return ranges


def _reaches_end(network: IPNetwork) -> bool:
    """True if there is no address after the network."""
    return int(network.broadcast_address) == (1 << network.max_prefixlen) - 1
