"""A virtual machine as a guest: `make test-vm` asks for it, since it takes its time under emulation."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.machine.kernels import guests
from testbed.machine.kernels.guests import Guest
from testbed.machine.kernels.vm import find
from tests.require import require, require_in

SECONDS = 120.0


@pytest.fixture
def share() -> Iterator[Path]:
    """A folder that the guest may write to, whose name shells and QEMU would take apart."""
    with tempfile.TemporaryDirectory(prefix="tb share,") as name:
        yield Path(name)


@pytest.fixture
def guest(share: Path) -> Iterator[Guest]:
    require("vm-asked-for")
    require_in("vm", "netns")
    with guests.running("vm", (share,)) as found:
        yield found


def sh(guest: Guest, script: str, *words: str) -> subprocess.CompletedProcess[str]:
    argv = guest.argv(["sh", "-c", script, *words])
    return subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False)


def test_it_writes_to_its_share_and_nowhere_else(guest: Guest, share: Path) -> None:
    victim = share.parent / f"{share.name}-victim"
    victim.write_text("still here")
    try:
        release = sh(guest, "uname -r").stdout.strip()
        anew = "mount -t 9p -o trans=virtio,rw host /mnt && rm -f /mnt/$1"
        done = sh(
            guest,
            f'rm -rf /etc "$1"; {anew}; ls /etc "$1"; echo seen >"$2/file"',
            "sh",
            str(victim),
            str(share),
        )
        assert victim.read_text() == "still here"
    finally:
        victim.unlink(missing_ok=True)
    assert Path("/etc/passwd").is_file()
    assert release == find.kernel().release
    assert "No such file" in done.stderr  # inside, it is gone
    assert (share / "file").read_text() == "seen\n"


def test_modules_come_when_they_are_needed(guest: Guest) -> None:
    done = sh(guest, "ip link add d0 type dummy && ip -br link")
    assert {line.split()[0] for line in done.stdout.splitlines()} == {"lo", "d0"}, done.stderr


def test_a_panic_is_told_with_the_consoles_last_lines(guest: Guest) -> None:
    done = sh(guest, "echo c >/proc/sysrq-trigger; sleep 100")
    assert done.returncode == 1
    assert "the guest has gone" in done.stderr
    assert "Kernel Offset" in done.stderr or "Kernel panic" in done.stderr
