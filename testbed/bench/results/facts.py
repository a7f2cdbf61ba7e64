"""Facts of the machine that a figure depends on, taken before and after a run.

Knows where Linux and the tools keep them. Knows nothing of what is measured, and never fails for a fact that
a machine does not have: that fact is then empty. The choice follows flent's metadata and FD.io CSIT's "test
environment", with the places where noise hides on a shared machine added.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from testbed.errors import CommandFailed
from testbed.machine.run import Result, run

SYSCTLS = (
    "net.core.bpf_jit_enable",
    "net.core.default_qdisc",
    "net.core.netdev_budget",
    "net.core.netdev_max_backlog",
    "net.core.netdev_tstamp_prequeue",  # 1: receive stamps are taken before the backlog queue
    "net.core.rmem_max",
    "net.core.rps_sock_flow_entries",
    "net.ipv4.ip_forward",
    "net.ipv4.ip_local_port_range",
    "net.netfilter.nf_conntrack_buckets",
    "net.netfilter.nf_conntrack_max",
    "kernel.sched_autogroup_enabled",
    "kernel.timer_migration",
)
TOOLS: Mapping[str, tuple[str, ...]] = {
    "iptables-legacy": ("iptables-legacy", "--version"),
    "iptables-nft": ("iptables-nft", "--version"),
    "nft": ("nft", "--version"),
    "ip": ("ip", "-V"),
}
PACKAGES = ("numpy", "scipy", "scapy", "mininet", "pyroute2", "matplotlib")
CPU_STATES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
SOFTIRQS = ("NET_RX", "NET_TX", "TIMER", "SCHED", "RCU")

Runner = Callable[..., Result]


@dataclass(frozen=True, slots=True)
class Facts:
    """The machine at one moment. Counters run since boot: only the difference of two Facts says something."""

    time: str = ""  # ISO 8601 with offset
    kernel: str = ""
    architecture: str = ""
    virtualisation: str = ""  # as systemd-detect-virt names it, "none" on bare metal, empty if unknown
    cpu_model: str = ""
    cpus: int = 0  # that this process may run on
    caches: Mapping[str, str] = field(default_factory=dict)  # {"L2": "1024K"}, of the first CPU
    governor: str = ""
    memory_bytes: int = 0
    memory_available_bytes: int = 0
    load: tuple[float, ...] = ()  # over 1, 5 and 15 minutes
    cpu_ticks: Mapping[str, int] = field(default_factory=dict)  # all CPUs together, 1/100 s
    context_switches: int = 0
    softirqs: Mapping[str, int] = field(default_factory=dict)  # handled since boot
    mitigations: Mapping[str, str] = field(default_factory=dict)
    sysctls: Mapping[str, str] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    python: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    commit: str = ""
    dirty: bool | None = None  # uncommitted changes in the program; None if it is not run from a checkout


def gather(root: Path = Path("/"), runner: Runner = run) -> Facts:
    """Facts of this machine now. `root` is where /proc and /sys are looked for; takes about 50 ms."""
    commit, dirty = _program(runner)
    memory = _table(root / "proc/meminfo")
    stat = _table(root / "proc/stat", separator=" ")
    return Facts(
        time=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        kernel=_text(root / "proc/sys/kernel/osrelease"),
        architecture=platform.machine(),
        virtualisation=_said(runner, ("systemd-detect-virt", "--vm")),
        cpu_model=_table(root / "proc/cpuinfo").get("model name", ""),
        cpus=len(os.sched_getaffinity(0)),
        caches=_caches(root / "sys/devices/system/cpu/cpu0/cache"),
        governor=_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        memory_bytes=_kibibytes(memory, "MemTotal"),
        memory_available_bytes=_kibibytes(memory, "MemAvailable"),
        load=tuple(float(part) for part in _text(root / "proc/loadavg").split()[:3]),
        cpu_ticks=dict(zip(CPU_STATES, map(int, stat.get("cpu", "").split()), strict=False)),
        context_switches=int(stat.get("ctxt", "0")),
        softirqs=_softirqs(root / "proc/softirqs"),
        mitigations=_files(root / "sys/devices/system/cpu/vulnerabilities"),
        sysctls=_sysctls(root / "proc/sys"),
        tools={name: said for name, argv in TOOLS.items() if (said := _said(runner, argv))},
        python=platform.python_version(),
        packages=_packages(),
        commit=commit,
        dirty=dirty,
    )


def share(before: Facts, after: Facts, state: str) -> float | None:
    """The part of all CPU time between two Facts that went to `state` ("steal", "softirq"), 0 to 1.

    None if either side lacks the counters, or no time passed (proc(5), /proc/stat).
    """
    spent = {s: after.cpu_ticks.get(s, 0) - before.cpu_ticks.get(s, 0) for s in CPU_STATES}
    total = sum(spent.values())
    if not before.cpu_ticks or not after.cpu_ticks or total <= 0:
        return None
    return spent[state] / total


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _table(path: Path, separator: str = ":") -> dict[str, str]:
    """Lines of `key SEPARATOR value`; the first line of a key wins (cpuinfo repeats them for each CPU)."""
    found: dict[str, str] = {}
    for line in _text(path).splitlines():
        key, _, value = line.partition(separator)
        found.setdefault(key.strip(), value.strip())
    return found


def _kibibytes(memory: Mapping[str, str], key: str) -> int:
    return int(memory.get(key, "0 kB").split()[0]) * 1024


def _files(folder: Path) -> dict[str, str]:
    return {path.name: _text(path) for path in sorted(folder.glob("*")) if path.is_file()}


def _caches(folder: Path) -> dict[str, str]:
    found = {}
    for index in sorted(folder.glob("index*")):
        kind = {"Data": "d", "Instruction": "i"}.get(_text(index / "type"), "")
        found[f"L{_text(index / 'level')}{kind}"] = _text(index / "size")
    return found


def _softirqs(path: Path) -> dict[str, int]:
    rows = _table(path)
    return {name: sum(map(int, rows[name].split())) for name in SOFTIRQS if name in rows}


def _sysctls(folder: Path) -> dict[str, str]:
    values = {name: _text(folder / name.replace(".", "/")) for name in SYSCTLS}
    return {name: " ".join(value.split()) for name, value in values.items() if value}


def _packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _said(runner: Runner, argv: tuple[str, ...]) -> str:
    """The first line that a program prints, empty if it cannot be run."""
    try:
        # systemd-detect-virt ends with status 1 on bare metal, having said "none"
        result = runner(argv, check=False, timeout=10.0)
    except CommandFailed:
        return ""
    return (result.stdout.strip().splitlines() or [""])[0]


def _program(runner: Runner) -> tuple[str, bool | None]:
    """The commit that the program is run from, and whether files differ from it."""
    git = ("git", "-C", str(Path(__file__).parent))
    commit = _said(runner, (*git, "rev-parse", "HEAD"))
    if not commit:
        return "", None
    return commit, bool(_said(runner, (*git, "status", "--porcelain", "--untracked-files=no")))
