"""The proof that a lab instance leaves nothing: killed at every stage, by every way, as root and as nobody.

Every instance here is started by a process that ends only when all of its descendants have ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from testbed.machine.process import ProcessId
from tests.net.command import (
    PROGRAM,
    ROOT,
    Command,
    Record,
    Running,
    command,
    finished,
    process_inside,
    quickly,
    record,
)
from tests.net.persons import PERSONS
from tests.net.traces import Witness, witness

NEVER_READY = 1  # the exit code of a deploy that fails
SERVICES = 1000


@pytest.fixture(params=PERSONS)
def lab(request: pytest.FixtureRequest) -> Iterator[Command]:
    with command("gone", request.param) as made:
        yield made


@pytest.fixture
def seen(lab: Command, tmp_path: Path) -> Iterator[Witness]:
    with witness(lab, tmp_path) as made:
        yield made


def started(lab: Command, topology: str) -> tuple[Running, Record]:
    """A deploy under way, with its record as soon as that exists."""
    running = lab.begin_watched(PROGRAM, "deploy", "--name", lab.name, "--topology", topology)
    return running, quickly(lab.record, "the record")


def standing(lab: Command, seen: Witness, topology: str = "one-node") -> tuple[Running, Record]:
    """A lab instance that is ready, its namespaces noted."""
    running, found = started(lab, topology)
    assert running.stdout is not None
    assert "pods ready" in running.stdout.readline()
    assert seen.note_namespaces(found.daemon.pid) > 2
    return running, found


def named(daemon: ProcessId) -> set[str]:
    """The network namespaces that have a name in the sandbox by now."""
    folder = Path(f"/proc/{daemon.pid}/root/run/netns")
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


MOMENTS: dict[str, Callable[[ProcessId], bool]] = {
    "record": lambda daemon: True,
    "switch": lambda daemon: "s1:" in Path(f"/proc/{daemon.pid}/net/dev").read_text(),
    "node": lambda daemon: "node1" in named(daemon),
    "all-nodes": lambda daemon: "client1" in named(daemon),
    "pods": lambda daemon: any(name.startswith("default_") for name in named(daemon)),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_daemon_killed_during_bring_up(lab: Command, seen: Witness, moment: str) -> None:
    running, found = started(lab, "ten-nodes")
    quickly(lambda: MOMENTS[moment](found.daemon), moment)
    seen.note_namespaces(found.daemon.pid)
    found.daemon.kill()
    assert finished(running).returncode == NEVER_READY
    seen.check_nothing_is_left()


@pytest.mark.parametrize("moment", ["record", "pods"])
def test_supervisor_killed_during_bring_up(lab: Command, seen: Witness, moment: str) -> None:
    running, found = started(lab, "ten-nodes")
    quickly(lambda: MOMENTS[moment](found.daemon), moment)
    seen.note_namespaces(found.daemon.pid)
    found.supervisor.kill()
    assert finished(running).returncode == NEVER_READY
    seen.check_nothing_is_left()


def test_destroyed(lab: Command, seen: Witness) -> None:
    running, _ = standing(lab, seen)
    lab.ok("destroy")
    assert finished(running).returncode == 0
    seen.check_nothing_is_left()


def test_daemon_killed_while_it_serves(lab: Command, seen: Witness) -> None:
    running, found = standing(lab, seen, "three-nodes")
    found.daemon.kill()
    assert finished(running).returncode == 0
    seen.check_nothing_is_left()


def test_supervisor_killed_while_it_serves(lab: Command, seen: Witness) -> None:
    running, found = standing(lab, seen)
    found.supervisor.kill()
    assert finished(running).returncode == 0
    assert not found.daemon.alive()
    other = Command(lab.person, f"{lab.name}-b")
    other.ok("deploy")
    other.ok("destroy")
    seen.check_nothing_is_left()


def services() -> str:
    """Many Services in front of the topology's pods, as one document."""
    ports = [{"port": 80, "targetPort": 8080}]
    items = [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"svc-{number}"},
         "spec": {"selector": {"app": "web"}, "ports": ports}}
        for number in range(SERVICES)
    ]  # fmt: skip
    return yaml.dump({"apiVersion": "v1", "kind": "List", "items": items})


def test_daemon_killed_during_a_sync(lab: Command, seen: Witness) -> None:
    running, found = standing(lab, seen)
    manifests = lab.person.home / "services.yaml"
    manifests.write_text(services())
    with lab.begin("apply", "--wait", "-f", str(manifests)) as applying:
        quickly(lambda: process_inside(found.daemon, "tables-nft-restore"), "a restore")
        found.daemon.kill()
        told = finished(applying)
    assert told.returncode == 1
    assert "the daemon went away" in told.stderr
    assert finished(running).returncode == 0
    seen.check_nothing_is_left()


SCENARIO = """
apiVersion: testbed.dev/v1alpha1
kind: Scenario
metadata: {name: tiny}
title: A tiny scenario
question: Does anything stay?
manifests: manifests
client: client
target: {service: zz-target, udpPort: 9, tcpPort: 80}
arms:
- {id: direct, datapath: none, path: direct, services: [0]}
- {id: nft, datapath: iptables, variant: nft, path: service, services: [1]}
probes:
- {probe: established, count: 2000, rate: 1000, warmUp: 10, load: [0]}
repeats: 20
"""


@pytest.mark.parametrize("arm", [0, 1])
def test_daemon_killed_during_a_measurement(lab: Command, seen: Witness, arm: int) -> None:
    home = lab.person.home
    (home / "scenario.yaml").write_text(SCENARIO)
    (home / "manifests").symlink_to(ROOT / "scenarios/first-light/manifests")
    running = lab.begin_watched(PROGRAM, "bench", str(home), "--out", str(home / "out"))
    assert running.stderr is not None
    assert any("repeat 1" in line for line in running.stderr)
    bench = int(Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()[0])
    folders = [lab.person.folder(f"bench-{bench}-{number}") for number in (0, 1)]
    records = [record(folder) for folder in folders]
    daemons = [each.daemon for each in records if each is not None]
    for daemon in daemons:
        seen.note_namespaces(daemon.pid)
    daemons[arm].kill()
    assert finished(running).returncode == 1
    assert not [folder for folder in folders if folder.exists()]
    seen.check_nothing_is_left()
