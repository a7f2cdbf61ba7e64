"""What one round of the fuzzer does: a dozen damaged things, each by one of the ways into a cluster."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import yaml

from testbed.kube.api.rest import Request
from testbed.kube.api.rest.batch import PATH
from testbed.kube.objects import KINDS, load_text
from testbed.kube.store import Object
from tests.fuzz.damage import damaged, junk, places, torn
from tests.fuzz.world import SEEDS, TABLE, World, dice

STEPS = 12
STORED = [seed for seed in SEEDS if seed["kind"] in KINDS]
PATCHES = ("merge", "strategic-merge", "json", "apply")
QUERIES = {
    "limit": ("0", "1", "-1", "x", "9" * 30), "continue": ("", "x", "e30=", "\0"), "watch": ("true", "0", "1", ""),
    "resourceVersion": ("0", "1", "99999999", "x", "-1"), "resourceVersionMatch": ("Exact", "NotOlderThan", "x"),
    "labelSelector": ("app=web", "app in (web", "!app", ",,", "a=b=c", "app notin (a,b)", "x" * 300),
    "fieldSelector": ("metadata.name=web", "spec.x=1", "=", "status.phase!=Running"), "dryRun": ("All", "x", ""),
    "fieldValidation": ("Strict", "Warn", "Ignore", "x"), "timeoutSeconds": ("0", "1", "x"), "force": ("x", "true"),
    "gracePeriodSeconds": ("0", "-1", "x", "9" * 20), "propagationPolicy": ("Orphan", "Foreground", "x"),
    "fieldManager": ("", "x" * 300), "pretty": ("true",), "tailLines": ("1", "x"), "includeObject": ("Object", "x"),
}  # fmt: skip
ACCEPTS = (
    "application/json",
    TABLE,
    "application/yaml",
    "*/*",
    "application/vnd.kubernetes.protobuf",
    "",
    "\0,;=",
)


def play(number: int) -> World:
    """One round. Raises AssertionError, or whatever the product should not have raised."""
    world, rolled = World(), dice(number)
    for _ in range(STEPS):
        rolled.choice(STEPS_OF)(world, rolled)
        world.follow()
    world.check()
    world.play.later(rolled.choice((1, 60, 3600)))
    world.follow()
    world.check()
    return world


def _file(world: World, rolled: Random) -> None:
    """A file of several documents."""
    bodies = [_damaged(rolled, rolled.choice(SEEDS)) for _ in range(rolled.randint(1, 3))]
    if rolled.random() < 0.2:
        bodies = [{"apiVersion": "v1", "kind": "List", "items": bodies}]
    text = yaml.safe_dump_all(bodies, allow_unicode=rolled.random() < 0.5)
    if rolled.random() < 0.3:
        text = torn(rolled, text.encode()).decode(errors="replace")
    world.read(text)


def _batch(world: World, rolled: Random) -> None:
    """What `testbed apply` sends, damaged on the way."""
    sound = load_text(yaml.safe_dump_all(rolled.sample(STORED, 2)), "f.yaml").manifests
    body = {"manifests": [manifest.to_json() for manifest in sound], "mistakes": [], "dryRun": False}
    world.ask(Request("POST", PATH, {}, {}, _bytes(rolled, damaged(rolled, body, rolled.randint(1, 3)))))


def _write(world: World, rolled: Random) -> None:
    """An object, by POST or PUT; sometimes its status or its scale."""
    seed = rolled.choice(STORED)
    method = rolled.choice(("POST", "PUT", "PUT"))
    current = _stored(world, seed)
    body = _damaged(rolled, current if method == "PUT" and current and rolled.random() < 0.7 else seed)
    path = _path(seed, named=method == "PUT") + (_below(rolled) if method == "PUT" else "")
    kind = rolled.choice(("application/json",) * 5 + ("application/yaml", "text/plain", ""))
    data = yaml.safe_dump(body).encode() if "yaml" in kind else _bytes(rolled, body)
    world.ask(
        Request(method, path, _query(rolled), {"content-type": kind, "accept": rolled.choice(ACCEPTS)}, data)
    )


def _patch(world: World, rolled: Random) -> None:
    """A patch of one of the three types, and of the one that is not there."""
    seed, type_ = rolled.choice(STORED), rolled.choice(PATCHES)
    body = _operations(rolled, seed) if type_ == "json" else _part(rolled, _damaged(rolled, seed))
    headers = {"content-type": f"application/{type_}-patch+json"}
    path = _path(seed, named=True) + _below(rolled)
    world.ask(Request("PATCH", path, _query(rolled), headers, _bytes(rolled, body)))


def _delete(world: World, rolled: Random) -> None:
    """One object or many."""
    seed = rolled.choice(STORED)
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0, "propagationPolicy": "Orphan",
               "preconditions": {"uid": "x", "resourceVersion": "1"}}  # fmt: skip
    body = _bytes(rolled, damaged(rolled, options, 2)) if rolled.random() < 0.6 else b""
    world.ask(Request("DELETE", _path(seed, named=rolled.random() < 0.8), _query(rolled), {}, body))


def _read(world: World, rolled: Random) -> None:
    """A question, with hostile parameters and headers."""
    path = _path(rolled.choice(STORED), named=rolled.random() < 0.5) + rolled.choice(
        ("", "", "/log", "/scale", "/x")
    )
    if rolled.random() < 0.2:
        path = torn(rolled, path.encode()).decode(errors="replace")
    world.ask(Request("GET", path, _query(rolled), {"accept": rolled.choice(ACCEPTS)}))


STEPS_OF = (_file, _file, _batch, _write, _write, _patch, _patch, _delete, _read)


def _damaged(rolled: Random, seed: Object) -> Any:
    return damaged(rolled, seed, rolled.choice((0, 1, 1, 1, 2, 3)))


def _stored(world: World, seed: Object) -> Object | None:
    namespace = "default" if KINDS[seed["kind"]].namespaced else ""
    return world.store.get(seed["kind"], namespace, seed["metadata"]["name"])


def _path(seed: Object, *, named: bool) -> str:
    kind = KINDS[seed["kind"]]
    root = f"/{'api' if kind.api_version == 'v1' else 'apis'}/{kind.api_version}"
    place = "/namespaces/default" if kind.namespaced else ""
    return f"{root}{place}/{kind.plural}" + (f"/{seed['metadata']['name']}" if named else "")


def _below(rolled: Random) -> str:
    return rolled.choice(("", "", "", "/status", "/scale"))


def _query(rolled: Random) -> dict[str, str]:
    names = rolled.sample(sorted(QUERIES), rolled.choice((0, 0, 1, 2)))
    return {name: rolled.choice(QUERIES[name]) for name in names}


def _part(rolled: Random, body: Any) -> Any:
    """Some of an object's fields: a patch."""
    if isinstance(body, dict) and rolled.random() < 0.7:
        return {name: value for name, value in body.items() if rolled.random() < 0.5}
    return body


def _operations(rolled: Random, seed: Object) -> Any:
    """A JSON patch (RFC 6902)."""
    found = ["".join(f"/{str(step).replace('/', '~1')}" for step in place) for place in places(seed)]
    made = [
        {"op": rolled.choice(("add", "remove", "replace", "move", "copy", "test", "x")),
         "path": rolled.choice(found) + rolled.choice(("", "", "/-", "/0", "/x", "/~2")),
         "from": rolled.choice(found), "value": junk(rolled)}
        for _ in range(rolled.randint(1, 3))
    ]  # fmt: skip
    return damaged(rolled, {"p": made})["p"] if rolled.random() < 0.1 else made


def _bytes(rolled: Random, body: Any) -> bytes:
    data = json.dumps(body).encode(errors="surrogatepass")
    return torn(rolled, data) if rolled.random() < 0.1 else data
