"""A plan as text: what ipvsadm, ipset, ip and iptables-save print where it was applied, one after the other. Pure.

Everything is sorted. `ipset save` prints the number that a hash was seeded with, which the kernel draws; it is left
out here.
"""

from __future__ import annotations

from collections.abc import Iterator

from testbed.datapaths.ipvs import sets, tables
from testbed.datapaths.ipvs.items import family_of, saved, show
from testbed.datapaths.ipvs.netlink.link import DEVICE
from testbed.datapaths.ipvs.service import Site
from testbed.datapaths.ipvs.state import Wanted, wanted
from testbed.proxier.plan import Family, NodePlan

TOOLS = {Family.IPV4: "iptables", Family.IPV6: "ip6tables"}


def text(plan: NodePlan, site: Site) -> str:
    """The whole wanted state."""
    return "".join(f"{line}\n" for line in _lines(wanted(plan, site), site))


def _lines(want: Wanted, site: Site) -> Iterator[str]:
    yield "# ipvsadm -Sn"
    for server, (manner, reals) in sorted(want.servers.items()):
        yield from saved(server, manner, reals)
    yield "# ipset save"
    yield from set_lines(want)
    yield f"# {DEVICE}"
    for address in sorted(want.addresses(), key=lambda a: (len(a), a)):
        yield f"{show(address)}/{32 if family_of(address) is Family.IPV4 else 128}"
    for family, tool in TOOLS.items():
        yield f"# {tool}-save"
        yield from tables.lines(want.books.tables(site, family))


def set_lines(want: Wanted) -> Iterator[str]:
    """Every set, then its elements."""
    members: dict[str, list[str]] = {name: [] for name in sets.NAMES}
    for element in sorted(want.books.elements):
        members[sets.name_of(element.name, element.family)].append(str(element))
    for kernel_name, (name, family) in sets.NAMES.items():
        yield sets.created(name, family)
        yield from (f"add {kernel_name} {element}" for element in members[kernel_name])
