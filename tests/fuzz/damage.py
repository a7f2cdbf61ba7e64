"""Objects made wrong, at random and by number: equal dice, equal damage.

Knows JSON values. Knows no kind and no rule: what is still right after it is for the product to say.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

Place = tuple[str | int, ...]

JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 80, 30080, 65535, 65536, 2**31 - 1, 2**31, 2**63 - 1, -(2**63), 0.5, 1e300,
    "", " ", "a", "None", "null", "true", "80", "-1", "1e9", "50%", "999999999999%", "../x", "a b", "a/b",
    "x" * 300, "$(id)", "`id`", "'\"", "a\nb", "\0", "\x1b[31m", "é", "\u202e", "\U0001f600", "{a: b}", "*",
    "-", "--", ".", "..", "10.96.0.10", "10.96.0.77", "10.244.0.9", "127.0.0.1", "0.0.0.0", "::", "::1",
    "fd00:10:96::7", "::ffff:1.2.3.4", "010.0.0.1", "10.0.0.0/8", "0.0.0.0/0", "::/0", "10.0.0.1/8",
    "2026-01-01T00:00:00Z", "1h", "250m", "1Ei", "IPv4", "IPv6", "TCP", "UDP", "SCTP", "tcp", "Local", "Cluster",
    "ClusterIP", "NodePort", "LoadBalancer", "ExternalName", "ClientIP", "Always", "Never", "Recreate",
    "OnDelete", "RollingUpdate", "web", "default", "node1",
    [], {}, [None], [{}], [[]], {"": ""}, {"a": {"b": [1]}}, {"name": "x"}, {"app": "web"}, ["a", "a"],
    {"$patch": "delete"}, {"$patch": "replace"},
)  # fmt: skip
EXTRA = (
    "spec", "metadata", "status", "x", "X-y", "name", "namespace", "uid", "resourceVersion", "generation", "labels",
    "annotations", "finalizers", "ownerReferences", "deletionTimestamp", "creationTimestamp", "generateName",
    "managedFields", "clusterIP", "clusterIPs", "ipFamilies", "ports", "nodePort", "selector", "replicas", "data",
    "$patch", "$retainKeys", "$setElementOrder/ports", "$deleteFromPrimitiveList/finalizers", "", "a.b", "../x",
)  # fmt: skip


def places(value: Any, path: Place = ()) -> Iterator[Place]:
    """Every place in a value, its own included."""
    yield path
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in below:
        yield from places(part, (*path, step))


def at(value: Any, path: Place) -> Any:
    """What stands at a place."""
    for step in path:
        value = value[step]
    return value


def damaged(dice: Random, whole: Mapping[str, Any], times: int = 1) -> Any:
    """A copy with something wrong in it, or not: a place emptied, replaced, doubled, moved or added to."""
    body = copy.deepcopy(dict(whole))
    for _ in range(times):
        found = [place for place in places(body) if place]
        if found:
            _damage(dice, body, dice.choice(found))
    return body


def _damage(dice: Random, body: Any, place: Place) -> None:
    *way, last = place
    part = at(body, tuple(way))
    match dice.randrange(8):
        case 0:
            del part[last]
        case 1 if isinstance(part, list):
            part.insert(dice.randint(0, len(part)), copy.deepcopy(part[last]))
        case 2:
            other = dice.choice([place for place in places(body) if place])
            part[last] = copy.deepcopy(at(body, other))
        case 3 if isinstance(part, dict):
            part[dice.choice(EXTRA)] = junk(dice)
        case 4 if isinstance(part[last], list):
            part[last] *= dice.choice((2, 3, 150))
        case 5 if isinstance(part[last], str):
            part[last] = _bent(dice, part[last])
        case _:
            part[last] = junk(dice)


def junk(dice: Random) -> Any:
    """A value that hardly fits anywhere."""
    return copy.deepcopy(dice.choice(JUNK))


def _bent(dice: Random, text: str) -> str:
    at_ = dice.randint(0, len(text))
    letter = dice.choice(("", "A", "/", "..", " ", "\n", ":", "\t", "é", "-", "0", "%", "\x7f", "x" * 64))
    return text[:at_] + letter + text[at_ + dice.randint(0, 1) :]


def torn(dice: Random, data: bytes) -> bytes:
    """Bytes that were cut, doubled, or hit in one place."""
    at_ = dice.randint(0, len(data))
    match dice.randrange(4):
        case 0:
            return data[:at_]
        case 1:
            return data[:at_] + data[max(0, at_ - 20) :]
        case 2:
            return (
                data[:at_] + bytes(dice.randrange(256) for _ in range(dice.randint(1, 4))) + data[at_ + 1 :]
            )
    return (
        data[:at_]
        + dice.choice((b"\t", b"[", b"{", b"&a ", b"*a", b"<<: ", b"- ", b"\n---\n", b"!!x "))
        + data[at_:]
    )
