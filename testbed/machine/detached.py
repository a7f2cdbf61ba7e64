"""What supervisors are made of: a process that outlives the command line, and the first of new namespaces.

A supervisor detaches itself, takes the namespaces that it needs to start process 1 of a PID namespace, and starts
that process so that neither outlives the other. Knows fork(2), namespaces(7) and PR_SET_PDEATHSIG; knows nothing
of what the processes are for.
"""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

from testbed.machine import libc

INNER = libc.CLONE_NEWNS | libc.CLONE_NEWNET | libc.CLONE_NEWIPC | libc.CLONE_NEWUTS
CONSOLE = Path("/dev/console")
MAX_DESCRIPTORS = 1 << 16
ARMED, GO = b"armed", b"go"  # what a first process and its supervisor say to each other before it begins


def fork() -> int:
    """os.fork with stops held back: what a handler raises in Python's own steps of a fork is printed and lost."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        return os.fork()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def redirect(log: Path, *kept: int) -> None:
    """Standard streams to a file, and none of the caller's other descriptors but `kept`: someone may wait for
    their end."""
    writing = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
    empty = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((empty, 0), (writing, 1), (writing, 2)):
        os.dup2(source, target)
    first = 3
    for descriptor in sorted(kept):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, MAX_DESCRIPTORS)


def unshare_outer() -> None:
    """What a supervisor needs to start process 1: its next child is that. It keeps its net and mount namespaces.

    Raises KernelStateError where the kernel gives no namespaces.
    """
    user, group = os.geteuid(), os.getegid()
    libc.unshare(libc.CLONE_NEWPID if user == 0 else libc.CLONE_NEWUSER | libc.CLONE_NEWPID)
    if user != 0:
        # user_namespaces(7): setgroups must be denied before an unprivileged process may map its group.
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def tell(pipe: int, text: str) -> None:
    """Say something to the command line, if it still listens (after `ready` nobody does)."""
    try:
        os.write(pipe, text.encode())
    except OSError:
        return


def armed(supervisor: socket.socket, name: bytes) -> bool:
    """In the child: die with the supervisor from now on; False if that has died already, and so must we.

    `supervisor` is one end of a socket pair that is closed here; the other end answers by `let_go`.
    """
    libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(libc.PR_SET_NAME, name)
    supervisor.send(ARMED, socket.MSG_NOSIGNAL)
    # An end of file instead of GO means that the supervisor died before PR_SET_PDEATHSIG was set.
    alive = supervisor.recv(len(GO)) == GO
    supervisor.close()
    return alive


def is_armed(child: socket.socket) -> bool:
    """In the supervisor: wait until the child dies with us; False if it has died.

    Only such a child may go: GO must not lie ready for one that we did not live to see armed.
    """
    return bool(child.recv(len(ARMED)))


def let_go(child: socket.socket) -> None:
    """In the supervisor: everything is written down, the child may begin."""
    child.send(GO, socket.MSG_NOSIGNAL)
