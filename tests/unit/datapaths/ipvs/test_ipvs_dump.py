"""What is rendered is what the real kube-proxy programmed, part by part. Nothing differs.

`tests/kernel/test_ipvs.py` says the same of what a kernel holds.
"""

from __future__ import annotations

import pytest

from testbed.datapaths.ipvs import datapath, tables
from tests.unit.datapaths import dumps
from tests.unit.datapaths.ipvs import listing


@pytest.mark.parametrize("part", listing.PARTS)
def test_rendered_state_equals_the_dump(part: str) -> None:
    rendered = listing.parts(datapath({}).render(dumps.plan()))
    assert rendered[part] == listing.dump(part)


@pytest.mark.parametrize("tool", dumps.TOOLS)
def test_rules_are_in_the_dump_s_order(tool: str) -> None:
    rendered = listing.text_of(datapath({}).render(dumps.plan()), f"{tool}-save")
    assert tables.parse(rendered) == tables.parse((listing.FOLDER / f"{tool}-save.txt").read_text())


def test_the_dump_has_what_it_is_meant_to_cover() -> None:
    """Guards the comparison itself: an empty dump would equal an empty rendering."""
    assert {part: len(listing.dump(part)) for part in listing.PARTS} == {
        "ipvsadm -Sn": 87,
        "ipset save": 107,
        "kube-ipvs0": 24,
        "iptables-save": 62,
        "ip6tables-save": 48,
    }


def test_strict_arp_and_other_schedulers_change_nothing_else() -> None:
    plain = datapath({}).render(dumps.plan())
    assert datapath({"strictARP": True}).render(dumps.plan()) == plain
    assert datapath({"scheduler": "lc"}).render(dumps.plan()) == plain.replace(" -s rr", " -s lc")
