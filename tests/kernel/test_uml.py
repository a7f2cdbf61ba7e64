"""A User Mode Linux guest: what it may change, what it may see, and that nothing is left whoever dies.

As root and as an ordinary user, whose guests' root is that user outside.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from testbed.machine.process import ProcessId
from tests.net.persons import PERSONS, Person, person
from tests.require import require_in
from tests.waiting import until

ROOT = Path(__file__).parents[2]
SECONDS = 60.0
PARTS = ("kernel", "relay", "supervisor")


@dataclass(slots=True)
class Held:
    """A guest that somebody holds."""

    person: Person
    process: subprocess.Popen[str]
    folder: Path
    parts: dict[str, ProcessId] = field(default_factory=dict)

    def __post_init__(self) -> None:
        record = json.loads((self.folder / "record.json").read_text())
        self.parts = {
            "kernel": ProcessId(**record["daemon"]),
            "supervisor": ProcessId(**record["supervisor"]),
        }
        children = _children(self.parts["supervisor"].pid) - {self.parts["kernel"].pid}
        self.parts["relay"] = ProcessId.of(children.pop())

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run something inside."""
        enter = [sys.executable, "-m", "testbed.machine.kernels.enter", str(self.folder), "--", *argv]
        return subprocess.run(
            [*self.person.prefix, *enter], cwd=ROOT, env=self.person.env, text=True, capture_output=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip

    def sh(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a shell script inside."""
        return self.run("sh", "-c", script)

    def let_go(self) -> int:
        """End the holder as it wants to end; its exit code."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        return self.process.wait(SECONDS)


def _children(pid: int) -> set[int]:
    return {int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


@contextlib.contextmanager
def held(whose: Person, *shares: Path) -> Iterator[Held]:
    """A guest of this person."""
    argv = [*whose.prefix, sys.executable, "-m", "tests.kernel.guested", *map(str, shares)]
    with subprocess.Popen(
        argv, cwd=ROOT, env=whose.env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            folder = process.stdout.readline().strip()
            assert folder, "no guest"
            yield Held(whose, process, Path(folder))
        finally:
            if process.stdin and not process.stdin.closed:
                process.stdin.close()
            process.wait(SECONDS)


@pytest.fixture(scope="module", params=PERSONS)
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    require_in("uml", "netns")
    with person(request.param) as found:
        yield found


@pytest.fixture(scope="module")
def share(somebody: Person) -> Iterator[Path]:
    """A folder that the guest may write to: one whose name a command line would take apart."""
    with tempfile.TemporaryDirectory(prefix="tb share,") as name:
        if somebody.prefix:
            owner = somebody.home.stat()
            os.chown(name, owner.st_uid, owner.st_gid)
        yield Path(name)


@pytest.fixture(scope="module")
def guest(somebody: Person, share: Path) -> Iterator[Held]:
    """One for all tests that do it no harm."""
    with held(somebody, share) as found:
        yield found


@pytest.fixture
def victim(somebody: Person) -> Iterator[Held]:
    with held(somebody) as found:
        yield found


def test_it_is_another_kernel_with_the_same_files(guest: Held) -> None:
    told = guest.sh("uname -r; id -u; cat /etc/debian_version /etc/os-release")
    release, uid, rest = told.stdout.split("\n", 2)
    assert release != os.uname().release
    assert uid == "0"
    assert Path("/etc/os-release").read_text() in rest


def test_what_it_deletes_is_there_outside(victim: Held) -> None:
    before = sorted(path.name for path in Path("/etc").iterdir())
    kept = victim.person.home / "kept"
    kept.write_text("kept")
    told = victim.sh(f"rm -rf /etc {kept}; cat /etc/os-release {kept}")
    # What an ordinary user may not read outside, its guest cannot list, and so not delete; the rest is gone.
    assert told.stdout == ""
    assert kept.read_text() == "kept"
    assert sorted(path.name for path in Path("/etc").iterdir()) == before


def test_what_it_writes_is_not_there_outside(guest: Held, somebody: Person) -> None:
    inside = somebody.home / "written"
    told = guest.sh(f"echo hello >{inside}; cat {inside}")
    assert told.stdout == "hello\n"
    assert not inside.exists()


@pytest.mark.parametrize(
    "attempt",
    [
        "rm -f /tmp/h/{home}/mine",
        "echo changed >/tmp/h/{home}/mine",
        "mv /tmp/h/{home}/mine /tmp/h/{home}/other",
    ],
)
def test_root_who_mounts_the_host_anew_and_writable_changes_nothing(guest: Held, attempt: str) -> None:
    home = guest.person.home
    mine = home / "mine"
    mine.write_text("mine")
    mine.chmod(0o666)
    script = f"umask 0; mkdir -p /tmp/h; mount -t hostfs h /tmp/h -o /; mount -o remount,rw /tmp/h; {attempt}"
    told = guest.sh(script.format(home=str(home).lstrip("/")))
    assert "Read-only file system" in told.stderr
    assert mine.read_text() == "mine"
    assert not (home / "other").exists()


def test_a_setting_of_the_hosts_kernel_is_out_of_reach(guest: Held) -> None:
    setting = Path("/proc/sys/kernel/printk")
    before = setting.read_text()
    told = guest.sh("mkdir -p /tmp/h; mount -t hostfs h /tmp/h -o /; echo 1 >/tmp/h/proc/sys/kernel/printk")
    assert told.returncode != 0
    assert setting.read_text() == before


def test_a_share_is_written_for_good(guest: Held, share: Path) -> None:
    assert guest.sh(f"echo result >'{share}/file'").stderr == ""
    assert (share / "file").read_text() == "result\n"


def test_there_is_no_network_but_its_own_loopback(guest: Held) -> None:
    told = json.loads(guest.run("ip", "-json", "link").stdout)
    assert [(link["ifname"], "UP" in link["flags"]) for link in told] == [("lo", True)]
    ours = json.loads(
        subprocess.run(
            ["nsenter", f"--target={guest.parts['kernel'].pid}", "--net", "ip", "-json", "link"],
            check=True, capture_output=True,
        ).stdout
    )  # fmt: skip
    assert [(link["ifname"], "UP" in link["flags"]) for link in ours] == [("lo", False)]


def test_its_kernel_has_no_capability_beyond_files(guest: Held) -> None:
    status = Path(f"/proc/{guest.parts['kernel'].pid}/status").read_text()
    (bounding,) = [line.split()[1] for line in status.splitlines() if line.startswith("CapBnd")]
    assert int(bounding, 16) == 0b11111


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/proc", "proc"), ("/sys", "sysfs"), ("/dev", "devtmpfs"), ("/dev/pts", "devpts"), ("/run", "tmpfs"),
        ("/sys/fs/cgroup", "cgroup2"), ("/sys/fs/bpf", "bpf"),
    ],
)  # fmt: skip
def test_it_has_what_a_machine_has(guest: Held, place: str, kind: str) -> None:
    mounts = [line.split() for line in guest.run("cat", "/proc/mounts").stdout.splitlines()]
    assert [words[2] for words in mounts if words[1] == place] == [kind]


def test_everybody_else_is_kept_out_of_its_folder(guest: Held) -> None:
    assert guest.folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("part", PARTS)
def test_whoever_is_killed_all_are_gone(victim: Held, part: str) -> None:
    victim.parts[part].kill()
    for name in PARTS:
        until(lambda name=name: not victim.parts[name].alive(), f"the {name} to end")  # type: ignore[misc]
    if part != "supervisor":
        until(lambda: not victim.folder.exists(), "the folder to go")
    victim.let_go()
    assert not victim.folder.exists()


def test_a_killed_holder_takes_its_guest_along(victim: Held) -> None:
    victim.process.kill()
    for name in PARTS:
        until(lambda name=name: not victim.parts[name].alive(), f"the {name} to end")  # type: ignore[misc]
    until(lambda: not victim.folder.exists(), "the folder to go")


def test_a_panic_is_an_error_with_the_consoles_last_lines(victim: Held) -> None:
    told = victim.sh("echo c >/proc/sysrq-trigger; sleep 60")
    assert told.returncode == 1
    assert "Kernel panic" in told.stderr
    until(lambda: not victim.parts["kernel"].alive(), "the kernel to end")


def test_a_kernel_that_is_killed_is_an_error_at_once(victim: Held) -> None:
    enter = [sys.executable, "-m", "testbed.machine.kernels.enter", str(victim.folder), "--", "sleep", "60"]
    with subprocess.Popen(
        [*victim.person.prefix, *enter], cwd=ROOT, env=victim.person.env, stderr=subprocess.PIPE, text=True
    ) as waiting:
        until(lambda: "sleep" in victim.run("ps", "-A", "-o", "comm").stdout, "the program to run")
        victim.parts["kernel"].kill(signal.SIGKILL)
        assert waiting.wait(SECONDS) == 1


def test_a_guest_that_switches_off_ends(victim: Held) -> None:
    victim.sh("echo o >/proc/sysrq-trigger; sleep 60")
    until(lambda: not victim.folder.exists(), "the folder to go")


@pytest.mark.parametrize("folder", ["/proc", "/", "/run", "/no/such/folder"])
def test_what_cannot_be_shared_is_refused(somebody: Person, folder: str) -> None:
    done = subprocess.run(
        [*somebody.prefix, sys.executable, "-m", "tests.kernel.guested", folder],
        cwd=ROOT, env=somebody.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"share {folder}" in done.stderr
