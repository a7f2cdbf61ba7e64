"""Brings a node's kernel from what it holds to what it shall hold: all of it, or what a delta says.

Order under traffic: sets and rules first, which decide about masquerade, then virtual servers with their real ones,
then the address that brings packets to them; on the way out the other way round. Nothing here is one transaction:
IPVS has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from testbed.datapaths.ipvs import sets
from testbed.datapaths.ipvs.graceful import Leaving
from testbed.datapaths.ipvs.items import Element, Manner, Real, Server
from testbed.datapaths.ipvs.kernel import Held, Kernel
from testbed.datapaths.ipvs.netlink import genl
from testbed.datapaths.ipvs.netlink.genl import RealState
from testbed.datapaths.ipvs.state import Changes, Wanted

Requests = Iterator[tuple[bytes, object]]


def fill_sets(kernel: Kernel, want: Wanted, found: Held) -> None:
    """Make the sets and put in what is missing. Raises KernelStateError."""
    kernel.ipset.create([sets.NAMES[name] for name in sets.NAMES if name not in found.sets])
    there = set().union(*found.sets.values())
    kernel.ipset.add(sorted(element for element in want.books.elements if element not in there))


def empty_sets(kernel: Kernel, want: Wanted, found: Held) -> None:
    """Take out what is stale. Raises KernelStateError."""
    there: set[Element] = set().union(*found.sets.values())
    kernel.ipset.delete(sorted(element for element in there if element not in want.books.elements))


def mend_servers(kernel: Kernel, want: Wanted, found: Held, leaving: Leaving) -> None:
    """Make, change and remove virtual servers and real servers. Raises KernelStateError."""
    kernel.ipvs.change(_mending(want, found, leaving))
    kernel.ipvs.change(genl.del_server(server) for server in found.servers if server not in want.servers)
    leaving.forget(server for server in found.servers if server not in want.servers)


def _mending(want: Wanted, found: Held, leaving: Leaving) -> Requests:
    for server, (manner, reals) in want.servers.items():
        there = found.servers.get(server)
        if there is None:
            yield from _new(server, manner, reals)
            continue
        if there[0] != manner and not _same(there[0], manner):
            yield genl.set_server(server, manner)
        yield from _mending_reals(server, reals, there[1], leaving)


def _same(there: Manner, wanted: Manner) -> bool:
    """A virtual server that never was persistent has the kernel's own timeout, which means nothing."""
    return there[:2] == wanted[:2] and not wanted.timeout


def _new(server: Server, manner: Manner, reals: Mapping[Real, int]) -> Requests:
    yield genl.new_server(server, manner)
    yield from genl.put_reals(genl.NEW_DEST, server, reals.items())


def _mending_reals(
    server: Server, wanted: Mapping[Real, int], there: Mapping[Real, RealState], leaving: Leaving
) -> Requests:
    yield from genl.put_reals(genl.NEW_DEST, server, [(r, w) for r, w in wanted.items() if r not in there])
    changed = [(r, w) for r, w in wanted.items() if r in there and there[r][:2] != (w, genl.MASQUERADE)]
    yield from genl.put_reals(genl.SET_DEST, server, changed)
    leaving.stays(server, wanted)
    yield from leaving.go(server, {r: s for r, s in there.items() if r not in wanted})


def mend_addresses(kernel: Kernel, index: int, wanted: set[bytes], found: Held) -> None:
    """Bind and unbind. Raises KernelStateError."""
    kernel.links.bind(index, sorted(wanted - found.addresses.bound))
    kernel.links.unbind(index, sorted(found.addresses.bound - wanted))


def follow_servers(kernel: Kernel, made: Changes, leaving: Leaving) -> None:
    """Carry out what a delta does to virtual and real servers. Raises KernelStateError."""
    kernel.ipvs.change(_following(kernel, made, leaving))
    leaving.forget(server for server in made.before if server not in made.after)


def _following(kernel: Kernel, made: Changes, leaving: Leaving) -> Requests:
    """Connections are asked for only where a real server of TCP leaves a virtual server that stays."""
    for server in made.touched():
        before, after = made.before.get(server), made.after.get(server)
        if before is None and after is not None:
            yield from _new(server, *after)
        elif after is None:
            yield genl.del_server(server)
        elif before is not None and before != after:
            yield from _changing(kernel, server, before, after, leaving)


def _changing(
    kernel: Kernel,
    server: Server,
    before: tuple[Manner, Mapping[Real, int]],
    after: tuple[Manner, Mapping[Real, int]],
    leaving: Leaving,
) -> Requests:
    if before[0] != after[0]:
        yield genl.set_server(server, after[0])
    back = leaving.stays(server, after[1])
    new = [(r, w) for r, w in after[1].items() if r not in before[1] and r not in back]
    yield from genl.put_reals(genl.NEW_DEST, server, new)
    changed = [(r, w) for r, w in after[1].items() if before[1].get(r, w) != w or r in back]
    yield from genl.put_reals(genl.SET_DEST, server, changed)
    gone = [real for real in before[1] if real not in after[1]]
    if gone:
        yield from leaving.go(server, _states(kernel, server, gone, leaving))


def _states(kernel: Kernel, server: Server, reals: Iterable[Real], leaving: Leaving) -> dict[Real, RealState]:
    """What the kernel says of real servers that are to go; only for those that are let go gracefully."""
    if not leaving.waits_for(server):
        return dict.fromkeys(reals, genl.RealState(0, 0, 0, 0))
    there = kernel.ipvs.reals(server)
    return {real: there[real] for real in reals if real in there}


def bound(elements: Iterable[Element]) -> list[bytes]:
    """The addresses that elements of KUBE-IPVS-IPS stand for."""
    return [element.address for element in elements if element.name == sets.IPVS_IPS]
