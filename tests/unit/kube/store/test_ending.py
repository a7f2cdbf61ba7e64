"""How objects end: at once, or with a grace period."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from testbed.errors import NotFound
from testbed.kube.store import Object, Store, end, terminating

NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


def store_with(obj: dict[str, Any]) -> tuple[Store, Object]:
    store = Store(lambda: NOON)
    return store, store.create(obj)


def pod(**fields: Any) -> dict[str, Any]:
    metadata = {"name": "web-1", "namespace": "default"}
    return {"kind": "Pod", "metadata": metadata, "spec": {"nodeName": "node1"}, **fields}


def test_pod_ends_after_its_grace_period() -> None:
    store, obj = store_with(pod())
    end(store, obj)
    metadata = store.list("Pod")[0]["metadata"]
    assert metadata["deletionTimestamp"] == "2026-01-01T12:00:30Z"
    assert metadata["deletionGracePeriodSeconds"] == 30


def test_pod_says_its_own_grace_period() -> None:
    store, obj = store_with(pod(spec={"nodeName": "node1", "terminationGracePeriodSeconds": 5}))
    end(store, obj)
    assert store.list("Pod")[0]["metadata"]["deletionGracePeriodSeconds"] == 5


def test_second_request_shortens_the_grace_period() -> None:
    store, obj = store_with(pod())
    end(store, obj)
    end(store, obj, 3)
    assert store.list("Pod")[0]["metadata"]["deletionTimestamp"] == "2026-01-01T12:00:03Z"


def test_second_request_does_not_lengthen_the_grace_period() -> None:
    store, obj = store_with(pod())
    end(store, obj, 3)
    end(store, obj, 60)
    assert store.list("Pod")[0]["metadata"]["deletionGracePeriodSeconds"] == 3


@pytest.mark.parametrize(
    ("fields", "grace"),
    [
        pytest.param({}, 0, id="no grace asked for"),
        pytest.param({"spec": {}}, None, id="no node"),
        pytest.param({"status": {"phase": "Failed"}}, None, id="failed"),
        pytest.param({"status": {"phase": "Succeeded"}}, 30, id="succeeded"),
    ],
)
def test_pod_goes_at_once(fields: dict[str, Any], grace: int | None) -> None:
    store, obj = store_with(pod(**fields))
    end(store, obj, grace)
    assert store.list("Pod") == []


def test_namespace_waits_to_be_emptied() -> None:
    store, obj = store_with({"kind": "Namespace", "metadata": {"name": "shop"}})
    end(store, obj)
    (namespace,) = store.list("Namespace")
    assert terminating(namespace)
    assert namespace["status"] == {"phase": "Terminating"}


def test_namespace_is_told_once() -> None:
    store, obj = store_with({"kind": "Namespace", "metadata": {"name": "shop"}})
    end(store, obj)
    version = store.version
    end(store, store.list("Namespace")[0])
    assert store.version == version


def test_anything_else_goes_at_once() -> None:
    store, obj = store_with({"kind": "Service", "metadata": {"name": "web", "namespace": "default"}})
    end(store, obj, 30)
    assert store.list("Service") == []


def test_what_is_gone_is_not_found() -> None:
    store, obj = store_with(pod())
    store.delete("Pod", "default", "web-1")
    with pytest.raises(NotFound):
        end(store, obj)
