"""kubectl looks: tables, documents, selectors, descriptions, discovery; and how it comes in at all."""

from __future__ import annotations

import json
import stat

import pytest
import yaml

from tests.net import manifests as m
from tests.net.command import command, deployed
from tests.net.kubectl import Kubectl, given
from tests.require import require

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
