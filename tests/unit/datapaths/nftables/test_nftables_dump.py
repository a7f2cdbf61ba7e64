"""The rendered tables are the real kube-proxy's (tests/data/kube-proxy-dumps), block by block.

Nothing differs, so there is no list of excuses. `tests/kernel/test_nftables.py` says so of what a kernel holds.
"""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from testbed.datapaths.nftables.render import text
from testbed.proxier.plan import NodePlan
from testbed.proxier.proxier import Settings
from tests.unit.datapaths import dumps
from tests.unit.datapaths.nftables.listing import Listing, parsed

DUMP = parsed((dumps.FOLDER / "nftables/nft-ruleset.txt").read_text())


def plan() -> NodePlan:
    """As that kube-proxy was set: by its defaults, so node ports answer on the node's own address (KEP-3866)."""
    return dumps.plan(Settings(node_port_ranges=(ip_network("10.99.0.2"),)))


@pytest.fixture(scope="module")
def rendered() -> Listing:
    """Rendered once."""
    return parsed(text(plan()))


@pytest.mark.parametrize("block", DUMP)
def test_a_rendered_block_equals_the_dump(rendered: Listing, block: str) -> None:
    assert rendered[block] == DUMP[block]


def test_nothing_else_is_rendered(rendered: Listing) -> None:
    assert rendered.keys() == DUMP.keys()


def test_the_dump_has_what_it_is_meant_to_cover() -> None:
    """Guards the comparison itself: an empty dump would equal an empty rendering."""
    assert sum(block.startswith("ip chain service-") for block in DUMP) == 16
    assert sum(len(lines) for lines in DUMP.values()) == 231
