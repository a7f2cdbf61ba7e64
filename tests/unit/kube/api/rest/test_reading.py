"""GET: objects, lists, lists in pieces and of the past."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.kube.api.builders import namespace, pod, service
from tests.unit.kube.api.rest.asking import DEFAULT, Asked, asked, config_map, names, value

MAPS = f"{DEFAULT}/configmaps"


@pytest.fixture
def shop() -> Asked:
    """Two namespaces with Services and pods."""
    made = asked()
    made.apply(namespace("shop"), service("a"), service("b"), service("a", namespace="shop"))
    made.apply(pod("p1", labels={"app": "web", "tier": "x"}), pod("p2", nodeName="node1"))
    return made


def test_one_object(shop: Asked) -> None:
    found = shop.get(f"{DEFAULT}/services/a")
    assert (found["apiVersion"], found["kind"], found["metadata"]["namespace"]) == (
        "v1",
        "Service",
        "default",
    )


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        (f"{DEFAULT}/services/none", {"name": "none", "kind": "services"}),
        ("/api/v1/nodes/none", {"name": "none", "kind": "nodes"}),
        (
            "/apis/apps/v1/namespaces/default/deployments/none",
            {"name": "none", "group": "apps", "kind": "deployments"},
        ),
    ],
)
def test_not_found(shop: Asked, path: str, resource: dict[str, str]) -> None:
    told = value(shop.ask("GET", path), 404)
    assert (told["kind"], told["reason"], told["details"]) == ("Status", "NotFound", resource)
    assert told["message"].endswith('"none" not found')


def test_list_of_a_namespace(shop: Asked) -> None:
    found = shop.get(f"{DEFAULT}/services")
    assert (found["apiVersion"], found["kind"]) == ("v1", "ServiceList")
    assert names(found) == ["a", "b"]
    assert found["metadata"]["resourceVersion"] == str(shop.store.version)


def test_list_of_all_namespaces(shop: Asked) -> None:
    found = shop.get("/api/v1/services")
    assert [(i["metadata"]["namespace"], i["metadata"]["name"]) for i in found["items"]] == [
        ("default", "a"),
        ("default", "b"),
        ("shop", "a"),
    ]


def test_list_of_nothing(shop: Asked) -> None:
    assert shop.get(f"{DEFAULT}/secrets")["items"] == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("labelSelector=app%3Dweb,tier", ["p1"]),
        ("labelSelector=!tier", ["p2"]),
        ("fieldSelector=spec.nodeName%3Dnode1", ["p2"]),
        ("labelSelector=app%3Dweb&fieldSelector=metadata.name!%3Dp1", ["p2"]),
    ],
)
def test_selectors(shop: Asked, query: str, expected: list[str]) -> None:
    assert names(shop.get(f"{DEFAULT}/pods?{query}")) == expected


@pytest.mark.parametrize(
    "query",
    [
        "labelSelector=a%20b",
        "fieldSelector=spec.color%3Dred",
        "limit=x",
        "resourceVersion=new",
        "continue=%21",
    ],
)
def test_queries_that_make_no_sense(shop: Asked, query: str) -> None:
    assert value(shop.ask("GET", f"{DEFAULT}/pods?{query}"), 400)["reason"] == "BadRequest"


def maps(count: int) -> Asked:
    made = asked()
    for number in range(count):
        made.post(MAPS, config_map(f"c{number}"))
    return made


def pages(made: Asked, limit: int) -> list[dict[str, Any]]:
    found = [made.get(f"{MAPS}?limit={limit}")]
    while "continue" in found[-1]["metadata"]:
        found.append(made.get(f"{MAPS}?limit={limit}&continue={found[-1]['metadata']['continue']}"))
    return found


def test_a_list_in_pieces() -> None:
    found = pages(maps(5), 2)
    assert [names(page) for page in found] == [["c0", "c1"], ["c2", "c3"], ["c4"]]
    assert [page["metadata"].get("remainingItemCount") for page in found] == [3, 1, None]


def test_all_pieces_are_of_one_version() -> None:
    made = maps(3)
    first = made.get(f"{MAPS}?limit=1")
    made.post(MAPS, config_map("c1b"))
    value(made.ask("DELETE", f"{MAPS}/c2"), 200)
    made.patch(f"{MAPS}/c1", {"data": {"a": "new"}})
    second = made.get(f"{MAPS}?continue={first['metadata']['continue']}")
    assert names(second) == ["c1", "c2"]
    assert second["items"][0]["data"] == {"a": "b"}
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_a_list_of_an_exact_version() -> None:
    made = maps(2)
    version = made.get(MAPS)["metadata"]["resourceVersion"]
    made.post(MAPS, config_map("later"))
    found = made.get(f"{MAPS}?resourceVersion={version}&resourceVersionMatch=Exact")
    assert names(found) == ["c0", "c1"]


def test_a_version_not_older_than_gives_the_latest() -> None:
    made = maps(2)
    assert names(made.get(f"{MAPS}?resourceVersion=1&resourceVersionMatch=NotOlderThan")) == ["c0", "c1"]


def test_a_version_of_the_future() -> None:
    told = value(maps(1).ask("GET", f"{MAPS}?resourceVersion=100000"), 504)
    assert told["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_a_match_without_a_version() -> None:
    assert value(maps(1).ask("GET", f"{MAPS}?resourceVersionMatch=Exact"), 422)["reason"] == "Invalid"


@pytest.mark.parametrize(
    ("subresource", "remedy"),
    [
        pytest.param("exec", "testbed exec -it pod/NAME -- COMMAND", id="exec"),
        pytest.param("attach", "testbed logs -f NAME", id="attach"),
        pytest.param("portforward", "testbed exec client1", id="port-forward"),
        pytest.param("ephemeralcontainers", "the server could not find the requested resource", id="debug"),
    ],
)
def test_what_kubectl_cannot_do_here_has_a_remedy(subresource: str, remedy: str) -> None:
    told = value(asked().ask("POST", f"{DEFAULT}/pods/a/{subresource}"), 404)
    assert remedy in told["message"]
    assert told["details"] == {}, "kubectl debug panics without details"
