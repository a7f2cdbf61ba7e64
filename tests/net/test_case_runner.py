"""The runner of the cases itself: with real packets, every wrong expectation is told, and nothing stays behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.errors import TestbedError
from testbed.machine.netns import FOLDER
from tests.net import case_file
from tests.net.arms import Arm
from tests.net.case import Case
from tests.net.lab import Lab
from tests.net.labs import Labs
from tests.net.trial import Trial
from tests.require import require

ARM = Arm("iptables", "iptables-nft", {"variant": "nft"})
HEAD = """
title: A case that expects what does not happen
cast: [web, callers]
manifests: |
  apiVersion: v1
  kind: Service
  metadata: {name: web}
  spec:
    ipFamilyPolicy: RequireDualStack
    type: LoadBalancer
    externalTrafficPolicy: Local
    sessionAffinity: SESSION
    selector: {pod: web-1}
    ports:
    - {name: http, port: 80, targetPort: 8080, protocol: TCP}
    - {name: query, port: 80, targetPort: 8080, protocol: UDP}
    - {name: both, port: 81, targetPort: 8080, protocol: TCP}
packets:
- {ROW}
"""
LEFT = """
iptables-nft -t nat -N KUBE-SVC-LEFT
iptables-nft -t nat -A KUBE-SERVICES -d 10.96.0.99 -p tcp --dport 80 \\
    -m comment --comment 'default/left:http cluster IP' -j KUBE-SVC-LEFT
"""
OUTSIDE = "from: client/client1, family: IPv4, to: "


@pytest.fixture(scope="module")
def labs() -> Iterator[Labs]:
    """One lab for all of these."""
    shared = Labs()
    yield shared
    shared.close()


def case(row: str, session: str = "None") -> Case:
    return case_file.parse(HEAD.replace("ROW", row).replace("SESSION", session), Path("wrong.yaml"))


def run(lab: Lab, made: Case) -> list[str]:
    """What is complained about in the first step of a case."""
    lab.begin(made)
    return lab.change(made.steps[0]) + Trial(lab).judged(made.steps[0])


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (
            f'{OUTSIDE}"nodePort/web:http@node1", expect: {{refused: true}}',
            "expected to be refused, but 1 of 1",
        ),
        (
            f'{OUTSIDE}"nodePort/web:http@node1", expect: {{dropped: true}}',
            "expected to be dropped, but 1 of 1",
        ),
        (f'{OUTSIDE}"nodePort/web:http@node2", expect: {{refused: true}}', "refused, but 1 of 1: silent"),
        (f'{OUTSIDE}"nodePort/web:http@node1", expect: {{endpoints: [pod/web-2]}}', "answered by pod/web-1"),
        (
            f'{OUTSIDE}"nodePort/web:http@node1", expect: {{endpoints: [pod/web-1, pod/web-2]}}',
            "never answered by pod/web-2",
        ),
        (
            f'{OUTSIDE}"nodePort/web:http@node1", expect: {{endpoints: ["pod/web-1:9090"]}}',
            "answered by pod/web-1:8080, expected pod/web-1:9090",
        ),
        (
            f'{OUTSIDE}"nodePort/web:http@node1", expect: {{endpoints: [pod/web-1], sourceSeen: node/node1}}',
            "(client/client1), expected node/node1",
        ),
        (
            f"{OUTSIDE}nodePort/web@node1, protocol: UDP, expect: {{dropped: true}}",
            "expected to be dropped, but 1 of 1: pod/web-1:8080",
        ),
        (
            f'{OUTSIDE}"node/node1:9", expect: {{dropped: true}}',
            "expected to be dropped, but 1 of 1: refused",
        ),
        (f'{OUTSIDE}"node/node1:9", expect: {{endpoints: [pod/web-1]}}', "but 1 of 1: refused"),
        (f"{OUTSIDE}healthCheck/web@node1, get: /, expect: {{status: 503}}", "status 200, expected 503"),
        (
            f"{OUTSIDE}healthCheck/web@node1, get: /, expect: {{status: 200, localEndpoints: 3}}",
            "1 local endpoints, expected 3",
        ),
        (
            f'{OUTSIDE}"nodePort/web:http@node1", every: 0.1, count: 3,'
            " expect: {endpoints: [pod/web-1], affinity: expires}",
            "affinity has not expired: 3 times pod/web-1",
        ),
    ],
)
def test_what_is_wrong_is_told(labs: Labs, row: str, told: str) -> None:
    require(ARM.feature)
    wrong = case(row)
    with labs.borrowed(ARM.cluster(wrong)) as lab:
        assert told in "\n".join(run(lab, wrong))


def test_what_is_accepted_though_it_should_be_rejected_is_told(labs: Labs) -> None:
    require(ARM.feature)
    made = case_file.parse(
        "title: A step that expects to be refused\n"
        "packets:\n- {from: client/client1, to: 'node/node1:9', expect: {refused: true}}\n"
        "then:\n- apply: '{apiVersion: v1, kind: ConfigMap, metadata: {name: fine}}'\n"
        "  rejected: no such thing\n"
        "  packets:\n  - {from: client/client1, to: 'node/node1:9', expect: {refused: true}}\n",
        Path("wrong.yaml"),
    )
    with labs.borrowed(ARM.cluster(made)) as lab:
        assert lab.change(made.steps[1]) == ["accepted, though 'no such thing'"]


def test_nothing_stays_behind(labs: Labs) -> None:
    """Not even who was last sent where: the endpoint's list of senders, and the connections that are tracked."""
    require(ARM.feature)
    row = "from: [client/client1, pod/caller-1], to: 'nodePort/web:http@node1', expect: {endpoints: [pod/web-1]}"
    made = case(row, "ClientIP")
    with labs.borrowed(ARM.cluster(made)) as lab:
        assert run(lab, made) == []
        assert traces(lab)
        lab.reset()
        assert traces(lab) == []


def traces(lab: Lab) -> list[str]:
    """Senders that the nodes remember, and flows that they track."""
    script = "cat /proc/net/nf_conntrack; ! test -d /proc/net/xt_recent || cat /proc/net/xt_recent/*"
    inside = (
        f"for node in {' '.join(lab.nodes)}; do nsenter --net={FOLDER}/$node sh -c '{script}' || true; done"
    )
    return [line for line in lab.run(["sh", "-c", inside]).splitlines() if line.strip()]


def test_a_lab_that_something_is_left_in_is_not_used_again(labs: Labs) -> None:
    require(ARM.feature)
    made = case(f'{OUTSIDE}"node/node1:9", expect: {{refused: true}}')
    with pytest.raises(TestbedError, match="not as before"), labs.borrowed(ARM.cluster(made)) as lab:
        first = lab.name
        lab.run(["nsenter", f"--net={FOLDER}/node1", "sh", "-ec", LEFT])
    with labs.borrowed(ARM.cluster(made)) as lab:
        assert lab.name != first
