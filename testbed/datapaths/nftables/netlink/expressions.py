"""The expressions that a rule is made of, each as the bytes of one member of NFTA_RULE_EXPRESSIONS.

Attributes stand in the kernel's own order and without NLA_F_NESTED: so a rule that is sent is, byte for byte, the
rule that the kernel lists (nft_*_dump in net/netfilter/nft_*.c), and comparing needs no decoding. Numbers are those
of linux/netfilter/nf_tables.h. A register is told by the byte at which it starts: 0 is the first of 64.
"""

from __future__ import annotations

import enum
import struct
import sys

from testbed.machine.netlink import attribute, text

ELEMENT, NAME, DATA = 1, 1, 2  # NFTA_LIST_ELEM, NFTA_EXPR_NAME, NFTA_EXPR_DATA
VALUE, VERDICT = 1, 2  # NFTA_DATA_*
CODE, CHAIN = 1, 2  # NFTA_VERDICT_*
DROP, JUMP, GOTO = 0, 0xFFFFFFFD, 0xFFFFFFFC  # NF_DROP, NFT_JUMP, NFT_GOTO
VERDICT_REGISTER = 0
TO_DESTINATION, ADDRESS_GIVEN, PORT_GIVEN = 1, 1, 2  # NFT_NAT_DNAT, NF_NAT_RANGE_MAP_IPS, ..._PROTO_SPECIFIED
FULLY_RANDOM = 1 << 4  # NF_NAT_RANGE_PROTO_RANDOM_FULLY
EQUAL, UNEQUAL = 0, 1  # NFT_CMP_EQ, NFT_CMP_NEQ
UPDATE = 1  # NFT_DYNSET_OP_UPDATE
RANDOM = 1  # NFT_NG_RANDOM
INVERTED = 1  # NFT_LOOKUP_F_INV
ADDRESS_TYPE, OF_SOURCE, OF_DESTINATION = 3, 1, 2  # NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_SADDR, ..._DADDR

_BE32 = struct.Struct(">I")
_FIRST_OF_FOUR_BYTES = 8  # NFT_REG32_00


class Base(enum.IntEnum):
    """What an offset into a packet counts from (enum nft_payload_bases)."""

    NETWORK = 1
    TRANSPORT = 2


class Meta(enum.IntEnum):
    """What is known of a packet beside its bytes (enum nft_meta_keys)."""

    MARK = 3
    IIFNAME = 6
    L4PROTO = 16


class Ct(enum.IntEnum):
    """What conntrack knows of a packet (enum nft_ct_keys)."""

    STATE = 0
    STATUS = 2


def be32(kind: int, number: int) -> bytes:
    """An attribute that holds a number, as almost all of nf_tables' do."""
    return attribute(kind, _BE32.pack(number))


def host(number: int) -> bytes:
    """Marks, conntrack's bits and numbers drawn lie in a register in the machine's own byte order."""
    return number.to_bytes(4, sys.byteorder)


def register(start: int) -> int:
    """The kernel's number of the register that starts at a byte: a whole one of 16 bytes where it can be one."""
    whole, rest = divmod(start, 16)
    return _FIRST_OF_FOUR_BYTES + start // 4 if rest else 1 + whole


def expression(name: str, *attributes: bytes) -> bytes:
    """An expression by its name and attributes."""
    return attribute(ELEMENT, text(NAME, name) + attribute(DATA, b"".join(attributes)))


def payload(base: Base, offset: int, length: int, to: int = 0) -> bytes:
    """Load bytes of the packet into a register."""
    return expression("payload", be32(1, register(to)), be32(2, base), be32(3, offset), be32(4, length))


def meta(key: Meta, to: int = 0) -> bytes:
    """Load what is known of the packet."""
    return expression("meta", be32(2, key), be32(1, register(to)))


def set_meta(key: Meta) -> bytes:
    """Store the first register."""
    return expression("meta", be32(2, key), be32(3, register(0)))


def ct(key: Ct) -> bytes:
    """Load what conntrack knows."""
    return expression("ct", be32(1, register(0)), be32(2, key))


def fib(of: int) -> bytes:
    """Load the type (RTN_LOCAL, …) of the packet's source or destination address."""
    return expression("fib", be32(1, register(0)), be32(2, ADDRESS_TYPE), be32(3, of))


def compare(operator: int, data: bytes) -> bytes:
    """Go on only if the first register is, or is not, this."""
    return expression("cmp", be32(1, register(0)), be32(2, operator), attribute(3, attribute(VALUE, data)))


def bitwise(mask: bytes, flipped: bytes) -> bytes:
    """Keep the mask's bits of the first register, then flip some."""
    kept, xor = attribute(4, attribute(VALUE, mask)), attribute(5, attribute(VALUE, flipped))
    at = be32(1, register(0)), be32(2, register(0))
    return expression("bitwise", *at, be32(3, len(mask)), be32(6, 0), kept, xor)


def lookup(name: str, *, inverted: bool = False) -> bytes:
    """Go on only if what starts in the first register is a member of a set."""
    flags = INVERTED if inverted else 0
    return expression("lookup", text(1, name), be32(2, register(0)), be32(5, flags))


def lookup_verdict(name: str) -> bytes:
    """Take the verdict that a map has; go on if it has none."""
    into = be32(3, VERDICT_REGISTER)
    return expression("lookup", text(1, name), be32(2, register(0)), into, be32(5, 0))


def lookup_data(name: str) -> bytes:
    """Replace what is in the first register by what a map has for it."""
    return expression("lookup", text(1, name), be32(2, register(0)), be32(3, register(0)), be32(5, 0))


def immediate(data: bytes, to: int = 0) -> bytes:
    """Load a constant."""
    return expression("immediate", be32(1, register(to)), attribute(2, attribute(VALUE, data)))


def verdict(code: int, chain: str = "") -> bytes:
    """End the rule: drop, or go on in a chain."""
    return expression("immediate", be32(1, VERDICT_REGISTER), attribute(2, verdict_data(code, chain)))


def verdict_data(code: int, chain: str = "") -> bytes:
    """A verdict as a piece of data: of a rule's end, and of a map's element."""
    return attribute(VERDICT, be32(CODE, code) + (text(CHAIN, chain) if chain else b""))


def random(below: int) -> bytes:
    """Load a random number."""
    return expression("numgen", be32(1, register(0)), be32(2, below), be32(3, RANDOM), be32(4, 0))


def dnat(family: int, port: int) -> bytes:
    """Change the destination to the address in the first register and the port in that at byte `port`."""
    address, ports = register(0), register(port)
    return expression(
        "nat",
        be32(1, TO_DESTINATION),
        be32(2, family),
        be32(3, address) + be32(4, address),
        be32(5, ports) + be32(6, ports),
        be32(7, ADDRESS_GIVEN | PORT_GIVEN),
    )


def masquerade() -> bytes:
    """Change the source to the device's address, with a fully random port."""
    return expression("masq", be32(1, FULLY_RANDOM))


def reject(code: int) -> bytes:
    """Answer with an ICMP "unreachable" of this code."""
    return expression("reject", be32(1, 0), attribute(2, bytes([code])))


def update(name: str) -> bytes:
    """Put the first register into a set, or renew its time there: the set's own, as none is given here."""
    no_time = attribute(6, bytes(8))
    return expression("dynset", be32(4, register(0)), be32(3, UPDATE), text(1, name), no_time, be32(9, 0))
