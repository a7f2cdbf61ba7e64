"""The sandbox: namespaces of its own for a lab instance, with its daemon as process 1.

    command line ── forks ── supervisor (host's namespaces) ── forks ── daemon: pid 1, own user (if not root),
                                │ waits, removes the folder               mount, net, ipc, uts namespaces
                                └ folder: record.json, api.sock, kube-api.sock, door.sock, daemon.log, pods/

When the daemon dies, kill -9 included, the kernel ends every process in there and frees every namespace,
interface, rule and mount: cleaning up is not code that can fail. When the supervisor dies the daemon is killed
with it (PR_SET_PDEATHSIG), and the folder that then stays is removed at the next start of any instance.
Knows namespaces(7), mounts and processes; knows nothing of what the daemon does.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from testbed.errors import FeatureMissing, KernelStateError, TestbedError, UsageError
from testbed.machine import detached, kernels, libc, lock, mounts, paths
from testbed.machine.process import ProcessId

ABANDON_SECONDS = 10.0
BARE = -1

Ready = Callable[[], None]
"""Called by the daemon when it serves; only then does `start` return."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A lab instance, as its record tells.

    On a guest's kernel `daemon` is the process of that kernel, as seen here: its end is the end of all that is in
    there. `inside` is the daemon's number in the guest, 0 until it is ready, BARE in a guest without an instance.
    """

    name: str
    supervisor: ProcessId
    daemon: ProcessId
    created: float  # seconds since the epoch
    kernel: str = kernels.NATIVE
    inside: int = 0

    @property
    def folder(self) -> Path:
        return paths.instance_folder(self.name)

    @property
    def socket(self) -> Path:
        """The Unix socket on which the daemon serves."""
        return self.folder / "api.sock"

    @property
    def kube_socket(self) -> Path:
        """The Unix socket on which the daemon serves the Kubernetes API."""
        return self.folder / "kube-api.sock"

    @property
    def door(self) -> Path:
        """The Unix socket on which the daemon takes a TCP socket to serve that API on."""
        return self.folder / "door.sock"

    @property
    def log(self) -> Path:
        return self.folder / "daemon.log"

    def enter_argv(self) -> list[str]:
        """The beginning of a command line that runs a program in the sandbox (nsenter(1))."""
        if self.kernel != kernels.NATIVE:
            return [*self.guest_argv(), *_nsenter(self.inside), "--"]
        own = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        return [*_nsenter(self.daemon.pid), *own, "--"]

    def guest_argv(self) -> list[str]:
        """The beginning of a command line that runs a program in the guest, beside the sandbox in there."""
        return [sys.executable, "-m", "testbed.machine.kernels.enter", str(self.folder), "--"]


def _nsenter(pid: int) -> list[str]:
    return ["nsenter", "--target", str(pid), "--mount", "--net", "--pid", "--ipc", "--uts"]


def find(name: str) -> Instance | None:
    """The running lab instance called `name`, or None."""
    instance = _recorded(paths.instance_folder(name))
    return instance if instance and instance.daemon.alive() else None


def _recorded(folder: Path) -> Instance | None:
    try:
        data = json.loads((folder / "record.json").read_text())
    except (OSError, ValueError):
        return None
    ours, daemon = ProcessId(**data["supervisor"]), ProcessId(**data["daemon"])
    kernel, inside = data.get("kernel", kernels.NATIVE), data.get("inside", 0)  # older records have neither
    return Instance(data["name"], ours, daemon, data["created"], kernel, inside)


def get(name: str) -> Instance:
    """The running lab instance called `name`. Raises UsageError if there is none."""
    found = find(name)
    if found is None:
        raise UsageError(f"no lab instance {name!r} is running; start one with: testbed deploy --name {name}")
    return found


def instances() -> list[Instance]:
    """All running lab instances of this user, by name."""
    if not paths.root().is_dir():
        return []
    names = sorted(p.name for p in paths.root().iterdir() if paths.NAME.fullmatch(p.name))
    return [found for name in names if (found := find(name)) and found.inside != BARE]


def start(name: str, daemon: Callable[[Path, Ready], None]) -> Instance:
    """Make a sandbox and run `daemon(folder, ready)` in it as process 1; return when it says that it is ready.

    Raises UsageError if the name is taken, FeatureMissing if this machine gives no namespaces, and
    TestbedError with the end of the daemon's log if it dies before it is ready.
    """
    folder = paths.instance_folder(name)
    with claimed(folder):
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        child = detached.fork()
        if child == 0:
            os.close(reading)
            _run_supervisor(name, folder, daemon, writing)
        os.close(writing)
        return _await_ready(name, reading, child)


def tidy(name: str) -> bool:
    """Remove what a dead instance of this name has left; False if it lives, or left nothing."""
    folder = paths.instance_folder(name)
    if not folder.is_dir():
        return False
    sweep(folder)
    return not folder.is_dir()


def destroy(instance: Instance, timeout: float = 30.0) -> None:
    """End a lab instance: kill its daemon, wait until the supervisor has tidied up."""
    instance.daemon.kill()
    if not instance.supervisor.wait(timeout):
        raise KernelStateError(f"lab instance {instance.name}: not gone after {timeout:g} s")
    sweep(instance.folder)


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold the name while the instance starts; tidy up after predecessors whose supervisors were killed too."""
    with lock.held(_lock_of(folder)):
        if find(folder.name):
            hint = f"another --name, or: testbed destroy --name {folder.name}"
            raise UsageError(f"lab instance {folder.name!r} is running already; {hint}")
        for other in _names(folder.parent) - {folder.name}:
            with suppress(KernelStateError):  # somebody else's business must not stop this start
                sweep(folder.with_name(other), wait=False)
        _remove(folder)
        folder.mkdir(mode=0o700)
        try:
            yield
        except BaseException:
            _abandon(folder)
            raise


def _abandon(folder: Path) -> None:
    """End a start under way. A daemon that has no record yet ends when it finds nobody to say `ready` to."""
    instance = _recorded(folder)
    if instance:
        instance.daemon.kill()
        instance.daemon.wait(ABANDON_SECONDS)
    _remove(folder)


def _lock_of(folder: Path) -> Path:
    """Who holds it may decide what becomes of the folder: a start, or whoever tidies up."""
    return folder.with_name(f".{folder.name}.lock")


def _names(root: Path) -> set[str]:
    """The names of all instances that have left something, be it only the lock of a start that was killed."""
    names = {path.name.removeprefix(".").removesuffix(".lock") for path in root.iterdir()}
    return {name for name in names if paths.NAME.fullmatch(name)}


def sweep(folder: Path, *, wait: bool = True) -> None:
    """Remove what a dead instance left in its folder; one that lives, or is being started, stays."""
    with lock.held(_lock_of(folder), wait=wait) as ours:
        instance = _recorded(folder)
        if ours and not (instance and instance.daemon.alive()):
            _remove(folder)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _await_ready(name: str, reading: int, child: int) -> Instance:
    try:
        os.waitpid(child, 0)
        # One message comes, from whoever has the news; end of file means that the supervisor was killed.
        said = os.read(reading, 1 << 16).decode(errors="replace")
    finally:
        os.close(reading)
    if said == "ready":
        return get(name)
    if said.startswith("namespaces:"):
        fix = "run as root, or: sysctl -w user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1"
        raise FeatureMissing("namespaces", said.removeprefix("namespaces:"), fix)
    raise TestbedError(f"lab instance {name!r} did not start\n{said.strip()}")


def _run_supervisor(name: str, folder: Path, daemon: Callable[[Path, Ready], None], pipe: int) -> None:
    """In the forked child: detach, run the sandbox, and never return."""
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
    try:
        _supervise(name, folder, daemon, pipe)
    finally:
        os._exit(0)


def _supervise(name: str, folder: Path, daemon: Callable[[Path, Ready], None], pipe: int) -> None:
    detached.redirect(folder / "daemon.log", pipe)
    try:
        detached.unshare_outer()
        ours, its = socket.socketpair()
        child = os.fork()
        if child == 0:
            ours.close()
            _run_daemon(name, folder, daemon, (its, pipe))
        its.close()
        if detached.is_armed(ours):
            record(folder, Instance(name, ProcessId.of(os.getpid()), ProcessId.of(child), time.time()))
            detached.let_go(ours)
        ours.close()
        os.waitpid(child, 0)
        detached.tell(pipe, (folder / "daemon.log").read_text(errors="replace")[-4000:])
    except TestbedError as error:
        detached.tell(pipe, f"namespaces:{error}")
    finally:
        os.close(pipe)
        sweep(folder)


def record(folder: Path, instance: Instance) -> None:
    """Write an instance's record; whoever reads it gets all of it, or the one before.

    The folder is told, since a supervisor of an ordinary user is root in its namespace, whose folder is another.
    """
    temporary = folder / "record.new"
    temporary.write_text(json.dumps(asdict(instance)))
    temporary.rename(folder / "record.json")


def _run_daemon(
    name: str, folder: Path, daemon: Callable[[Path, Ready], None], ends: tuple[socket.socket, int]
) -> None:
    """In process 1 of the new pid namespace: build the inner namespaces, then be the daemon. Never returns."""
    supervisor, pipe = ends
    status = 1
    try:
        if detached.armed(supervisor, b"testbed-daemon"):
            libc.unshare(detached.INNER)
            mounts.make_private(folder)
            socket.sethostname(f"testbed-{name}")
            daemon(folder, lambda: _say_ready(pipe))
            status = 0
    finally:
        # The last frame of a process: whatever came up to here is written down, and nothing goes further.
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(status)


def _say_ready(pipe: int) -> None:
    os.write(pipe, b"ready")
    os.close(pipe)
