"""A stock kubectl, whichever version is on PATH, against a lab instance: `testbed kubeconfig` lets it in.

One instance for all tests of a worker; a test that writes does so in a namespace of its own.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.net import manifests as m
from tests.net.command import ROOT, SECONDS, Command, Done, command, deployed
from tests.require import require
from tests.waiting import until

COMMANDED = {"command": ["sh", "-c", "echo one; echo two; exec sleep 1000"]}
PORTS = [{"name": "http", "port": 80, "targetPort": 8080}]
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl with the kubeconfig of a lab, in the home of who deployed that."""

    lab: Command
    namespace: str = "default"

    @property
    def home(self) -> Path:
        return self.lab.person.home

    @property
    def env(self) -> dict[str, str]:
        return {**self.lab.person.env, "KUBECONFIG": str(self.home / "config"), "HOME": str(self.home)}

    def run(self, *arguments: str, stdin: str = "", **env: str) -> Done:
        """Run it to its end, whatever that is."""
        argv = [
            *self.lab.person.prefix,
            "kubectl",
            f"--cache-dir={self.home}/cache",
            "-n",
            self.namespace,
            *arguments,
        ]
        return subprocess.run(
            argv, cwd=ROOT, env={**self.env, **env}, input=stdin, capture_output=True, text=True, check=False,
            timeout=SECONDS,
        )  # fmt: skip

    def ok(self, *arguments: str, stdin: str = "", **env: str) -> str:
        """Run it; it must succeed. What it printed."""
        done = self.run(*arguments, stdin=stdin, **env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def table(self, *arguments: str) -> list[list[str]]:
        """What `get` prints: rows of words, two spaces or more apart."""
        return [re.split(r"\s{2,}", line.strip()) for line in self.ok("get", *arguments).splitlines()]

    def object(self, *arguments: str) -> dict[str, Any]:
        """An object, or a list, as JSON."""
        found: dict[str, Any] = json.loads(self.ok("get", "-o", "json", *arguments))
        return found


def given(lab: Command) -> Kubectl:
    """kubectl for who deployed the lab."""
    lab.ok("kubeconfig", "-o", str(lab.person.home / "config"))
    return Kubectl(lab)


@pytest.fixture(scope="module")
def shared() -> Iterator[Kubectl]:
    """kubectl, and a lab with two nodes, a Service and the two pods behind it, one of them of two containers."""
    require("kubectl")
    web = m.text(m.cluster(2), *m.pods(2), m.service(selector={"app": "web"}))
    with deployed("kubectl", manifests=web) as lab:
        yield given(lab)


@pytest.fixture
def kubectl(shared: Kubectl) -> Kubectl:
    """The same in an empty namespace."""
    name = f"test-{os.getpid()}-{next(_numbers)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    shared.ok("create", "-f", "-", stdin=m.text(body))
    return replace(shared, namespace=name)


def service(**spec: Any) -> str:
    """A Service as YAML, its address left to the server."""
    body = {"selector": {"app": "shop"}, "ports": PORTS} | spec
    return m.text({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop"}, "spec": body})


def deployment(replicas: int = 1, **fields: Any) -> str:
    """A Deployment as YAML."""
    return m.text(m.deployment(replicas, "shop", **fields))


# ── looking ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "header", "row"),
    [
        ("pods", ["NAME", "READY", "STATUS", "RESTARTS", "AGE"], ["web-1", "1/1", "Running", "0"]),
        ("svc", ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"],
         ["web", "ClusterIP", "10.96.0.10", "<none>", "80/TCP"]),
        ("nodes", ["NAME", "STATUS", "ROLES", "AGE", "VERSION"], ["node1", "Ready", "<none>"]),
        ("endpointslices", ["NAME", "ADDRESSTYPE", "PORTS", "ENDPOINTS", "AGE"], []),
        ("ns", ["NAME", "STATUS", "AGE"], ["default", "Active"]),
    ],
)  # fmt: skip
def test_get(shared: Kubectl, kind: str, header: list[str], row: list[str]) -> None:
    first, second, *_ = shared.table(kind)
    assert (first, second[: len(row)]) == (header, row)


def test_get_of_one_slice(shared: Kubectl) -> None:
    _, row = shared.table("endpointslices", "-l", "kubernetes.io/service-name=web")
    assert row[1:3] == ["IPv4", "8080"]
    assert len(row[3].split(",")) == 2


def test_get_wide(shared: Kubectl) -> None:
    header, row = shared.table("pod", "web-1", "-o", "wide")
    assert {"IP", "NODE"} <= set(header)
    assert row[header.index("NODE")] in ("node1", "node2")


def test_get_all_namespaces(shared: Kubectl) -> None:
    header, *rows = shared.table("pods", "-A")
    assert header[0] == "NAMESPACE"
    assert ["default", "web-1"] in [row[:2] for row in rows]


def test_get_names(shared: Kubectl) -> None:
    assert shared.ok("get", "pods", "-o", "name").split() == ["pod/web-1", "pod/web-2"]


def test_get_yaml(shared: Kubectl) -> None:
    found = yaml.safe_load(shared.ok("get", "svc", "web", "-o", "yaml"))
    assert (found["kind"], found["spec"]["clusterIP"]) == ("Service", "10.96.0.10")


def test_get_json(shared: Kubectl) -> None:
    found = shared.object("pods")
    assert (found["kind"], [pod["kind"] for pod in found["items"]]) == ("List", ["Pod", "Pod"])


def test_get_by_label(shared: Kubectl) -> None:
    assert shared.ok("get", "pods", "-l", "app in (web),!none", "-o", "name").split() == [
        "pod/web-1",
        "pod/web-2",
    ]


def test_get_by_field(shared: Kubectl) -> None:
    node = shared.object("pod", "web-1")["spec"]["nodeName"]
    names = shared.ok(
        "get", "pods", "--field-selector", f"spec.nodeName={node},metadata.name=web-1", "-o", "name"
    )
    assert names == "pod/web-1\n"


def test_get_in_pieces(shared: Kubectl) -> None:
    assert len(shared.ok("get", "pods", "--chunk-size=1", "-o", "name").split()) == 2


def test_get_of_nothing(kubectl: Kubectl) -> None:
    done = kubectl.run("get", "pods")
    assert (done.returncode, done.stderr) == (0, f"No resources found in {kubectl.namespace} namespace.\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pod", "none"], 'Error from server (NotFound): pods "none" not found'),
        (["deployment", "none"], 'Error from server (NotFound): deployments.apps "none" not found'),
        (["cars"], 'error: the server doesn\'t have a resource type "cars"'),
        (["pods", "--field-selector", "spec.colour=red"], "field label not supported: spec.colour"),
    ],
)
def test_get_of_what_is_not_there(shared: Kubectl, words: list[str], message: str) -> None:
    done = shared.run("get", *words)
    assert done.returncode == 1
    assert message in done.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["pod", "web-1"],
            ["Status:       Running", "Containers:", "Ready:          True", "8080/TCP"],
        ),
        (["svc", "web"], ["Type:", "ClusterIP", "10.96.0.10", "Endpoints:", "10.244."]),
        (["node", "node1"], ["InternalIP:  192.168.0.1", "PodCIDR:", "Non-terminated Pods:"]),
        (["ns", "default"], ["Status:       Active"]),
    ],
)
def test_describe(shared: Kubectl, words: list[str], expected: list[str]) -> None:
    told = shared.ok("describe", *words)
    assert [part for part in expected if part not in told] == []


def test_api_resources(shared: Kubectl) -> None:
    rows = [line.split() for line in shared.ok("api-resources", "--no-headers").splitlines()]
    assert ["services", "svc", "v1", "true", "Service"] in rows
    assert ["deployments", "deploy", "apps/v1", "true", "Deployment"] in rows


def test_api_versions(shared: Kubectl) -> None:
    assert {"v1", "apps/v1", "discovery.k8s.io/v1"} <= set(shared.ok("api-versions").split())


def test_version(shared: Kubectl) -> None:
    told = json.loads(shared.ok("version", "-o", "json"))
    assert (told["serverVersion"]["major"], told["serverVersion"]["minor"]) == ("1", "36")


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────


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


def test_wait_for_what_does_not_come(kubectl: Kubectl) -> None:
    kubectl.ok("create", "-f", "-", stdin=m.text(m.pod("a", spec={"nodeSelector": {"none": "such"}})))
    done = kubectl.run("wait", "--for=condition=Ready", "pod/a", "--timeout=1s")
    assert (done.returncode, "timed out waiting for the condition" in done.stderr) == (1, True)


def test_logs(kubectl: Kubectl) -> None:
    kubectl.ok("create", "-f", "-", stdin=m.text(m.pod("a", **COMMANDED)))
    until(lambda: kubectl.run("logs", "a").stdout == "one\ntwo\n", "the pod to write")
    assert kubectl.ok("logs", "a", "--tail=1") == "two\n"


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


# ── coming in ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_wrong_token_is_refused(shared: Kubectl) -> None:
    done = shared.run("get", "pods", "--token=wrong")
    assert (done.returncode, "You must be logged in to the server" in done.stderr) == (1, True)


def test_the_file_is_its_owners_alone(shared: Kubectl) -> None:
    assert stat.S_IMODE((shared.home / "config").stat().st_mode) == 0o600


def test_a_foreign_kubeconfig_is_not_overwritten() -> None:
    with deployed("kubectl", manifests=m.text(m.cluster())) as lab:
        mine = lab.person.home / "mine"
        mine.write_text("apiVersion: v1\nkind: Config\n")
        done = lab.run("kubeconfig", "-o", str(mine))
        assert (done.returncode, "was not made by testbed" in done.stderr) == (2, True)
        assert mine.read_text() == "apiVersion: v1\nkind: Config\n"


def test_a_second_kubeconfig_is_the_first_one() -> None:
    with deployed("kubectl", manifests=m.text(m.cluster())) as lab:
        first = lab.ok("kubeconfig")
        assert lab.ok("kubeconfig") == first
        assert yaml.safe_load(first)["current-context"] == f"testbed-{lab.name}"


def test_no_instance_no_kubeconfig() -> None:
    with command("kubectl") as lab:
        assert lab.run("kubeconfig").returncode == 2


def test_an_ordinary_user_comes_in() -> None:
    require("kubectl")
    with deployed("kubectl", "ordinary", m.text(m.cluster(), *m.pods(1))) as lab:
        assert given(lab).table("pods")[1][:3] == ["web-1", "1/1", "Running"]
