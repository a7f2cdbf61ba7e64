"""kubectl writes: apply, create, replace, edit, patch, delete, scale, roll out; and follows what becomes of it."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.net import manifests as m
from tests.net.command import SECONDS
from tests.net.kubectl import Kubectl, deployment, service
from tests.waiting import until

COMMANDED = {"command": ["sh", "-c", "echo one; echo two; exec sleep 1000"]}


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("deployment made --image=served --port=80 --replicas=2", "deployment.apps/made created"),
        ("service clusterip made --tcp=80:8080", "service/made created"),
        ("service nodeport made --tcp=80", "service/made created"),
        ("configmap made --from-literal=colour=blue", "configmap/made created"),
        ("secret generic made --from-literal=colour=blue", "secret/made created"),
    ],
)
def test_create_from_arguments(kubectl: Kubectl, arguments: str, said: str) -> None:
    """kubectl from 1.32 on sends these in protobuf."""
    assert kubectl.ok("create", *arguments.split()) == f"{said}\n"
    assert kubectl.object(arguments.split()[0], "made")["metadata"]["name"] == "made"


def test_apply_twice(kubectl: Kubectl) -> None:
    assert kubectl.ok("apply", "-f", "-", stdin=service()) == "service/shop created\n"
    assert kubectl.ok("apply", "-f", "-", stdin=service()) == "service/shop unchanged\n"


def test_apply_removes_what_left_the_manifest_and_keeps_what_others_set(kubectl: Kubectl) -> None:
    kubectl.ok("apply", "-f", "-", stdin=service(sessionAffinity="ClientIP", externalIPs=["192.0.2.7"]))
    kubectl.ok("label", "svc", "shop", "tier=front")
    assert kubectl.ok("apply", "-f", "-", stdin=service(type="NodePort")) == "service/shop configured\n"
    found = kubectl.object("svc", "shop")
    assert found["metadata"]["labels"] == {"tier": "front"}
    assert found["spec"]["sessionAffinity"] == "None"
    assert "externalIPs" not in found["spec"]
    assert found["spec"]["ports"][0]["nodePort"] >= 30000


def test_apply_keeps_replicas_that_somebody_scaled(kubectl: Kubectl) -> None:
    manifest = deployment().replace("  replicas: 1\n", "")
    kubectl.ok("apply", "-f", "-", stdin=manifest)
    kubectl.ok("scale", "deployment", "shop", "--replicas=2")
    kubectl.ok("apply", "-f", "-", stdin=manifest.replace("image: served", "image: other"))
    assert kubectl.object("deployment", "shop")["spec"]["replicas"] == 2


def test_apply_after_testbed_apply(kubectl: Kubectl) -> None:
    """Both keep what was applied last in the same place, so one goes on where the other was."""
    manifest = service().replace("name: shop\n", f"name: shop\n  namespace: {kubectl.namespace}\n", 1)
    with_range = manifest.replace("  ports:", "  externalIPs: [192.0.2.7]\n  ports:", 1)
    assert kubectl.lab.ok("apply", "-f", "-", stdin=with_range) == "service/shop created\n"
    assert kubectl.ok("apply", "-f", "-", stdin=with_range) == "service/shop unchanged\n"
    assert kubectl.ok("apply", "-f", "-", stdin=manifest) == "service/shop configured\n"
    assert "externalIPs" not in kubectl.object("svc", "shop")["spec"]


def test_apply_of_what_is_wrong(kubectl: Kubectl) -> None:
    done = kubectl.run("apply", "-f", "-", stdin=service(sessionAffinity="Never"))
    assert done.returncode == 1
    assert 'The Service "shop" is invalid: spec.sessionAffinity: Unsupported value: "Never"' in done.stderr


def test_apply_of_a_type_that_is_wrong(kubectl: Kubectl) -> None:
    done = kubectl.run("apply", "-f", "-", stdin=service(ports="many"))
    assert done.returncode == 1
    assert "cannot be handled as a Service" in done.stderr


def test_create_and_create_again(kubectl: Kubectl) -> None:
    assert kubectl.ok("create", "-f", "-", stdin=service()) == "service/shop created\n"
    done = kubectl.run("create", "-f", "-", stdin=service())
    assert done.returncode == 1
    assert (
        'Error from server (AlreadyExists): error when creating "STDIN": services "shop" already'
        in done.stderr
    )


def test_replace(kubectl: Kubectl) -> None:
    kubectl.ok("create", "-f", "-", stdin=service())
    found = kubectl.object("svc", "shop")
    found["spec"]["sessionAffinity"] = "ClientIP"
    assert kubectl.ok("replace", "-f", "-", stdin=json.dumps(found)) == "service/shop replaced\n"
    done = kubectl.run(
        "replace", "-f", "-", stdin=json.dumps(found | {"spec": {**found["spec"], "type": "NodePort"}})
    )
    assert (done.returncode, "the object has been modified" in done.stderr) == (1, True)


def test_edit(kubectl: Kubectl) -> None:
    kubectl.ok("create", "-f", "-", stdin=service())
    told = kubectl.ok(
        "edit", "svc", "shop", EDITOR="sed -i s/sessionAffinity:.None/sessionAffinity:\\ ClientIP/"
    )
    assert told == "service/shop edited\n"
    assert kubectl.object("svc", "shop")["spec"]["sessionAffinity"] == "ClientIP"


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("strategic", {"spec": {"ports": [{"port": 80, "targetPort": 9090}]}}),
        ("merge", {"spec": {"ports": [{"name": "http", "port": 80, "targetPort": 9090}]}}),
        ("json", [{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 9090}]),
    ],
)
def test_patch(kubectl: Kubectl, kind: str, patch: Any) -> None:
    kubectl.ok("create", "-f", "-", stdin=service())
    assert (
        kubectl.ok("patch", "svc", "shop", "--type", kind, "-p", json.dumps(patch))
        == "service/shop patched\n"
    )
    (port,) = kubectl.object("svc", "shop")["spec"]["ports"]
    assert (port["name"], port["targetPort"]) == ("http", 9090)


def test_label_and_annotate(kubectl: Kubectl) -> None:
    kubectl.ok("create", "-f", "-", stdin=service())
    kubectl.ok("label", "svc", "shop", "tier=front")
    kubectl.ok("annotate", "svc", "shop", "note=some words")
    kubectl.ok("label", "svc", "shop", "tier-", "app=shop")
    metadata = kubectl.object("svc", "shop")["metadata"]
    assert (metadata["labels"], metadata["annotations"]) == ({"app": "shop"}, {"note": "some words"})


def test_delete(kubectl: Kubectl) -> None:
    kubectl.ok("create", "-f", "-", stdin=service())
    assert kubectl.ok("delete", "svc", "shop").startswith('service "shop" deleted')
    assert kubectl.run("get", "svc", "shop").returncode == 1


def test_delete_waits_for_the_end_of_a_pod(kubectl: Kubectl) -> None:
    kubectl.ok("create", "-f", "-", stdin=m.text(m.pod("a")))
    kubectl.ok("wait", "--for=condition=Ready", "pod/a", f"--timeout={SECONDS:g}s")
    kubectl.ok("delete", "pod", "a", "--grace-period=1")
    assert kubectl.ok("get", "pods", "-o", "name") == ""


def test_delete_takes_dependents_along(kubectl: Kubectl) -> None:
    kubectl.ok("apply", "-f", "-", stdin=deployment(2))
    until(lambda: len(kubectl.ok("get", "pods", "-o", "name").split()) == 2, "the pods to come")
    kubectl.ok("delete", "deployment", "shop")
    until(lambda: not kubectl.ok("get", "pods,rs", "-o", "name"), "the pods to go")


def test_delete_by_label(kubectl: Kubectl) -> None:
    kubectl.ok("create", "-f", "-", stdin=service())
    kubectl.ok("label", "svc", "shop", "tier=front")
    assert kubectl.ok("delete", "svc", "-l", "tier=front").startswith('service "shop" deleted')


def test_delete_a_namespace_with_all_in_it(kubectl: Kubectl) -> None:
    kubectl.ok("create", "-f", "-", stdin=service())
    kubectl.ok("delete", "namespace", kubectl.namespace)
    assert kubectl.run("get", "namespace", kubectl.namespace).returncode == 1


@pytest.mark.parametrize(("what", "why"), [("node/node1", "forbidden"), ("ns/default", "forbidden")])
def test_delete_of_what_must_stay(shared: Kubectl, what: str, why: str) -> None:
    done = shared.run("delete", what)
    assert (done.returncode, why in done.stderr) == (1, True)


# ── workloads ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_deployment_from_rollout_to_scale(kubectl: Kubectl) -> None:
    kubectl.ok("apply", "-f", "-", stdin=deployment(2))
    told = kubectl.ok("rollout", "status", "deployment/shop", f"--timeout={SECONDS:g}s")
    assert 'deployment "shop" successfully rolled out' in told
    assert kubectl.table("deployment", "shop")[1][1:4] == ["2/2", "2", "2"]
    assert kubectl.ok("scale", "deployment/shop", "--replicas=3") == "deployment.apps/shop scaled\n"
    kubectl.ok("wait", "--for=condition=Available", "deployment/shop", f"--timeout={SECONDS:g}s")
    until(lambda: kubectl.table("deployment", "shop")[1][1] == "3/3", "three replicas")


def test_scale_only_from_a_number_that_is_true(kubectl: Kubectl) -> None:
    kubectl.ok("apply", "-f", "-", stdin=deployment())
    done = kubectl.run("scale", "deployment/shop", "--current-replicas=5", "--replicas=2")
    assert (done.returncode, "Expected replicas to be 5, was 1" in done.stderr) == (1, True)


def test_rollout_of_a_new_image_and_back(kubectl: Kubectl) -> None:
    kubectl.ok("apply", "-f", "-", stdin=deployment())
    kubectl.ok("set", "image", "deployment/shop", "app=other")
    kubectl.ok("rollout", "undo", "deployment/shop")
    containers = kubectl.object("deployment", "shop")["spec"]["template"]["spec"]["containers"]
    assert containers[0]["image"] == "served"
    kubectl.ok("rollout", "status", "deployment/shop", f"--timeout={SECONDS:g}s")


def test_history_and_undo_to_a_revision(kubectl: Kubectl) -> None:
    kubectl.ok("apply", "-f", "-", stdin=deployment())
    for cause, image in (("first", "served"), ("second", "other"), ("third", "third")):
        kubectl.ok("set", "image", "deployment/shop", f"app={image}")
        kubectl.ok("annotate", "deployment/shop", f"kubernetes.io/change-cause={cause}", "--overwrite")
        kubectl.ok("rollout", "status", "deployment/shop", f"--timeout={SECONDS:g}s")
    rows = kubectl.ok("rollout", "history", "deployment/shop").splitlines()[2:]
    assert [row.split() for row in rows if row] == [["1", "first"], ["2", "second"], ["3", "third"]]
    kubectl.ok("rollout", "undo", "deployment/shop", "--to-revision=1")
    found = kubectl.object("deployment", "shop")
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "served"
    assert found["metadata"]["annotations"]["kubernetes.io/change-cause"] == "first"


def test_wait_for_what_does_not_come(kubectl: Kubectl) -> None:
    kubectl.ok("create", "-f", "-", stdin=m.text(m.pod("a", spec={"nodeSelector": {"none": "such"}})))
    done = kubectl.run("wait", "--for=condition=Ready", "pod/a", "--timeout=1s")
    assert (done.returncode, "timed out waiting for the condition" in done.stderr) == (1, True)


def test_logs(kubectl: Kubectl) -> None:
    kubectl.ok("create", "-f", "-", stdin=m.text(m.pod("a", **COMMANDED)))
    until(lambda: kubectl.run("logs", "a").stdout == "one\ntwo\n", "the pod to write")
    assert kubectl.ok("logs", "a", "--tail=1") == "two\n"


def test_logs_have_times(kubectl: Kubectl) -> None:
    kubectl.ok("create", "-f", "-", stdin=m.text(m.pod("a", **COMMANDED)))
    until(lambda: kubectl.run("logs", "a").stdout == "one\ntwo\n", "the pod to write")
    stamps = [line.split()[0] for line in kubectl.ok("logs", "a", "--timestamps").splitlines()]
    assert stamps == sorted(stamps)
    assert kubectl.ok("logs", "a", "--since=1h") == "one\ntwo\n"
    assert kubectl.ok("logs", "a", f"--since-time={stamps[0][:4]}-12-31T23:59:59Z") == ""


def test_logs_of_the_life_before(kubectl: Kubectl) -> None:
    marked = {"command": ["sh", "-c", "cat /proc/sys/kernel/random/uuid; exec sleep 1000"]}
    kubectl.ok("create", "-f", "-", stdin=m.text(m.pod("a", **marked)))
    until(lambda: kubectl.run("logs", "a").stdout, "the pod to write")
    before = kubectl.ok("logs", "a")
    pid = kubectl.object("pod", "a")["status"]["containerStatuses"][0]["containerID"].partition("://")[2]
    kubectl.lab.ok("exec", "node/node1", "--", "kill", "-9", pid)
    until(lambda: kubectl.run("logs", "a").stdout not in ("", before), "the next life")
    assert kubectl.ok("logs", "a", "--previous") == before


def test_logs_followed_until_the_pod_ends(kubectl: Kubectl) -> None:
    short = {"command": ["sh", "-c", "echo one; sleep 1; echo two"]}
    kubectl.ok("create", "-f", "-", stdin=m.text(m.pod("a", spec={"restartPolicy": "Never"}, **short)))
    until(lambda: kubectl.run("logs", "a").stdout, "the pod to write")
    assert kubectl.ok("logs", "-f", "a") == "one\ntwo\n"


def test_watch(kubectl: Kubectl) -> None:
    """It ends of itself, by the server's timeout, which kubectl hands on as --request-timeout."""
    kubectl.ok("create", "-f", "-", stdin=service())
    rows = kubectl.run("get", "svc", "--watch", "--request-timeout=2s").stdout.splitlines()
    assert [row.split()[0] for row in rows] == ["NAME", "shop"]


def test_a_watch_tells_what_happens(kubectl: Kubectl) -> None:
    argv = [
        "kubectl",
        f"--cache-dir={kubectl.home}/cache",
        "-n",
        kubectl.namespace,
        "get",
        "svc",
        "-w",
        "-o",
        "name",
    ]
    with subprocess.Popen(argv, env=kubectl.env, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        kubectl.ok("create", "-f", "-", stdin=service())
        assert watching.stdout.readline() == "service/shop\n"
        kubectl.ok("delete", "svc", "shop")
        assert watching.stdout.readline() == "service/shop\n"
        watching.kill()
