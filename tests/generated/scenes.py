"""Scenes by number, and changes of a scene: the same number gives the same objects, everywhere and always."""

from __future__ import annotations

import copy
from random import Random

from tests.generated.scene import FAMILIES, ZONES, Object, Proxy, Scene
from tests.generated.services import service
from tests.generated.slices import MANY, endpoint_slice, large_cluster

SERVICES = 7
"""How many services there are at most, besides those of a large cluster."""

DETECTORS = (*["ClusterCIDR"] * 4, "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix", "None")
NODE_PORT_ADDRESSES: tuple[tuple[str, ...], ...] = (
    (), (), (), ("0.0.0.0/0",), ("192.168.0.0/24",), ("192.168.0.0/24", "127.0.0.0/8"), ("127.0.0.1/32",),
    ("fd00:10:192::/64",), ("::/0",), ("172.16.0.0/12", "fd00:10:192::/64"), ("10.0.0.0/8", "0.0.0.0/0"),
)  # fmt: skip
POD_CIDRS = (("10.244.0.0/16", "fd00:10:244::/56"),) * 3 + (("10.244.0.0/16",), ("fd00:10:244::/56",))

Batch = list[tuple[Object | None, Object | None]]
"""Changes that come at once: each object as it was and as it is now, None where there is none."""


def scene(seed: int, *, small: bool = False) -> Scene:
    """The scene with this number; a `small` one is never a large cluster."""
    rng = Random(seed)
    made = Scene(
        seed,
        proxy=Proxy(
            masquerade_all=rng.random() < 0.2,
            localhost_node_ports=rng.random() < 0.7,
            node_port_addresses=rng.choice(NODE_PORT_ADDRESSES),
            detect_local_mode=rng.choice(DETECTORS),
            interface=rng.choice(("cbr0", "veth", "cali")),
            masquerade_bit=rng.choice((14, 14, 14, 0, 31)),
            counters=rng.random() < 0.7,
            tcp_be_liberal=rng.random() < 0.2,
        ),
        zone=rng.choice(("", *ZONES)),
        pod_cidrs=rng.choice(POD_CIDRS),
    )
    for number in rng.sample(range(SERVICES), rng.randint(1, SERVICES)):
        made.objects.append(service(rng, number))
        made.objects += _slices(rng, number)
    if seed % 20 == 19 and not small:
        large = large_cluster(rng, 50, MANY + rng.randint(0, 1))
        made.objects = large + (made.objects if seed % 40 == 19 else [])  # alone, the limit is met exactly
    rng.shuffle(made.objects)
    return made


def _slices(rng: Random, number: int) -> list[Object]:
    return [
        endpoint_slice(rng, number, family, part)
        for family in FAMILIES
        for part in range(rng.choice((0, 1, 1, 2)))
    ]


def change(made: Scene, rng: Random) -> Batch:
    """Change the scene, in one to five places at once; returns what a watch would tell of it."""
    moved = [_moved(made, rng.choice(("", *ZONES)))] if rng.random() < 0.15 else []
    return moved + [_replaced(made, _other(made, rng)) for _ in range(rng.randint(1, 5))]


def _moved(made: Scene, zone: str) -> tuple[Object, Object]:
    """The node's object before and after its zone's label changed."""
    old, made.zone = _node(made), zone
    return old, _node(made)


def _node(made: Scene) -> Object:
    labels = {"topology.kubernetes.io/zone": made.zone} if made.zone else {}
    return {"kind": "Node", "metadata": {"name": made.node, "labels": labels}}


def _other(made: Scene, rng: Random) -> tuple[Object, bool]:
    """An object as it shall be, and whether it shall be there at all."""
    number, verb = rng.randrange(SERVICES), rng.random()
    if verb < 0.3:
        return service(rng, number), rng.random() < 0.8
    if verb < 0.6 or not made.kind("EndpointSlice"):
        return endpoint_slice(rng, number, rng.choice(FAMILIES), rng.randrange(2)), rng.random() < 0.8
    found = copy.deepcopy(rng.choice(made.kind("EndpointSlice")))
    rng.shuffle(found["endpoints"])
    for end in found["endpoints"][:2]:
        end["conditions"] = rng.choice(
            ({"ready": True}, {"ready": False}, _LEAVING, {"ready": False, "serving": False})
        )
    return found, True


_LEAVING = {"ready": False, "serving": True, "terminating": True}


def _replaced(made: Scene, wanted: tuple[Object, bool]) -> tuple[Object | None, Object | None]:
    new, there = wanted
    old = next((each for each in made.objects if _key(each) == _key(new)), None)
    if old is not None:
        made.objects.remove(old)
    if there:
        made.objects.append(new)
    return old, new if there else None


def _key(obj: Object) -> tuple[str, str, str]:
    return obj["kind"], obj["metadata"]["namespace"], obj["metadata"]["name"]
