"""Facts of a machine that is laid out in a temporary folder, and of this one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from testbed.bench.results.facts import Facts, gather, share
from testbed.errors import CommandFailed
from testbed.machine.run import Result

FILES = {
    "proc/sys/kernel/osrelease": "6.12.48-amd64\n",
    "proc/cpuinfo": "processor\t: 0\nmodel name\t: A CPU\nprocessor\t: 1\nmodel name\t: Another\n",
    "proc/meminfo": "MemTotal:        8000 kB\nMemFree:  1 kB\nMemAvailable:    6000 kB\n",
    "proc/loadavg": "0.12 0.34 0.56 1/234 5678\n",
    "proc/stat": "cpu  10 1 5 900 4 0 3 77 0 0\ncpu0 5 1 2 450 2 0 1 30 0 0\nctxt 12345\n",
    "proc/softirqs": "       CPU0  CPU1\n  NET_RX:  7  8\n  NET_TX:  1  2\n  BLOCK:  9  9\n",
    "proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n",
    "sys/devices/system/cpu/vulnerabilities/meltdown": "Not affected\n",
    "sys/devices/system/cpu/cpu0/cache/index0/level": "1\n",
    "sys/devices/system/cpu/cpu0/cache/index0/type": "Data\n",
    "sys/devices/system/cpu/cpu0/cache/index0/size": "32K\n",
    "sys/devices/system/cpu/cpu0/cache/index2/level": "2\n",
    "sys/devices/system/cpu/cpu0/cache/index2/type": "Unified\n",
    "sys/devices/system/cpu/cpu0/cache/index2/size": "1024K\n",
}
SAID = {
    "systemd-detect-virt": "kvm\n",
    "nft": "nftables v1.0.6 (Lester Gooch #5)\nmore\n",
    "git rev-parse": "3f2c9e0d\n",
    "git status": " M a.py\n",
}


def machine(root: Path) -> Path:
    """The files of a machine under `root`."""
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def answer(argv: Sequence[str], **_: Any) -> Result:
    """A runner that knows the programs in SAID and no other."""
    name = f"git {argv[3]}" if argv[0] == "git" else argv[0]
    if name not in SAID:
        raise CommandFailed(argv, 127, "no such file")
    return Result(tuple(argv), 0, SAID[name], "", 0.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kernel", "6.12.48-amd64"),
        ("cpu_model", "A CPU"),
        ("caches", {"L1d": "32K", "L2": "1024K"}),
        ("memory_bytes", 8000 * 1024),
        ("memory_available_bytes", 6000 * 1024),
        ("load", (0.12, 0.34, 0.56)),
        (
            "cpu_ticks",
            {
                "user": 10, "nice": 1, "system": 5, "idle": 900, "iowait": 4, "irq": 0, "softirq": 3, "steal": 77
            },
        ),
        ("context_switches", 12345),
        ("softirqs", {"NET_RX": 15, "NET_TX": 3}),
        ("mitigations", {"meltdown": "Not affected"}),
        ("sysctls", {"net.ipv4.ip_local_port_range": "32768 60999"}),
        ("virtualisation", "kvm"),
        ("tools", {"nft": "nftables v1.0.6 (Lester Gooch #5)"}),
        ("commit", "3f2c9e0d"),
        ("dirty", True),
    ],
)  # fmt: skip
def test_a_fact_is_found(tmp_path: Path, field: str, value: object) -> None:
    assert getattr(gather(machine(tmp_path), answer), field) == value


def test_a_machine_without_anything_has_empty_facts(tmp_path: Path) -> None:
    def nothing(argv: Sequence[str], **_: Any) -> Result:
        raise CommandFailed(argv, 127, "no such file")

    facts = gather(tmp_path, nothing)
    assert (facts.kernel, facts.load, facts.cpu_ticks, facts.tools) == ("", (), {}, {})
    assert (facts.commit, facts.dirty) == ("", None)


def test_this_machine_has_a_kernel_and_a_processor() -> None:
    facts = gather()
    assert facts.kernel
    assert facts.cpus >= 1
    assert sum(facts.cpu_ticks.values()) > 0


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ({"user": 150, "steal": 60}, 0.5),
        ({"user": 200, "steal": 10}, 0.0),
        ({"user": 100, "steal": 10}, None),
        ({}, None),
    ],
)
def test_a_share_of_the_time_between(after: dict[str, int], expected: float | None) -> None:
    before = Facts(cpu_ticks={"user": 100, "steal": 10})
    assert share(before, Facts(cpu_ticks=after), "steal") == expected
