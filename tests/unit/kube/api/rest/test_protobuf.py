"""What kubectl 1.32 sends for `kubectl create KIND …`, recorded: read as what it stands for, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.errors import StatusError
from testbed.kube.api.rest import protobuf
from tests.house.source import ROOT
from tests.unit.kube.api.rest.asking import APPS, DEFAULT, asked, value

FOLDER = ROOT / "tests/data/kubectl-protobuf"
RECORDED = sorted(FOLDER.glob("*.bin"))
DEPLOYMENT = (FOLDER / "deployment-two-containers.bin").read_bytes()


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda path: path.stem)
def test_what_kubectl_sent_is_the_object_that_it_prints(recorded: Path) -> None:
    assert protobuf.decoded(recorded.read_bytes()) == json.loads(recorded.with_suffix(".json").read_text())


def test_it_is_created() -> None:
    api = asked()
    told = api.ask(
        "POST", f"{APPS}/deployments", DEPLOYMENT, content_type="application/vnd.kubernetes.protobuf"
    )
    spec = value(told, 201)["spec"]
    assert [container["image"] for container in spec["template"]["spec"]["containers"]] == [
        "nginx",
        "busybox",
    ]
    assert spec["replicas"] == 0, "a zero behind a pointer is a zero"


def test_an_object_in_the_wrong_place_is_refused() -> None:
    told = asked().ask(
        "POST", f"{DEFAULT}/services", DEPLOYMENT, content_type="application/vnd.kubernetes.protobuf"
    )
    assert value(told, 400)["reason"] == "BadRequest"


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        pytest.param(b"{}", 400, "no protobuf of Kubernetes", id="no protobuf"),
        pytest.param(DEPLOYMENT[:40], 400, "unrecognized", id="cut off"),
        pytest.param(
            DEPLOYMENT.replace(b"Deployment", b"Deploymenu"), 415, "Deploymenu is not read", id="kind"
        ),
        pytest.param(
            b"k8s\0"
            + bytes([10, 15, 10, 2])
            + b"v1"
            + bytes([18, 9])
            + b"Namespace"
            + bytes([18, 2, 0x7A, 0]),
            415,
            "field 15 of Namespace is not read in protobuf; send JSON: kubectl create",
            id="field",
        ),
        pytest.param(DEPLOYMENT.replace(b"nginx", b"ngi\xffx"), 400, "unrecognized", id="no UTF-8"),
    ],
)
def test_what_is_not_known_is_refused(body: bytes, code: int, message: str) -> None:
    with pytest.raises(StatusError, match=message) as caught:
        protobuf.decoded(body)
    assert caught.value.code == code


@given(st.sampled_from(RECORDED), st.data())
def test_damage_is_a_status(recorded: Path, data: st.DataObject) -> None:
    damaged = bytearray(recorded.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(4, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert json.dumps(protobuf.decoded(bytes(damaged)))
    except StatusError as error:
        assert error.code in (400, 415)
