"""`testbed rollout history|undo|pause|resume`, on objects as the controllers leave them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from testbed.errors import TestbedError, UsageError
from tests.unit.cli.serving import Served, served
from tests.unit.kube.api.builders import manifest

Capture = pytest.CaptureFixture[str]
LABELS = {"app": "web"}
CAUSE = "kubernetes.io/change-cause"
COUNTS = ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady")
REVISION = "deployment.kubernetes.io/revision"


def template(image: str) -> dict[str, Any]:
    return {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "main", "image": image}]}}


def workload(kind: str, image: str) -> Any:
    spec: dict[str, Any] = {"selector": {"matchLabels": LABELS}, "template": template(image)}
    if kind == "StatefulSet":
        spec["serviceName"] = "web"
    return manifest(kind, "web", namespace="default", spec=spec)


@pytest.fixture
def api() -> Iterator[Served]:
    """One of each kind with three revisions, the last of which is in use."""
    with served() as made:
        kinds = ("Deployment", "StatefulSet", "DaemonSet")
        made.registry.apply([workload(kind, "x:3") for kind in kinds])
        made.set_status("StatefulSet", "web", {"replicas": 1})
        made.set_status("DaemonSet", "web", dict.fromkeys(COUNTS, 1))
        for kind in kinds:
            for number in (1, 2, 3):
                made.store.create(kept(made, kind, number))
        yield made


def kept(api: Served, kind: str, number: int) -> dict[str, Any]:
    """What keeps a revision."""
    owner = api.client.get(kind, "default", "web")
    deployment = kind == "Deployment"
    annotations = {CAUSE: "why not"} if number == 2 else {}
    metadata: dict[str, Any] = {
        "name": f"{kind.lower()}-{number}",
        "namespace": "default",
        "annotations": annotations | ({REVISION: str(number), "mine": "yes"} if deployment else {}),
        "ownerReferences": [{"uid": owner["metadata"]["uid"], "controller": True}],
    }
    made = owner["spec"]["template"]
    image = {"containers": [{**made["spec"]["containers"][0], "image": f"x:{number}"}]}
    then = {**made, "spec": {**made["spec"], **image}}
    if not deployment:
        data = {"spec": {"template": {**then, "$patch": "replace"}}}
        return {"kind": "ControllerRevision", "metadata": metadata, "data": data, "revision": number}
    then = {**then, "metadata": {"labels": {**LABELS, "pod-template-hash": str(number)}}}
    return {"kind": "ReplicaSet", "metadata": metadata, "spec": {"template": then}}


def image_of(api: Served, kind: str) -> str:
    found = api.client.get(kind, "default", "web")["spec"]["template"]["spec"]["containers"][0]["image"]
    return str(found)


KINDS = pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("Deployment", "deployment.apps/web"),
        ("StatefulSet", "statefulset.apps/web"),
        ("DaemonSet", "daemonset.apps/web"),
    ],
)


@KINDS
def test_history(api: Served, capsys: Capture, kind: str, named: str) -> None:
    assert api.run("rollout", "history", f"{kind}/web") == 0
    first, *rows = capsys.readouterr().out.splitlines()
    assert (first, [row.split(maxsplit=1) for row in rows]) == (
        named, [["REVISION", "CHANGE-CAUSE"], ["1", "<none>"], ["2", "why not"], ["3", "<none>"]]
    )  # fmt: skip


@KINDS
def test_history_of_one_revision(api: Served, capsys: Capture, kind: str, named: str) -> None:
    assert api.run("rollout", "history", f"{kind}/web", "--revision=2") == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{named} with revision #2\nPod Template:\n")
    assert all(text in told for text in ("Image:", "x:2", "why not"))


@KINDS
def test_undo_goes_back_to_the_one_before(api: Served, capsys: Capture, kind: str, named: str) -> None:
    assert api.run("rollout", "undo", f"{kind}/web") == 0
    assert (capsys.readouterr().out, image_of(api, kind)) == (f"{named} rolled back\n", "x:2")


@KINDS
def test_undo_to_a_revision(api: Served, capsys: Capture, kind: str, named: str) -> None:
    assert api.run("rollout", "undo", f"{kind}/web", "--to-revision=1") == 0
    assert (capsys.readouterr().out, image_of(api, kind)) == (f"{named} rolled back\n", "x:1")


@KINDS
def test_undo_to_what_is(api: Served, capsys: Capture, kind: str, named: str) -> None:
    assert api.run("rollout", "undo", f"{kind}/web", "--to-revision=3") == 0
    skipped = "skipped rollback (current template already matches revision 3)"
    assert capsys.readouterr().out == f"{named} {skipped}\n"


def test_undo_takes_the_cause_along_and_keeps_what_belongs_to_the_deployment(api: Served) -> None:
    metadata = {"annotations": {CAUSE: "a mistake", REVISION: "3"}}
    api.client.patch("Deployment", "default", "web", {"metadata": metadata}, "merge")
    api.run("rollout", "undo", "deploy/web")
    found = api.client.get("Deployment", "default", "web")
    annotations = found["metadata"]["annotations"]
    assert "x:3" in annotations.pop("kubectl.kubernetes.io/last-applied-configuration")
    assert annotations == {CAUSE: "why not", REVISION: "3", "mine": "yes"}
    assert found["spec"]["template"]["metadata"]["labels"] == LABELS


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["undo", "deploy/web", "--to-revision=9"], "unable to find specified revision 9 in history"),
        (["history", "deploy/web", "--revision=9"], "unable to find the specified revision"),
        (["resume", "deploy/web"], "deployment.apps 'web' is not paused"),
    ],
)
def test_refused(api: Served, argv: list[str], complaint: str) -> None:
    with pytest.raises(TestbedError) as refused:
        api.run("rollout", *argv)
    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        ("Deployment", 'no rollout history found for deployment "web"'),
        ("DaemonSet", "no last revision to roll back to"),
    ],
)
def test_undo_without_history(api: Served, kind: str, complaint: str) -> None:
    for number in (1, 2):
        keeper = "ReplicaSet" if kind == "Deployment" else "ControllerRevision"
        api.store.delete(keeper, "default", f"{kind.lower()}-{number}")
    with pytest.raises(TestbedError) as refused:
        api.run("rollout", "undo", f"{kind}/web")
    assert complaint in str(refused.value)


def test_pause_and_resume(api: Served, capsys: Capture) -> None:
    api.run("rollout", "pause", "deploy/web")
    assert api.client.get("Deployment", "default", "web")["spec"]["paused"]
    api.run("rollout", "resume", "deploy/web")
    assert not api.client.get("Deployment", "default", "web")["spec"].get("paused")
    assert capsys.readouterr().out == "deployment.apps/web paused\ndeployment.apps/web resumed\n"


@pytest.mark.parametrize("verb", ["pause", "undo", "restart"])
def test_a_paused_deployment_is_neither_paused_again_nor_changed(api: Served, verb: str) -> None:
    api.run("rollout", "pause", "deploy/web")
    with pytest.raises(TestbedError, match="paused"):
        api.run("rollout", verb, "deploy/web")
    assert image_of(api, "Deployment") == "x:3"


def test_only_deployments_are_paused(api: Served) -> None:
    with pytest.raises(UsageError, match="daemonsets cannot be paused"):
        api.run("rollout", "pause", "ds/web")
