"""Guests: kernels of their own, booted, held and ended.

    command line ── forks ── supervisor ──┬ relay: the sockets in the guest's folder ⇄ wire
                                          └ kernel: process 1 of its own namespaces, in a jail

None outlives another: whoever is killed, the others notice and end, and the supervisor removes the folder. What a
guest keeps is in its memory, so there is nothing else to remove. Inside, everything is as it is natively.
Knows processes, jails and the wire; knows nothing of what is run in a guest.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import secrets
import select
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from testbed.errors import FeatureMissing, TestbedError, UsageError, error_from_json
from testbed.machine import paths, sandbox
from testbed.machine.kernels import images, jail, supervisor
from testbed.machine.kernels.supervisor import Order
from testbed.machine.sandbox import BARE, Instance, Ready

MEMORY_VARIABLE = "TESTBED_GUEST_MEMORY"
DEFAULT_MEMORY, LEAST_MEMORY = 2048, 256  # MiB; only what is used is taken from the host
BOOT_SECONDS = 300.0  # a second in User Mode Linux; under emulation a minute and more
END_SECONDS = 30.0
START = "testbed.machine.kernels.guest.start"
INSIDE = Path("/run/testbed")  # paths.root() in a guest, where everybody is root


@dataclass(frozen=True, slots=True)
class Guest:
    """A guest that runs. `folder` holds its sockets and the console's log, `console.log`."""

    kernel: str
    folder: Path

    def argv(self, argv: Sequence[str]) -> list[str]:
        """A command line of the host that runs `argv` in the guest, as if it were run here."""
        return [sys.executable, "-m", "testbed.machine.kernels.enter", str(self.folder), "--", *argv]


def memory() -> int:
    """The memory of a guest in MiB, by the environment. Raises UsageError."""
    text = os.environ.get(MEMORY_VARIABLE, "")
    if not text:
        return DEFAULT_MEMORY
    if not text.isdecimal() or int(text) < LEAST_MEMORY:
        raise UsageError(f"${MEMORY_VARIABLE}: {text!r}: MiB are wanted, at least {LEAST_MEMORY}")
    return int(text)


def start(kernel: str, name: str, daemon: Callable[[Path, Ready], None]) -> Instance:
    """`sandbox.start` in a guest: boot it, and start the lab instance in there.

    `daemon` is pickled. Raises what `sandbox.start` raises, and FeatureMissing if there is no such kernel here.
    """
    folder = paths.instance_folder(name)
    order = Order(images.find(kernel), folder, INSIDE / name, (), memory())
    pickled = pickle.dumps(daemon)
    with sandbox.claimed(folder):
        _boot(order)
        guest = Guest(kernel, folder)
        told = _asked(guest.argv([sys.executable, "-m", START, name]), pickled)
        instance = replace(sandbox.get(name), inside=told)
        sandbox.record(folder, instance)
    return instance


@contextlib.contextmanager
def running(kernel: str, shares: Sequence[Path] = ()) -> Iterator[Guest]:
    """A guest without a lab instance, as long as the context lasts; it may write to `shares`, and nowhere else.

    Raises FeatureMissing if there is no such kernel here, TestbedError with the console's end if it does not boot.
    """
    name = f"guest-{secrets.token_hex(6)}"
    folder = paths.instance_folder(name)
    order = Order(images.find(kernel), folder, INSIDE / name, jail.shareable(shares), memory())
    watched, held = os.pipe()  # it comes to its end when we do, however that is
    try:
        with sandbox.claimed(folder):
            _boot(replace(order, state=BARE, held=watched))
        yield Guest(kernel, folder)
    finally:
        os.close(held)
        os.close(watched)
        _await_end(folder)


def _boot(order: Order) -> None:
    """Start a supervisor for a guest, and wait until the guest's agent answers. Raises TestbedError."""
    images.get_ready(order.image)
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        supervisor.start(replace(order, told=writing))
    finally:
        os.close(writing)
    try:
        came, _, _ = select.select([reading], [], [], BOOT_SECONDS)
        said = (
            os.read(reading, 1 << 16).decode(errors="replace") if came else f"no word in {BOOT_SECONDS:g} s"
        )
    finally:
        os.close(reading)
    if said.startswith("namespaces:"):
        fix = "run as root, or: sysctl -w user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1"
        raise FeatureMissing("namespaces", said.removeprefix("namespaces:"), fix)
    if said != "ready":
        raise TestbedError(f"the guest of kernel {order.image.kernel} did not boot\n{said.strip()}")


def _asked(argv: Sequence[str], pickled: bytes) -> int:
    """Have the instance started; the daemon's number inside. Raises what went wrong in there."""
    done = subprocess.run(argv, input=pickled, capture_output=True, check=False)
    if done.returncode:
        raise TestbedError(f"the instance did not start in the guest\n{done.stderr.decode(errors='replace')}")
    told = json.loads(done.stdout)
    if "error" in told:
        raise error_from_json(told["error"])
    return int(told["pid"])


def _await_end(folder: Path) -> None:
    """Wait until a guest that nobody holds any more is gone, and all that it left."""
    instance = sandbox.find(folder.name)
    if instance and not instance.supervisor.wait(END_SECONDS):
        instance.daemon.kill()
    sandbox.sweep(folder)
