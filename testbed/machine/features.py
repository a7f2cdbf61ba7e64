"""What this machine can do, found out by trying it in throw-away namespaces; versions are never read.

Each probe runs a few real commands inside `unshare` and leaves nothing. A probe that says no also says why
and what mends it. Knows features by name; knows nothing of who needs them.
"""

from __future__ import annotations

import importlib.util
import mmap
import os
import shutil
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from testbed.errors import TestbedError
from testbed.machine import netlink
from testbed.machine.run import run

KERNEL_FIX = "use a kernel that has it, e.g. Debian's linux-image-amd64"
PROBE_SECONDS = 120.0  # natively a moment; in an emulated machine that is busy, importing a module takes long
NETLINK_GENERIC, GENERIC_CONTROL = 16, 0x10  # linux/netlink.h, linux/genetlink.h
GET_FAMILY, FAMILY_NAME = b"\3\1\0\0", 2  # CTRL_CMD_GETFAMILY with its version; CTRL_ATTR_FAMILY_NAME
PACKET_RX_RING, PACKET_VERSION, TPACKET_V2, SOL_PACKET = 5, 10, 1, 263


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe's answer: `reason` and `fix` are empty where `ok`."""

    ok: bool
    reason: str = ""
    fix: str = ""


YES = Probe(True)
_programs: set[str] = set()  # that a probe looks for before it tries anything


def names() -> tuple[str, ...]:
    """Every feature that can be asked for, sorted."""
    return tuple(sorted(_PROBES))


def features() -> Mapping[str, Probe]:
    """All features with their probes' answers."""
    return {name: probe(name) for name in names()}


def programs() -> tuple[str, ...]:
    """The programs that probes look for: one that comes or goes may change an answer."""
    return tuple(sorted(_programs))


@cache
def probe(name: str) -> Probe:
    """Try one feature; the answer is kept for the life of the process. Raises TestbedError for unknown names."""
    if name not in _PROBES:
        raise TestbedError(f"no feature {name!r}; there are: {', '.join(names())}")
    return _PROBES[name]()


class ThisMachine:
    """`datapaths.contract.Machine` on the machine that we run on."""

    def has(self, feature: str) -> bool:
        """True if a probe showed the feature."""
        return probe(feature).ok

    def why_not(self, feature: str) -> str:
        """What the probe said, for a feature that is not there."""
        return probe(feature).reason


def _inside(script: str) -> str:
    """Run a shell script in fresh namespaces; empty if it passed, else the last line of what it said."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    argv = ["unshare", *user, "--net", "--mount", "--ipc", "--pid", "--fork", "--mount-proc", "sh", "-ec"]
    result = run([*argv, "mount -t tmpfs tmpfs /run\n" + script], check=False, timeout=PROBE_SECONDS)
    said = (result.stderr or result.stdout).strip().splitlines()
    return "" if result.status == 0 else (said[-1] if said else f"status {result.status}")


def _tried(script: str, fix: str = KERNEL_FIX, *, tool: str = "", package: str = "") -> Callable[[], Probe]:
    """A probe that runs a script; a missing tool is a different answer than a missing kernel feature."""

    if tool:
        _programs.add(tool)

    def attempt() -> Probe:
        if tool and shutil.which(tool, path=path()) is None:
            return Probe(False, f"no program {tool}", f"apt-get install {package or tool}")
        said = _inside(script)
        return Probe(False, said, fix) if said else YES

    return attempt


def path() -> str:
    """Where programs are looked for: an ordinary user's PATH on Debian leaves out where ip and iptables are."""
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def _program(name: str, package: str) -> Callable[[], Probe]:
    _programs.add(name)

    def look() -> Probe:
        found = shutil.which(name, path=path())
        return YES if found else Probe(False, f"no program {name}", f"apt-get install {package}")

    return look


_mnexec = _program("mnexec", "mininet")


def _mininet() -> Probe:
    if importlib.util.find_spec("mininet") is None:
        return Probe(
            False, "no Python package mininet", "apt-get install mininet; a venv with --system-site-packages"
        )
    return _mnexec()


def _user_namespaces() -> Probe:
    result = run(["unshare", "--user", "--map-root-user", "true"], check=False, timeout=PROBE_SECONDS)
    fix = "sysctl -w user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1"
    return YES if result.status == 0 else Probe(False, result.stderr.strip(), fix)


def _packet_ring() -> Probe:
    """A TPACKET_V2 ring (packet_mmap, Documentation/networking/packet_mmap.rst), what the taps are made of."""
    if os.geteuid() != 0:
        return YES if not _inside("ip link set lo up") else Probe(False, "no network namespace", KERNEL_FIX)
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as tap:
            tap.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
            block = mmap.PAGESIZE
            ring = b"".join(n.to_bytes(4, "little") for n in (block, 1, 2048, block // 2048))
            tap.setsockopt(SOL_PACKET, PACKET_RX_RING, ring)
    except OSError as error:
        return Probe(False, str(error.strerror), KERNEL_FIX)
    return YES


def _cgroup2() -> Probe:
    mounts = Path("/proc/mounts").read_text().splitlines()
    found = any(line.split()[2] == "cgroup2" for line in mounts)
    return (
        YES
        if found
        else Probe(False, "no cgroup v2 is mounted", "mount -t cgroup2 none /sys/fs/cgroup/unified")
    )


_list_programs = _tried("mount -t bpf bpf /sys/fs/bpf; bpftool prog list", tool="bpftool")


def _bpf() -> Probe:
    if os.geteuid() != 0:
        return Probe(False, "programs may only be loaded by root", "run as root")
    return _list_programs()


_ip_vs_listed = _tried("test -e /proc/net/ip_vs || { echo the kernel has no IPVS; false; }")


def _ip_vs() -> Probe:
    """A module comes when its generic netlink family is asked for (net/netlink/genetlink.c, ctrl_getfamily)."""
    asked = GET_FAMILY + netlink.text(FAMILY_NAME, "IPVS")
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC) as control:
        control.send(netlink.message(GENERIC_CONTROL, netlink.ACK, asked))
        control.recv(netlink.RECEIVE_BYTES)
    return _ip_vs_listed()


def _iptables(variant: str, match: str = "") -> Callable[[], Probe]:
    tool = f"iptables-{variant}"
    return _tried(f"{tool} -t nat -A PREROUTING {match} -j ACCEPT", tool=tool, package="iptables")


_LINK = "ip link add t0 type {}"
_ASKED = """for t in iptables-nft iptables-legacy; do $t -t nat -N probe >/dev/null 2>&1 && break; done
ipset create t hash:ip,port; $t -A INPUT """  # whichever iptables there is
_PROBES: Mapping[str, Callable[[], Probe]] = {
    "netns": _tried("ip netns add t0 && ip netns exec t0 true", tool="ip", package="iproute2"),
    "userns": _user_namespaces,
    "mininet": _mininet,
    "veth": _tried(_LINK.format("veth"), tool="ip", package="iproute2"),
    "bridge": _tried(_LINK.format("bridge"), tool="ip", package="iproute2"),
    "vxlan": _tried(_LINK.format("vxlan id 1 dstport 4789 local 127.0.0.1"), tool="ip", package="iproute2"),
    "dummy": _tried(_LINK.format("dummy"), tool="ip", package="iproute2"),
    "netem": _tried("ip link set lo up; tc qdisc add dev lo root netem delay 1ms", tool="tc", package="iproute2"),
    "iptables-nft": _iptables("nft"),
    "iptables-legacy": _iptables("legacy"),
    "xt_recent": _iptables("nft", "-m recent --set --name t"),
    "xt_statistic": _iptables("nft", "-m statistic --mode random --probability 0.5"),
    "nfacct": _tried("nfacct add t", tool="nfacct"),
    "nftables": _tried(
        "nft add table ip t; nft add map ip t m '{ type ipv4_addr . inet_proto . inet_service : verdict ; }'",
        tool="nft", package="nftables",
    ),
    "ipset": _tried("ipset create t hash:ip,port", tool="ipset"),
    "conntrack": _tried("conntrack -L", tool="conntrack"),
    "ip_vs": _ip_vs,
    "xt_set": _tried(_ASKED + "-m set --match-set t dst,dst -j ACCEPT", tool="ipset"),
    "xt_ipvs": _tried(_ASKED + "-m ipvs --vproto 6 --vaddr 192.0.2.1 -j ACCEPT", tool="ipset"),
    "bpf": _bpf,
    "cgroup2": _cgroup2,
    "packet-mmap": _packet_ring,
    "kubectl": _program("kubectl", "kubernetes-client"),
    "chromium": _program("chromium", "chromium chromium-driver"),
    "sctp": _tried(
        "python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)'", tool="python3"
    ),
}  # fmt: skip
