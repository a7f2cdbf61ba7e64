"""Which endpoints each policy lets in: the cases of kube-proxy's TestCategorizeEndpoints."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.proxier.plan import Family, Protocol
from testbed.proxier.policy import Place, Usable, usable
from testbed.proxier.services import service_ports
from testbed.proxier.slices import candidates
from tests.unit.proxier.objects import NODE, Object, endpoint, endpoint_slice, port, service

READY = {"ready": True}
LAST_RESORT = {"ready": False, "serving": True, "terminating": True}
GONE = {"ready": False, "serving": False, "terminating": True}
UNREADY = {"ready": False}

CLUSTER = service()
INTERNAL_LOCAL = service(internalTrafficPolicy="Local")
EXTERNAL_LOCAL = service(
    ports=[port(node_port=30080)],
    type="NodePort",
    externalTrafficPolicy="Local",
    internalTrafficPolicy="Cluster",
)


def here(number: int, conditions: dict[str, bool], **more: Any) -> Object:
    """An endpoint on the node that the plan is for."""
    return endpoint(f"10.244.0.{number}", NODE, **conditions) | more


def there(number: int, conditions: dict[str, bool], **more: Any) -> Object:
    """An endpoint on another node."""
    return endpoint(f"10.244.1.{number}", "node2", **conditions) | more


def zone(name: str) -> Object:
    """A hint for a zone."""
    return {"hints": {"forZones": [{"name": name}]}}


def both(zone_name: str, node: str) -> Object:
    """Hints for a zone and for a node."""
    return {"hints": {"forZones": [{"name": zone_name}], "forNodes": [{"name": node}]}}


def decide(obj: Object, endpoints: list[Object], zone_name: str = "za") -> Usable:
    """What `usable` says about a Service with these endpoints."""
    (found,) = service_ports(obj, [Family.IPV4])
    ends = candidates([endpoint_slice(endpoints)], ("http", Protocol.TCP, Family.IPV4), NODE)
    return usable(found, ends, Place(NODE, zone_name))


def last_bytes(endpoints: tuple[Any, ...]) -> list[int]:
    """The endpoints, told by the last bytes of their addresses."""
    return [e.address.packed[-1] for e in endpoints]


CLUSTER_CASES = {
    "no endpoints": ([], [], False),
    "all ready": ([there(1, READY), there(2, READY)], [1, 2], True),
    "unready are not used": ([there(1, READY), there(2, UNREADY)], [1], True),
    "terminating never beside ready ones": ([there(1, READY), there(2, LAST_RESORT)], [1], True),
    "terminating as the last resort": ([there(1, LAST_RESORT), there(2, UNREADY)], [1], True),
    "never those that do not serve": ([there(1, GONE), there(2, UNREADY)], [], False),
    "ready nil is ready": ([endpoint("10.244.1.1", ready=None)], [1], True),
    "serving nil follows ready": ([there(1, {"ready": False, "terminating": True})], [], False),
    "no conditions at all": ([{"addresses": ["10.244.1.1"]}], [1], True),
    "hints: only this zone": ([there(1, READY, **zone("za")), there(2, READY, **zone("zb"))], [1], True),
    "hints: one lacks, none count": ([there(1, READY, **zone("zb")), there(2, READY)], [1, 2], True),
    "hints: none for this zone, none count": ([there(1, READY, **zone("zb"))], [1], True),
    "hints: those of unready ones do not matter": (
        [there(1, READY, **zone("za")), there(2, UNREADY)],
        [1],
        True,
    ),
    "hints: this node before this zone": (
        [there(1, READY, **both("za", "node2")), here(2, READY, **both("zb", NODE))],
        [2],
        True,
    ),
    "hints: no node hint for us, then the zone": (
        [there(1, READY, **both("za", "node2")), there(2, READY, **both("zb", "node2"))],
        [1],
        True,
    ),
    "hints do not apply to the last resort": ([there(1, LAST_RESORT, **zone("zb"))], [1], True),
}


@pytest.mark.parametrize("case", CLUSTER_CASES)
def test_cluster_policy(case: str) -> None:
    endpoints, expected, anywhere = CLUSTER_CASES[case]
    found = decide(CLUSTER, endpoints)
    assert (last_bytes(found.cluster), found.local, found.anywhere) == (expected, (), anywhere)


LOCAL_CASES = {
    "only this node's": ([here(1, READY), there(2, READY)], [1], True),
    "none here, some there": ([there(2, READY)], [], True),
    "none anywhere": ([there(2, UNREADY), here(1, GONE)], [], False),
    "last resort is decided among local ones alone": ([here(1, LAST_RESORT), there(2, READY)], [1], True),
    "terminating never beside ready ones": ([here(1, LAST_RESORT), here(2, READY)], [2], True),
    "hints never apply": ([here(1, READY, **zone("zb")), there(2, READY, **zone("za"))], [1], True),
    "without a node name it is remote": ([endpoint("10.244.0.1", None)], [], True),
}


@pytest.mark.parametrize("case", LOCAL_CASES)
@pytest.mark.parametrize("obj", [INTERNAL_LOCAL, EXTERNAL_LOCAL], ids=["internal", "external"])
def test_local_policy(case: str, obj: Object) -> None:
    endpoints, expected, anywhere = LOCAL_CASES[case]
    found = decide(obj, endpoints)
    assert (last_bytes(found.local), found.anywhere) == (expected, anywhere)


def test_internal_local_alone_uses_no_cluster_endpoints() -> None:
    assert decide(INTERNAL_LOCAL, [there(1, READY)]).cluster == ()


def test_external_local_keeps_cluster_endpoints_for_pods_and_the_node() -> None:
    found = decide(EXTERNAL_LOCAL, [here(1, READY), there(2, READY)])
    assert last_bytes(found.cluster) == [1, 2]


def test_external_local_counts_only_where_outsiders_can_come() -> None:
    found = decide(service(externalTrafficPolicy="Local"), [here(1, READY), there(2, READY)])
    assert (last_bytes(found.cluster), found.local) == ([1, 2], ())
