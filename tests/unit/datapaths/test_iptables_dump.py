"""The rendered rules are the real kube-proxy's, table by table. Nothing differs, so there is no list of excuses.

`tests/kernel/iptables` says the same of what a kernel holds after they were applied.
"""

from __future__ import annotations

import pytest

from testbed.datapaths.iptables import datapath
from testbed.datapaths.iptables.ruleset import Ruleset, parse
from tests.unit.datapaths import dumps


def rendered() -> dict[str, Ruleset]:
    """The rendered state by tool."""
    v4, v6 = datapath({}).render(dumps.plan()).split("# ip6tables\n")
    return {"iptables": parse(v4), "ip6tables": parse(v6)}


@pytest.mark.parametrize("table", ["mangle", "filter", "nat"])
@pytest.mark.parametrize("tool", dumps.TOOLS)
def test_rendered_rules_equal_the_dump(tool: str, table: str) -> None:
    assert dumps.comparable(rendered()[tool])[table] == dumps.dump(tool)[table]


@pytest.mark.parametrize("tool", dumps.TOOLS)
def test_there_are_no_other_tables(tool: str) -> None:
    assert rendered()[tool].keys() == dumps.dump(tool).keys()


def test_the_dump_has_what_it_is_meant_to_cover() -> None:
    """Guards the comparison itself: an empty dump would equal an empty rendering."""
    nat = dumps.dump("iptables")["nat"]
    assert sum(chain.startswith("KUBE-SVC-") for chain in nat) == 15
    assert sum(len(rules) for rules in nat.values()) == 187
