"""Kills at random moments: `python -m tests.net.kills.run --rounds 100 --seed 1`.

In each round a lab instance of the same name is deployed, something is done to it, and somebody is killed with
SIGKILL in the middle: the daemon, its supervisor, the command line, or the program that writes the rules. The host
must then be as it was before; where the instance outlives the kill, it must answer, and hold all of an apply or
nothing. Prints one line for each round; exit code 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from testbed.errors import TestbedError
from tests.net.command import PROGRAM, Command, Record, Running, command, finished, process_inside, quickly
from tests.net.traces import Witness, witness

SERVICES = 300
REPLICAS = 30
VICTIMS = ("daemon", "supervisor", "client", "restore")
STAGES = ("deploy", "apply", "scale", "delete", "destroy")
LONGEST = {"deploy": 1.5, "apply": 1.5, "scale": 0.6, "delete": 1.0, "destroy": 0.15}
"""Seconds within which the kill comes: about as long as the stage takes."""


@dataclass(frozen=True, slots=True)
class Round:
    """What is killed, in which stage, and how many seconds after its beginning."""

    number: int
    stage: str
    victim: str
    moment: float

    def __str__(self) -> str:
        return f"round {self.number}: {self.victim} killed {self.moment:.2f} s into {self.stage}"


def rounds(count: int, seed: int) -> Iterator[Round]:
    """Rounds drawn at random, the same ones for the same seed."""
    dice = random.Random(seed)
    for number in range(1, count + 1):
        stage = dice.choice(STAGES)
        # Before an instance stands, and while it goes, nothing else of it is known to be there.
        victims = VICTIMS if stage in ("apply", "scale", "delete") else ("daemon", "supervisor")
        yield Round(number, stage, dice.choice(victims), dice.uniform(0, LONGEST[stage]))


def manifests() -> str:
    """Services in front of a Deployment's pods, as one document."""
    ports = [{"port": 80, "targetPort": 8080}]
    items = [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"svc-{number}"},
         "spec": {"selector": {"app": "many"}, "ports": ports}}
        for number in range(SERVICES)
    ]  # fmt: skip
    return yaml.dump_all([*items, _deployment()])


def _deployment() -> dict[str, object]:
    containers = [{"name": "many", "image": "any", "ports": [{"containerPort": 8080}]}]
    labels = {"app": "many"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec = {"replicas": 3, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "many"}, "spec": spec}


def play(each: Round, lab: Command, folder: Path) -> str:
    """One round; returns how the command under way ended. Raises TestbedError if anything is left or half done."""
    with witness(lab, folder) as seen:
        deploying = lab.begin_watched(PROGRAM, "deploy", "--name", lab.name, "--topology", "three-nodes")
        found = quickly(lab.record, "the record")
        if each.stage == "deploy":
            _kill(each, deploying, deploying, found)
            return _gone(seen, lab, deploying)
        assert deploying.stdout is not None
        if "pods ready" not in deploying.stdout.readline():
            raise TestbedError(f"{each}: the deploy before it failed: {finished(deploying).stderr}")
        seen.note_namespaces(found.daemon.pid)
        told = _disturbed(each, lab, deploying, found)
        return f"{told}; {_gone(seen, lab, deploying)}"


def _disturbed(each: Round, lab: Command, deploying: Running, found: Record) -> str:
    file = lab.person.home / "services.yaml"
    file.write_text(manifests())
    if each.stage in ("scale", "delete"):
        lab.ok("apply", "-f", str(file))
    words = {
        "apply": ("apply", "--wait", "-f", str(file)),
        "scale": ("scale", "deployment/many", f"--replicas={REPLICAS}"),
        "delete": ("delete", "-f", str(file)),
        "destroy": ("destroy",),
    }[each.stage]
    with lab.begin(*words) as running:
        _kill(each, running, deploying, found)
        ended = finished(running)
    if each.victim in ("client", "restore"):
        _still_whole(each, lab)
        found.daemon.kill()
    return f"{words[0]} ended with {ended.returncode}"


def _kill(each: Round, running: Running, deploying: Running, found: Record) -> None:
    """Let the stage go on for a while, then kill; who is gone already is left in peace."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        running.wait(each.moment)
    if each.victim == "client":
        running.kill()
    elif each.victim == "restore":
        pid = process_inside(found.daemon, "tables-nft-restore")
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    elif each.victim == "daemon":
        found.daemon.kill()
    else:
        found.supervisor.kill()


def _still_whole(each: Round, lab: Command) -> None:
    """The instance answers, gets ready, and an interrupted apply brought everything or nothing."""
    lab.ok("wait", "--timeout", "60")
    here = [s for s in lab.get("services") if s["metadata"]["name"].startswith("svc-")]
    if each.stage == "apply" and len(here) not in (0, SERVICES):
        raise TestbedError(f"{each}: {len(here)} of {SERVICES} Services are there")


def _gone(seen: Witness, lab: Command, deploying: Running) -> str:
    """Everything that belonged to the instance has ended, and the host is as it was.

    Where the supervisor was killed nobody was there to remove the folder of the dead: `destroy` does.
    """
    status = finished(deploying).returncode
    lab.run("destroy")
    try:
        seen.check_nothing_is_left()
    except AssertionError as error:
        raise TestbedError(f"settings of the host were changed: {error}") from error
    return f"deploy ended with {status}; nothing left"


def main() -> int:
    """The soak target."""
    parser = argparse.ArgumentParser(description="Kills at random moments; nothing may stay.")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    wrong: list[str] = []
    kinds: collections.Counter[str] = collections.Counter()
    began = time.monotonic()
    with command("kills") as lab, tempfile.TemporaryDirectory() as folder:
        for each in rounds(given.rounds, given.seed):
            kinds[f"{each.victim} in {each.stage}"] += 1
            try:
                told = play(each, lab, Path(folder, str(each.number)))
            except TestbedError as error:
                told = f"WRONG: {error}"
                wrong.append(f"{each}: {error}")
                lab.end()
            sys.stdout.write(f"{each}: {told}\n")
            sys.stdout.flush()
    counts = ", ".join(f"{n} {what}" for what, n in sorted(kinds.items()))
    sys.stdout.write(
        f"{given.rounds} rounds in {time.monotonic() - began:.0f} s: {counts}\n{len(wrong)} wrong\n"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
