"""Every case file says something that can be judged: its format, its manifests, its names, its words."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed.datapaths import find
from testbed.kube.objects import load_text
from tests.net import case_file
from tests.net.case import Case, Host
from tests.net.targets import PLACEHOLDER

FILES = case_file.case_files()
DATAPATHS = {"ebpf", "iptables", "ipvs", "nftables"}
BASE = {"node/node1", "node/node2", "client/client1", "client/client2"}
# A case that named a mechanism would judge that one only. Datapaths' own names come on top.
MECHANISMS = (
    "chain",
    "dnat",
    "snat",
    "conntrack",
    "netfilter",
    "kube-proxy",
    "xdp",
    "virtual server",
    "ipset",
)
EXAMPLES = {"IPv4": "10.244.0.99", "IPv6": "fd00:10:244::99"}


KNOWN_TESTS = {
    line for line in (Path(__file__).parents[2] / "data/sig-network-e2e.txt").read_text().splitlines() if line
}


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@functools.cache
def case_at(path: Path) -> Case:
    return case_file.load(path)


def example(text: str) -> str:
    """The manifests with some address in each placeholder."""
    return PLACEHOLDER.sub(lambda match: EXAMPLES[match["family"] or "IPv4"], text)


def named(case: Case, kind: str) -> set[str]:
    """The objects of a kind in all steps of a case."""
    loaded = [body for step in case.steps for body in yaml.safe_load_all(step.apply) if body]
    return {body["metadata"]["name"] for body in loaded if body["kind"] == kind}


def test_there_are_enough() -> None:
    assert len(FILES) >= 150


@pytest.mark.parametrize("path", FILES, ids=name)
def test_its_manifests_are_right(path: Path) -> None:
    """But for those that shall be rejected, by whoever finds it out first."""
    for step in case_at(path).steps:
        if step.apply.strip() and not step.rejected:
            assert load_text(example(step.apply), path.name).warnings == ()


@pytest.mark.parametrize("path", FILES, ids=name)
def test_it_names_only_what_is_there(path: Path) -> None:
    case = case_at(path)
    there = (
        BASE | {f"pod/{pod}" for pod in named(case, "Pod")} | {f"s/{name}" for name in named(case, "Service")}
    )
    meant = set()
    for packet in (packet for step in case.steps for packet in step.packets):
        to, expect = packet.destination, packet.expect
        plain = to.kind in ("pod", "node")
        meant |= {str(packet.sender)}
        meant |= {str(Host(to.kind if plain else "s", to.name))} if to.kind != "address" else set()
        meant |= {endpoint.partition(":")[0] for endpoint in expect.endpoints}
        meant |= {f"node/{to.via}"} if to.via not in ("", "localhost") else set()
        meant |= {expect.source} - {"", "sender"}
    assert meant <= there


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_word_of_a_mechanism(path: Path) -> None:
    """But for what is otherwise by design, and the annotations of ours that name one."""
    words = re.compile(rf"\b({'|'.join((*find.names(), *MECHANISMS))})", re.IGNORECASE)
    told = without_unlike(yaml.safe_load(path.read_text()))
    assert not words.findall(yaml.safe_dump(told).replace("testbed.dev/ipvs-scheduler", ""))


def without_unlike(value: Any) -> Any:
    """The content of a case, or a part of it, without what it says of one datapath, and of Kubernetes' tests."""
    if isinstance(value, dict):
        return {key: without_unlike(part) for key, part in value.items() if key not in ("unlike", "e2e")}
    return [without_unlike(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("path", FILES, ids=name)
def test_who_does_otherwise_is_a_datapath(path: Path) -> None:
    packets = (packet for step in case_at(path).steps for packet in step.packets)
    assert {datapath for packet in packets for datapath in packet.unlike} <= DATAPATHS


@pytest.mark.parametrize("path", FILES, ids=name)
def test_the_end_to_end_tests_that_it_names_exist(path: Path) -> None:
    assert set(case_at(path).e2e) <= KNOWN_TESTS
