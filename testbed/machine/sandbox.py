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
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from testbed.errors import FeatureMissing, KernelStateError, TestbedError, UsageError
from testbed.machine import libc, lock, mounts, paths
from testbed.machine.process import ProcessId

MAX_DESCRIPTORS = 1 << 16
ABANDON_SECONDS = 10.0
ARMED, GO = b"armed", b"go"  # what a daemon and its supervisor say to each other before the daemon begins
INNER = libc.CLONE_NEWNS | libc.CLONE_NEWNET | libc.CLONE_NEWIPC | libc.CLONE_NEWUTS

Ready = Callable[[], None]
"""Called by the daemon when it serves; only then does `start` return."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A lab instance, as its record tells."""

    name: str
    supervisor: ProcessId
    daemon: ProcessId
    created: float  # seconds since the epoch

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
        argv = ["nsenter", "--target", str(self.daemon.pid), "--mount", "--net", "--pid", "--ipc", "--uts"]
        return argv + ([] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]) + ["--"]


def find(name: str) -> Instance | None:
    """The running lab instance called `name`, or None."""
    instance = _recorded(paths.instance_folder(name))
    return instance if instance and instance.daemon.alive() else None


def _recorded(folder: Path) -> Instance | None:
    try:
        data = json.loads((folder / "record.json").read_text())
    except (OSError, ValueError):
        return None
    return Instance(
        data["name"], ProcessId(**data["supervisor"]), ProcessId(**data["daemon"]), data["created"]
    )


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
    return [found for name in names if (found := find(name))]


def start(name: str, daemon: Callable[[Path, Ready], None]) -> Instance:
    """Make a sandbox and run `daemon(folder, ready)` in it as process 1; return when it says that it is ready.

    Raises UsageError if the name is taken, FeatureMissing if this machine gives no namespaces, and
    TestbedError with the end of the daemon's log if it dies before it is ready.
    """
    folder = paths.instance_folder(name)
    with _claimed(folder):
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        child = _fork()
        if child == 0:
            os.close(reading)
            _run_supervisor(name, folder, daemon, writing)
        os.close(writing)
        return _await_ready(name, reading, child)


def _fork() -> int:
    """os.fork with stops held back: what a handler raises in Python's own steps of a fork is printed and lost."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        return os.fork()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def tidy(name: str) -> bool:
    """Remove what a dead instance of this name has left; False if it lives, or left nothing."""
    folder = paths.instance_folder(name)
    if not folder.is_dir():
        return False
    _sweep(folder)
    return not folder.is_dir()


def destroy(instance: Instance, timeout: float = 30.0) -> None:
    """End a lab instance: kill its daemon, wait until the supervisor has tidied up."""
    instance.daemon.kill()
    if not instance.supervisor.wait(timeout):
        raise KernelStateError(f"lab instance {instance.name}: not gone after {timeout:g} s")
    _sweep(instance.folder)


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Hold the name while the instance starts; tidy up after predecessors whose supervisors were killed too."""
    with lock.held(_lock_of(folder)):
        if find(folder.name):
            hint = f"another --name, or: testbed destroy --name {folder.name}"
            raise UsageError(f"lab instance {folder.name!r} is running already; {hint}")
        for other in _names(folder.parent) - {folder.name}:
            with suppress(KernelStateError):  # somebody else's business must not stop this start
                _sweep(folder.with_name(other), wait=False)
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


def _sweep(folder: Path, *, wait: bool = True) -> None:
    """Remove what a dead instance left; one that lives, or is being started, stays."""
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
    log = os.open(folder / "daemon.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
    _redirect(log, pipe)
    try:
        _unshare_outer()
        ours, its = socket.socketpair()
        child = os.fork()
        if child == 0:
            ours.close()
            _run_daemon(name, folder, daemon, (its, pipe))
        its.close()
        # Only a daemon that dies with us may go: "go" must not lie ready for one that we did not live to see armed.
        if ours.recv(len(ARMED)):
            _write_record(name, folder, child)
            ours.send(GO)
        ours.close()
        os.waitpid(child, 0)
        _tell(pipe, (folder / "daemon.log").read_text(errors="replace")[-4000:])
    except TestbedError as error:
        _tell(pipe, f"namespaces:{error}")
    finally:
        os.close(pipe)
        _sweep(folder)


def _tell(pipe: int, text: str) -> None:
    """Say something to the command line, if it still listens (after `ready` nobody does)."""
    try:
        os.write(pipe, text.encode())
    except OSError:
        return


def _redirect(log: int, pipe: int) -> None:
    """Standard streams to the log, and none of the caller's other descriptors: someone may wait for their end."""
    empty = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((empty, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.closerange(3, pipe)
    os.closerange(pipe + 1, MAX_DESCRIPTORS)


def _unshare_outer() -> None:
    """What the supervisor needs to start process 1. It stays in the host's own net and mount namespaces."""
    user, group = os.geteuid(), os.getegid()
    libc.unshare(libc.CLONE_NEWPID if user == 0 else libc.CLONE_NEWUSER | libc.CLONE_NEWPID)
    if user != 0:
        # user_namespaces(7): setgroups must be denied before an unprivileged process may map its group.
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def _write_record(name: str, folder: Path, child: int) -> None:
    instance = Instance(name, ProcessId.of(os.getpid()), ProcessId.of(child), time.time())
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
        libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
        libc.prctl(libc.PR_SET_NAME, b"testbed-daemon")
        supervisor.send(ARMED, socket.MSG_NOSIGNAL)
        # An end of file instead of GO means that the supervisor died before PR_SET_PDEATHSIG was set.
        if supervisor.recv(len(GO)) == GO:
            supervisor.close()
            libc.unshare(INNER)
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
