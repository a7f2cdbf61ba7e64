"""Containers' own processes: each in namespaces of its own below the pod's network namespace.

    unshare ─exec→ sh, waits outside ─fork→ setpriv ─exec→ sh: mounts /proc, names the host ─exec→ the program
                                            └──────────── process 1 of a new PID namespace ─────────────┘

The waiting shell ends as the program ends (unshare --fork would do, but it turns SIGKILL into exit code 1), and
when the shell is killed its child goes, too. When the program dies the kernel kills everything else in its PID
namespace, so a container goes as a whole. As in any container, process 1 gets only signals that it handles: a
program without a SIGTERM handler lives until SIGKILL (pid_namespaces(7)).

One thread learns of all ends and pumps all output. An end is told when the last line is in the log.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from testbed.cluster.kubelet.contract import Argv, ProcessSpec
from testbed.cluster.kubelet.pump import Output
from testbed.errors import CommandFailed, TestbedError
from testbed.machine.netns import FOLDER, Netns

REST = 4.0  # times as long as pumping took: containers that write without end take a fifth of a processor, no more
WORLD = ("unshare", "--uts", "--mount", "--propagation=slave", "--pid", "--")
# With anything after the program, sh does not exec it; that it was "Killed" is nothing that the container wrote.
WAIT = ("sh", "-c", 'exec 3>&2 2>/dev/null; (exec "$@" 2>&3 3>&-); exit $?', "container")
BOUND = ("setpriv", "--pdeathsig=KILL", "--")
NAMED = ("sh", "-c", 'mount -t proc proc /proc && hostname "$0" && exec "$@"')
ROOTED = """
fail() { echo "testbed: no root file system with the pod's volumes: $1" >&2; exit 125; }
mount -t proc proc /proc && hostname "$0" && cd / || exit 125
top=$1 cwd=$2 count=$3; shift 3
mount -t tmpfs none "$top" && mkdir "$top/upper" "$top/work" "$top/root" || fail tmpfs
mount -t overlay overlay -o "lowerdir=/,upperdir=$top/upper,workdir=$top/work" "$top/root" || fail overlay
for folder in dev proc run sys tmp; do mount --rbind "/$folder" "$top/root/$folder" || fail "$folder"; done
for file in resolv.conf hosts; do
    if [ -f "/etc/$file" ]; then mount --bind "/etc/$file" "$top/root/etc/$file" || fail "$file"; fi
done
while [ "$count" -gt 0 ]; do
    place=$top/root$2
    if [ -d "$1" ]; then mkdir -p "$place"; else mkdir -p "${place%/*}"; [ -e "$place" ] || : > "$place"; fi
    mount --bind "$1" "$place" || fail "$2"
    [ "$3" = rw ] || mount -o "remount,bind,$3" "$place" || fail "$2"
    count=$((count - 1)); shift 3
done
cd "$top/root" && mkdir -p .before && /sbin/pivot_root . .before || fail pivot_root
cd / && umount -l /.before && rmdir /.before || fail umount
cd "$cwd" || exit 125
exec "$@"
"""
"""A root of the container's own: this machine's, with an upper layer in memory, where mount points can be made."""


class HostProcess:
    """A container's process tree; `pid` is the shell that waits outside of it."""

    def __init__(
        self, popen: subprocess.Popen[bytes], output: Output, on_exit: Callable[[int], None]
    ) -> None:
        self._popen, self.output, self.on_exit = popen, output, on_exit
        self.pid = popen.pid

    @property
    def container_id(self) -> str:
        """`process://PID`, the process that was started."""
        return f"process://{self.pid}"

    def enter(self, argv: Argv) -> Argv:
        """Through nsenter(1), once the program is there."""
        inside = self._inside()
        if inside is None:
            return argv
        return ("nsenter", f"--target={inside}", "--uts", "--pid", "--mount", "--", *argv)

    def terminate(self) -> None:
        """SIGTERM to the program."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the program, and by that to everything in its PID namespace."""
        self._signal(signal.SIGKILL)

    def reap(self) -> int:
        """Wait for the end; the exit code, 128 and more for a signal."""
        status = self._popen.wait()
        return status if status >= 0 else 128 - status

    def _signal(self, number: int) -> None:
        if self._popen.returncode is not None:
            return  # its number may be another's by now
        # Of the two, the one inside: the shell outside tells by its own end how the program ended.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._inside() or self.pid, number)

    def _inside(self) -> int | None:
        """The program's process, None if it is not there yet or no more."""
        try:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        except OSError:
            return None
        return int(children[0]) if children else None


def _rooted(spec: ProcessSpec) -> tuple[str, ...]:
    """The shell that makes the container's own root, with what it has to know."""
    top = _top(spec)
    mounts = [(str(m.source), m.path, "ro" if m.read_only else "rw") for m in spec.mounts]
    words = (str(top), spec.cwd or "/", str(len(mounts)), *(word for mount in mounts for word in mount))
    return ("sh", "-c", ROOTED, spec.hostname, *words)


def _top(spec: ProcessSpec) -> Path:
    """Where the container's own root is put together: empty for everybody else."""
    return spec.log.parent / "root"


def _popen(spec: ProcessSpec, netns: Netns, output: Output) -> subprocess.Popen[bytes]:
    argv = (
        *WORLD,
        *WAIT,
        *BOUND,
        *(_rooted(spec) if spec.mounts else (*NAMED, spec.hostname)),
        *spec.argv,
    )
    env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/root", **spec.env}
    if spec.mounts:
        _top(spec).mkdir(exist_ok=True)
    with netns.entered():
        return subprocess.Popen(
            argv, env=env, cwd="/" if spec.mounts else spec.cwd or "/",
            stdin=subprocess.DEVNULL, stdout=output.stdout, stderr=output.stderr, start_new_session=True,
        )  # fmt: skip


class HostProcesses:
    """Starts them, and one thread that learns of each end at once, from the kernel, by its pidfd, and that moves
    what all of them write to their logs."""

    def __init__(self, netns_folder: Path = FOLDER) -> None:
        self._folder = netns_folder
        self._lock = threading.Lock()
        self._running: dict[int, HostProcess] = {}  # by pidfd
        self._outputs: dict[int, Output] = {}  # by each descriptor that is read
        self._epoll = select.epoll()
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        self._stopping = threading.Event()
        self._epoll.register(self._stop, select.EPOLLIN)
        self._thread = threading.Thread(target=self._look_after, name="kubelet-processes", daemon=True)
        self._thread.start()

    def start(self, spec: ProcessSpec, on_exit: Callable[[int], None]) -> HostProcess:
        """Start a container's program. Raises CommandFailed or KernelStateError.

        A program that is not found is no error here: it ends with 127, and the log says why.
        """
        try:
            output = Output(spec.log)
            try:
                popen = _popen(spec, Netns(spec.netns, self._folder), output)
            except (OSError, TestbedError):
                output.finish()
                raise
            finally:
                output.handed_over()
        except OSError as error:
            raise CommandFailed(spec.argv, 127, str(error), where=spec.hostname) from error
        process = HostProcess(popen, output, on_exit)
        self._adopt(process, os.pidfd_open(popen.pid))
        return process

    def _adopt(self, process: HostProcess, pidfd: int) -> None:
        """From here on the thread has it. The pidfd comes last: with it everything is closed again."""
        readers = process.output.readers
        with self._lock:
            self._running[pidfd] = process
            self._outputs.update(dict.fromkeys(readers, process.output))
        for descriptor in (*readers, pidfd):
            self._epoll.register(descriptor, select.EPOLLIN)

    def stop(self) -> None:
        """Kill what still runs, without a word to anybody, and wait for its end."""
        self._stopping.set()
        os.eventfd_write(self._stop, 1)
        self._thread.join()
        for process in self._running.values():
            process.kill()
        for pidfd, process in self._running.items():
            process.reap()
            process.output.finish()
            os.close(pidfd)
        self._running.clear()
        self._outputs.clear()
        self._epoll.close()
        os.close(self._stop)

    def _look_after(self) -> None:
        """Pump what there is and bury who has ended, again and again.

        Pipes come before ends: what an end closes may be another container's number by the next round.
        """
        while not self._stopping.is_set():
            ready = [descriptor for descriptor, _ in self._epoll.poll()]
            begin = time.monotonic()
            moved = self._pump(descriptor for descriptor in ready if descriptor in self._outputs)
            for pidfd in ready:
                if pidfd in self._running:
                    self._bury(pidfd)
            if moved:
                self._stopping.wait(REST * (time.monotonic() - begin))

    def _pump(self, ready: Iterable[int]) -> bool:
        """One read of each, so that nobody waits for a container that writes without end; True if there was any."""
        reader = None
        for reader in ready:
            if self._outputs[reader].pump(reader) < 0:
                self._forget(reader).close(reader)
        return reader is not None

    def _bury(self, pidfd: int) -> None:
        with self._lock:
            process = self._running.pop(pidfd)
        for reader in process.output.readers:
            self._forget(reader)
        self._epoll.unregister(pidfd)
        os.close(pidfd)
        process.output.finish()
        process.on_exit(process.reap())

    def _forget(self, reader: int) -> Output:
        """Watch it no more. Closing alone does not do it while a process that is being started has a copy."""
        self._epoll.unregister(reader)
        return self._outputs.pop(reader)
