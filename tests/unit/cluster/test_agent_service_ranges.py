"""A ServiceCIDR that comes or goes is a full pass: it changes what the node knows, and no service port."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from testbed.kube.store import Store
from tests.unit.cluster.test_agent import Notes, obeyed, running

MORE: dict[str, Any] = {
    "kind": "ServiceCIDR",
    "metadata": {"name": "more"},
    "spec": {"cidrs": ["10.97.0.0/16"]},
}


def test_a_new_range_is_written_by_a_full_pass() -> None:
    store, notes = Store(), Notes()
    with running(notes, 0.0, store) as agent:
        obeyed(agent, store)
        store.create(MORE)
        obeyed(agent, store)
    assert [full for full, _ in notes.applied] == [True, True]
    assert [facts.service_ranges for facts in notes.facts] == [(), (ip_network("10.97.0.0/16"),)]
