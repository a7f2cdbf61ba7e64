"""The topologies that come along: the lab's own way to build them, and stock Mininet's, give the same network."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.cluster import topologies
from tests.net.command import ROOT, Command, deployed
from tests.require import require

SHAPES = {"one-node": (1, 5), "three-nodes": (3, 20), "ten-nodes": (10, 200)}  # nodes, pods
DEBIAN_PYTHON = "/usr/bin/python3"  # what Mininet's package runs under
FILE = ROOT / "topologies" / "mn.py"

# Its own users, network, mounts and processes: whatever `mn` does, also when it tidies up after an error by
# killing by name and removing /tmp/*.log, it does there.
PRIVATE = [
    "unshare",
    "--user",
    "--map-root-user",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
]
PREPARE = """
mount -t tmpfs none /run && cp -r "$0" /run/topologies && mount -t tmpfs none /tmp && cd /run && exec "$@"
"""

Link = frozenset[tuple[str, str]]  # (host, device) of both ends


def test_these_topologies_come_along() -> None:
    assert set(topologies.names()) == set(SHAPES)


@pytest.fixture(scope="module", params=SHAPES)
def lab(request: pytest.FixtureRequest) -> Iterator[tuple[str, Command]]:
    with deployed("shape", topology=request.param) as made:
        yield request.param, made


@pytest.fixture(scope="module")
def stock() -> dict[str, Any]:
    """The classes that mn.py hands to Mininet."""
    require("mininet")
    spec = importlib.util.spec_from_file_location("mn_topologies", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, Any] = module.topos
    return found


def network_of(made: Command) -> dict[str, Any]:
    network: dict[str, Any] = json.loads(made.ok("inspect", "-o", "json"))["network"]
    return network


def test_the_lab_has_the_nodes_and_pods_that_the_name_says(lab: tuple[str, Command]) -> None:
    name, made = lab
    network = network_of(made)
    assert (len(network["nodes"]), len(network["pods"])) == SHAPES[name]


def test_both_have_the_same_hosts_addresses_and_macs(lab: tuple[str, Command], stock: dict[str, Any]) -> None:
    name, made = lab
    network, topo = network_of(made), stock[name]()
    ours = {
        place["netns"]: (place["addresses"][0], place["addresses"][1], place["mac"])
        for place in (*network["nodes"], *network["clients"], *network["pods"])
    }
    macs = {link[2]["node1"]: link[2]["addr1"] for link in topo.links(withInfo=True)}
    theirs = {host: (*addresses(topo.nodeInfo(host)), macs[host]) for host in topo.hosts()}
    assert theirs == ours


def addresses(info: dict[str, Any]) -> tuple[str, str]:
    """The first address, which Mininet sets, and the one of the first command."""
    added = next(c for c in info["commands"] if c.startswith("ip -6 addr add "))
    return info["ip"].split("/")[0], added.split()[4].split("/")[0]


def test_both_have_the_same_links(lab: tuple[str, Command], stock: dict[str, Any]) -> None:
    name, made = lab
    network, topo = network_of(made), stock[name]()
    ours = {
        frozenset({(place["netns"], place["device"]), (network["switch"], place["switchDevice"])})
        for place in (*network["nodes"], *network["clients"])
    } | {frozenset({(p["netns"], p["device"]), (p["node"], p["nodeDevice"])}) for p in network["pods"]}
    theirs: set[Link] = {
        frozenset({(each["node1"], each["intfName1"]), (each["node2"], each["intfName2"])})
        for _, _, each in topo.links(withInfo=True)
    }
    assert theirs == ours


def test_no_device_name_is_longer_than_the_kernel_takes(stock: dict[str, Any]) -> None:
    links = [link[2] for topo in stock.values() for link in topo().links(withInfo=True)]
    assert max(len(link[end]) for link in links for end in ("intfName1", "intfName2")) <= 15


@pytest.mark.parametrize("name", ["one-node", "three-nodes"])
def test_with_stock_mininet_everybody_reaches_everybody(name: str) -> None:
    said = mn("--topo", name, "--switch", "lxbr", "--controller", "none", "--test", "pingall")
    nodes, pods = SHAPES[name]
    pairs = (nodes + pods + 1) * (nodes + pods)
    assert f"*** Results: 0% dropped ({pairs}/{pairs} received)" in said
    assert not re.search(r"error|cannot|invalid|exists", said, re.IGNORECASE)


def test_the_machines_limits_are_left_alone() -> None:
    """Mininet raises limits of the whole machine when it first builds something, unless it is told not to."""
    require("mininet")
    script = (
        "import sys; exec(compile(open(sys.argv[1]).read(), sys.argv[1], 'exec'), {});"
        "from mininet.net import Mininet; print(Mininet.inited)"
    )
    done = subprocess.run(
        [DEBIAN_PYTHON, "-c", script, str(FILE)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


def mn(*options: str) -> str:
    """What stock Mininet says, run in a private sandbox under Debian's Python."""
    require("mininet", "userns", "ping")
    program = shutil.which("mn")
    assert program is not None
    argv = [DEBIAN_PYTHON, program, "--custom", "/run/topologies/mn.py", *options]
    done = subprocess.run(
        [*PRIVATE, "sh", "-c", PREPARE, str(Path(FILE).parent), *argv],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    return done.stdout + done.stderr
