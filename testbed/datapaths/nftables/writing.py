"""Hands edits of tables to the kernel, as one transaction, or cut at the steps where the socket's buffer is small.

Knows steps and sizes. Does not know what a table is for.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from testbed.datapaths.contract import Applied
from testbed.datapaths.nftables.edit import Edit, Step
from testbed.datapaths.nftables.encode import Changes
from testbed.datapaths.nftables.model import Table
from testbed.datapaths.nftables.netlink.transaction import Nftables, weight

LARGEST = 1 << 20
"""Bytes of one transaction, unless a single step needs more. For each set without a name the kernel walks through
all that its transaction has done so far (__nft_set_trans_bind in net/netfilter/nf_tables_api.c), so 10,000 Services
in one take twice as long as in eight. What a day's changes bring stays far below."""


@dataclass(slots=True)
class Meter:
    """Adds up what an apply costs."""

    render_seconds: float = 0.0
    restore_seconds: float = 0.0
    requests: int = 0
    bytes: int = 0

    def applied(self, *, full: bool) -> Applied:
        """In the contract's words; a request counts as a line."""
        return Applied(full, self.render_seconds, self.restore_seconds, self.requests, self.bytes)


@dataclass(slots=True)
class Work:
    """What happens to one table. `anew`: it is deleted first, with all that is in it; `gone`: that is all."""

    edit: Edit
    anew: bool = False
    gone: bool = False


def write(
    nftables: Nftables, work: Mapping[Table, Work], meter: Meter, generation: int | None = None
) -> bool:
    """Make the changes. False, and nothing is done, if the kernel's tables are not of this `generation` any more.

    Raises KernelStateError, which names what was refused. Nothing is done then if it all went in one transaction.
    """
    start = time.perf_counter()
    parts = list(_transactions(work, min(nftables.limit, LARGEST)))
    encoded = time.perf_counter()
    done = True
    for number, requests in enumerate(parts):
        done = nftables.commit(requests, None if number else generation)
        if not done:
            break
        meter.requests += len(requests)
        meter.bytes += weight(requests)
    meter.render_seconds += encoded - start
    meter.restore_seconds += time.perf_counter() - encoded
    return done


def _transactions(work: Mapping[Table, Work], limit: int) -> Iterator[list[bytes]]:
    """The requests for all tables, in one part if they fit, else in as few as the steps allow."""
    requests: list[bytes] = []
    heavy = weight(requests)
    for table, each in work.items():
        for some in _encoded(table, each):
            more = sum(map(len, some))
            if requests and heavy + more > limit:
                yield requests
                requests, heavy = [], weight([])
            requests += some
            heavy += more
    if requests:
        yield requests


def _encoded(table: Table, work: Work) -> Iterator[list[bytes]]:
    """The requests of each step. Sets that a step brings along are numbered within the table's transaction."""
    changes = Changes(table)
    changes.add_table()  # what is not there cannot be deleted
    if work.anew or work.gone:
        changes.delete_table()
    if work.anew:
        changes.add_table()
    yield _taken(changes)
    for step in work.edit.steps():
        _tell(changes, step)
        yield _taken(changes)


def _tell(changes: Changes, step: Step) -> None:
    changes.flush(step.flushed)
    changes.delete(step.deleted)
    changes.add(step.added)


def _taken(changes: Changes) -> list[bytes]:
    requests, changes.requests = changes.requests, []
    return requests
