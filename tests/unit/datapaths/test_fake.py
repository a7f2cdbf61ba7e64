"""The datapath in memory keeps the contract as real ones do."""

from __future__ import annotations

import pytest

from testbed.datapaths.fake import FakeDatapath
from testbed.errors import CommandFailed
from testbed.machine.netns import Netns
from testbed.proxier.plan import NodePlan
from tests.unit.proxier.objects import FACTS

NODE = Netns("node1")


def test_one_that_refuses_keeps_its_state() -> None:
    fake = FakeDatapath(refuses="no")
    with pytest.raises(CommandFailed, match="in node1: status 1: no"):
        fake.apply(NODE, NodePlan(FACTS), None)
    assert (fake.plans, fake.attempts) == ({}, 1)


def test_removed_it_holds_nothing() -> None:
    fake = FakeDatapath()
    assert fake.apply(NODE, NodePlan(FACTS), None).full
    fake.remove(NODE)
    assert fake.observe(NODE).size == {"frontends": 0}
    assert fake.show(NODE) == ""
