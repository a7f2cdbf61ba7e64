"""The page of every kind, kept as files in tests/golden/describe; `TESTBED_GOLDEN=write` writes them anew.

They were held against what kubectl 1.33 prints for these objects. What differs is meant: names of ports in
templates (kubectl has them since 1.35), no lease, what an EndpointSlice tells besides `ready`, kinds of volumes.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed.cli.describing import PAGES, describe
from testbed.cli.describing.generic import title
from testbed.cli.describing.quantity import amount, amount_text
from tests.unit.cli.serving import Served, served

BORN = datetime.datetime(2026, 11, 23, 11, 55, 0, tzinfo=datetime.UTC)
NOW = BORN + datetime.timedelta(minutes=5)
OBJECTS = Path(__file__).with_name("objects.yaml")
GOLDEN = Path(__file__).parents[3] / "golden/describe"
KINDS_AND_NAMES = [(obj["kind"], obj["metadata"]["name"]) for obj in yaml.safe_load(OBJECTS.read_text())]
HAPPENED = (
    {"reason": "Scheduled", "type": "Normal", "message": "Successfully assigned", "count": 1},
    {"reason": "BackOff", "type": "Warning", "message": " Back-off restarting \n", "count": 7},
)


@pytest.fixture(scope="module")
def api() -> Iterator[Served]:
    with served(lambda: BORN) as made:
        for obj in yaml.safe_load(OBJECTS.read_text()):
            owners = obj["metadata"].get("ownerReferences", ())
            for owner in owners:
                there = made.store.get(owner["kind"], "shop", owner["name"])
                owner["uid"] = there["metadata"]["uid"] if there else owner["uid"]
            made.store.create(obj)
        _tell(made, "web-1")
        yield made


def _tell(api: Served, pod: str) -> None:
    """Two events of a pod, the later one seen several times."""
    uid = api.client.get("Pod", "shop", pod)["metadata"]["uid"]
    for number, what in enumerate(HAPPENED):
        event: dict[str, Any] = {
            **what,
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{pod}.{number}", "namespace": "shop"},
            "involvedObject": {"kind": "Pod", "namespace": "shop", "name": pod, "uid": uid},
            "source": {"component": "kubelet"},
            "firstTimestamp": "2026-11-23T11:50:00Z",
            "lastTimestamp": f"2026-11-23T11:5{5 + number}:00Z",
        }
        api.store.create(event)


def test_events_of_one_second_stand_in_the_order_in_which_they_were_told(api: Served) -> None:
    """Their names say nothing of time, and times are whole seconds."""
    api.store.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "told", "namespace": "shop"}}
    )
    told = api.client.get("ConfigMap", "shop", "told")
    about = {"kind": "ConfigMap", "namespace": "shop", "name": "told", "uid": told["metadata"]["uid"]}
    for name, reason in (("told.9", "First"), ("told.1", "Second")):
        event = {"metadata": {"name": name, "namespace": "shop"}, "involvedObject": about, "reason": reason}
        moment = {"lastTimestamp": "2026-11-23T11:55:00Z"}
        api.store.create({"apiVersion": "v1", "kind": "Event", **event, **moment})
    page = describe(told, api.client, NOW)
    assert page.index("First") < page.index("Second")


@pytest.mark.parametrize(("kind", "name"), KINDS_AND_NAMES)
def test_a_page(api: Served, kind: str, name: str) -> None:
    namespace = "" if kind in ("Namespace", "Node", "ServiceCIDR") else "shop"
    obj = api.client.get(kind, namespace, name)
    page = describe(obj, api.client, NOW).replace(obj["metadata"]["uid"], "THE-UID") + "\n"
    file = GOLDEN / f"{kind.lower()}-{name}.txt"
    if os.environ.get("TESTBED_GOLDEN") == "write":
        file.write_text(page)
    assert page == file.read_text()


def test_every_page_is_kept() -> None:
    assert PAGES.keys() <= {kind for kind, _ in KINDS_AND_NAMES}
    assert {file.stem for file in GOLDEN.iterdir()} == {f"{k.lower()}-{n}" for k, n in KINDS_AND_NAMES}


def test_a_secret_keeps_its_values(api: Served) -> None:
    page = describe(api.client.get("Secret", "shop", "pass"), api.client, NOW)
    assert "word:  6 bytes" in page
    assert "c2VjcmV0" not in page
    assert "word:  secret" not in page


@pytest.mark.parametrize(
    ("name", "text"),
    [("creationTimestamp", "Creation Timestamp"), ("apiURL", "API URL"), ("kind", "Kind"), ("a.b/c", "a.b/c"),
     ("uid", "UID"),
     ("nodeName", "Node Name"), ("holder-name", "Holder - Name")],
)  # fmt: skip
def test_a_field_becomes_a_title(name: str, text: str) -> None:
    assert title(name) == text


@pytest.mark.parametrize(
    ("text", "again"),
    [("250m", "250m"), ("1", "1"), ("1.5", "1500m"), ("64Mi", "64Mi"), ("1024Ki", "1Mi"), ("1k", "1000"),
     ("0", "0"), ("none", "0")],
)  # fmt: skip
def test_a_quantity(text: str, again: str) -> None:
    assert amount_text(amount(text)) == again
