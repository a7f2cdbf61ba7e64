"""Which User Mode Linux is booted, and with which words (`testbed.machine.kernels.uml`)."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed.errors import FeatureMissing, UsageError
from testbed.machine.kernels import guests
from testbed.machine.kernels.images import Image
from testbed.machine.kernels.plan import Plan
from testbed.machine.kernels.uml import boot, find

ROOT = Path(__file__).parents[4]
LINE = re.compile(r'CONFIG_[A-Z0-9_]+=(y|n|"[^"]*")')


@dataclass(frozen=True, slots=True)
class Places:
    """Where kernels may be; nothing is there at first."""

    build: Path
    stock: Path

    def image(self) -> Image:
        """The kernel that is found."""
        return find.image(self.build, self.stock)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "uml", tmp_path / "linux.uml")


def kernel(folder: Path, source: str, *, time: int) -> Path:
    """A file that looks like one that was built; `time` is in seconds since the epoch."""
    folder.mkdir(parents=True)
    (folder / "source").write_text(f"{source}\n")
    path = folder / "linux"
    path.touch(mode=0o755)
    os.utime(path, (time, time))
    return path


def test_without_any_it_says_what_builds_one(places: Places) -> None:
    with pytest.raises(FeatureMissing, match="make uml"):
        places.image()


def test_the_distributions_is_better_than_none(places: Places) -> None:
    places.stock.touch(mode=0o755)
    assert places.image().path == places.stock


def test_ours_comes_before_the_distributions(places: Places) -> None:
    places.stock.touch(mode=0o755)
    ours = kernel(places.build / "k", "6.12", time=1)
    assert places.image().path == ours


def test_todays_configuration_comes_before_a_newer_build(places: Places) -> None:
    current = kernel(places.build / find.key("6.12"), "6.12", time=1)
    kernel(places.build / "0123456789abcdef", "6.12", time=2)
    assert places.image().path == current


def test_of_others_the_newest_is_taken(places: Places) -> None:
    kernel(places.build / "0123456789abcdef", "6.12", time=1)
    newer = kernel(places.build / "fedcba9876543210", "6.12", time=2)
    assert places.image().path == newer


def test_another_file_has_another_key(places: Places) -> None:
    path = kernel(places.build / "k", "6.12", time=1)
    before = places.image().key
    os.utime(path, (2, 2))
    assert places.image().key != before


def test_every_line_of_the_configuration_is_one() -> None:
    lines = [line for line in find.FRAGMENT.read_text().splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert len(lines) == len({line.partition("=")[0] for line in lines})


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(Image("uml", Path("/k/linux"), "key"), 7, (Path("/results of mine"),), 512, tmp_path)


def test_the_command_line_names_memory_wire_and_a_root_that_is_read_only(plan: Plan) -> None:
    argv = boot.prepare(plan)
    assert argv[0] == "/k/linux"
    assert {"mem=512M", "ssl0=fd:7", "rootfstype=hostfs", "ro", f"init={plan.private}/init"} <= set(argv)


def test_there_is_no_network_and_no_disk(plan: Plan) -> None:
    assert [word for word in boot.prepare(plan) if re.match(r"(eth|vec|ubd)\d", word)] == []


def test_process_1_reads_the_shares(plan: Plan) -> None:
    boot.prepare(plan)
    told = json.loads((plan.private / "settings.json").read_text())
    assert told["shares"] == ["/results of mine"]
    assert told["modules"] == ""


def test_process_1_is_a_script_that_a_shell_takes(plan: Plan) -> None:
    boot.prepare(plan)
    script = plan.private / "init"
    assert subprocess.run(["sh", "-n", str(script)], check=True).returncode == 0
    words = shlex.split(script.read_text().splitlines()[1])
    assert words[:2] == [f"PYTHONPATH={ROOT}", "exec"]
    assert words[-2:] == ["/dev/ttyS0", f"{plan.private}/settings.json"]


def test_a_guests_memory_is_a_number_of_mib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(guests.MEMORY_VARIABLE, "4096")
    assert guests.memory() == 4096
    monkeypatch.delenv(guests.MEMORY_VARIABLE)
    assert guests.memory() == guests.DEFAULT_MEMORY


@pytest.mark.parametrize("text", ["4G", "12", "-1"])
def test_anything_else_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(guests.MEMORY_VARIABLE, text)
    with pytest.raises(UsageError, match=re.escape(repr(text))):
        guests.memory()
