"""What a lab instance could leave on the host, looked at before and after.

Other lab instances run at the same time. They leave the host's own network alone, as ours must, so interfaces,
rules and settings there are compared as a whole. Of what they do have outside, only what bears our name counts.
That an instance's network namespaces are gone, and with them every device and rule in them and every mount that
kept them, the kernel says by itself: it takes away the id that a namespace of ours has given them
(RTM_NEWNSID, ip-netns(8)), which holds nothing alive.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from testbed.errors import TestbedError
from testbed.machine.netns import Netns
from tests.namespaces import fresh_namespace
from tests.net.command import Command
from tests.waiting import until

SAVES = ("iptables-legacy-save", "ip6tables-legacy-save", "iptables-nft-save", "ip6tables-nft-save")
# Mininet raises these where it may; a kernel counts in the others.
OTHER_SETTINGS = ("fs.file-max", "kernel.pty.max", "kernel.pid_max")
COUNTERS = ("net.netfilter.nf_conntrack_count",)
SECONDS = 20.0


def output(*argv: str) -> list[str]:
    """The lines that a program prints."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


def rules() -> set[str]:
    """Every rule and chain of the host, of all mechanisms, without counters and times of day."""
    lines = {f"{save}: {line.partition('[')[0]}" for save in SAVES for line in output(save)}
    nft = {f"nft: {line}" for line in output("nft", "--stateless", "list", "ruleset")}
    return {line for line in lines | nft if ": #" not in line}


def settings() -> set[str]:
    """Every sysctl that a network emulator might turn. One that appears with a kernel module is no change."""
    lines = output("sysctl", "-e", "-a", "-r", "^net", *OTHER_SETTINGS)
    return {line for line in lines if not line.startswith(COUNTERS)}


def mounts(name: str) -> set[str]:
    """Mount points, those of other tests left out."""
    temporary = f"{tempfile.gettempdir()}/"
    points = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    return {point for point in points if not point.startswith(temporary) or name in point}


def files(command: Command) -> set[str]:
    """Names of ours among the records, and everything that is pinned in the bpf file system."""
    root, bpf = command.person.root, Path("/sys/fs/bpf")
    ours = {str(path) for path in root.iterdir() if command.name in path.name} if root.is_dir() else set()
    return ours | {str(path) for path in bpf.rglob("*")}


def host(command: Command) -> dict[str, set[str]]:
    """Everything that counts, by kind."""
    return {
        "interface": set(output("ip", "-o", "link")),
        "named namespace": set(output("ip", "netns", "list")),
        "rule": rules(),
        "mount": mounts(command.name),
        "file": files(command),
        "cgroup": set(output("find", "/sys/fs/cgroup", "-type", "d", "-name", f"*{command.name}*")),
    }


@dataclass(slots=True)
class Witness:
    """Has seen the host before, and knows which network namespaces there were meanwhile."""

    command: Command
    helper: Netns
    before: dict[str, set[str]] = field(init=False)
    turned: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.before, self.turned = host(self.command), settings()

    def note_namespaces(self, daemon: int) -> int:
        """Remember the network namespaces of a sandbox as it is now; how many there are in all.

        One that is not yet bound to its name is an empty file. A daemon that has only just been born is still
        in the host's own, and sees the host's names.
        """
        named = Path(f"/proc/{daemon}/root/run/netns")
        paths = [Path(f"/proc/{daemon}/ns/net")]
        if not _is_ours(Path(f"/proc/{daemon}/ns/mnt"), Path("/proc/self/ns/mnt")) and named.is_dir():
            paths += named.iterdir()
        with contextlib.closing(self.helper.call(IPRoute)) as netlink:
            for path in paths:
                with contextlib.suppress(OSError, NetlinkError):  # gone meanwhile, or noted already
                    self._note(netlink, path)
        return len(self.noted())

    @staticmethod
    def _note(netlink: IPRoute, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found, host = os.fstat(descriptor), Path("/proc/self/ns/net").stat()
            if found.st_dev == host.st_dev and found.st_ino != host.st_ino:
                netlink.set_netnsid(fd=descriptor)
        finally:
            os.close(descriptor)

    def noted(self) -> list[str]:
        """Those of the namespaces that still exist."""
        return self.helper.run(["ip", "netns", "list-id"]).stdout.splitlines()

    def check_nothing_is_left(self) -> None:
        """All as it was, at once or within the time that the kernel takes. Raises TestbedError."""
        until(lambda: not self.noted(), "the kernel to remove all network namespaces", SECONDS)
        try:
            until(lambda: host(self.command) == self.before, "no trace on the host", SECONDS)
        except TestbedError as error:
            raise TestbedError(f"{error}: {self._changes()}") from error
        names = {line.partition(" =")[0] for line in self.turned}
        changed = {line for line in settings() - self.turned if line.partition(" =")[0] in names}
        assert not changed

    def _changes(self) -> str:
        """What came to the host and what went from it, by kind."""
        now = host(self.command)
        parts = [
            (kind, sorted(now[kind] - was), sorted(was - now[kind])) for kind, was in self.before.items()
        ]
        return "; ".join(f"{kind}: came {came}, went {went}" for kind, came, went in parts if came or went)


def _is_ours(theirs: Path, own: Path) -> bool:
    return theirs.exists() and theirs.samefile(own)


@contextlib.contextmanager
def witness(command: Command, folder: Path) -> Iterator[Witness]:
    """Look at the host, now and whenever asked."""
    with fresh_namespace(folder, "witness") as helper:
        yield Witness(command, helper)
