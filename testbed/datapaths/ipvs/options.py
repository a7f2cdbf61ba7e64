"""The settings of this datapath, with the names of KubeProxyConfiguration's section `ipvs` (v1alpha1). Pure.

`variant` (which iptables holds the static chains) and `masqueradeBit` (kube-proxy has it in its section `iptables`)
are told here, too. Knows what each may say and what it means if it is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from testbed.errors import UsageError
from testbed.proxier.plan import IPNetwork

SCHEDULERS = ("dh", "fo", "lblc", "lblcr", "lc", "mh", "nq", "ovf", "rr", "sed", "sh", "wlc", "wrr")
"""The kernel's schedulers by their names (net/netfilter/ipvs/ip_vs_*.c), without twos."""

VARIANTS = ("nft", "legacy")

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:h|ms|m|s))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@dataclass(frozen=True, slots=True)
class Options:
    """`timeouts` are seconds of TCP, TCP after FIN, and UDP; 0 leaves the kernel's own (`ipvsadm --set`)."""

    variant: str = "nft"
    masquerade_bit: int = 14
    scheduler: str = "rr"
    strict_arp: bool = False
    exclude: tuple[IPNetwork, ...] = ()  # addresses whose virtual servers are somebody else's
    timeouts: tuple[int, int, int] = (0, 0, 0)


def options_of(told: Mapping[str, Any]) -> Options:
    """What `kubeProxy.ipvs` says. Raises UsageError that names the setting and what it may be."""
    unknown = sorted(told.keys() - _READERS.keys())
    if unknown:
        raise UsageError(f"ipvs: no option {', '.join(unknown)}; there are: {', '.join(sorted(_READERS))}")
    read = {name: _READERS[name](name, value) for name, value in told.items()}
    timeouts = tuple(read.get(name, 0) for name in _TIMEOUTS)
    plain = {field: read[name] for name, field in _FIELDS.items() if name in read}
    return Options(**plain, timeouts=timeouts)


def _one_of(choices: tuple[str, ...]) -> Callable[[str, Any], str]:
    def read(name: str, value: Any) -> str:
        if value not in choices:
            raise UsageError(f"ipvs: no {name} {value!r}; there are: {', '.join(choices)}")
        return str(value)

    return read


def _scheduler(name: str, value: Any) -> str:
    return _one_of(SCHEDULERS)(name, value or "rr")  # kube-proxy: empty is rr


def _bit(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 31:
        raise UsageError(f"ipvs: no {name} {value!r}; a packet's mark has the bits 0 to 31")
    return value


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"ipvs: {name} is true or false, not {value!r}")
    return value


def _networks(name: str, value: Any) -> tuple[IPNetwork, ...]:
    given = value if isinstance(value, (list, tuple)) else [value]
    try:
        read = tuple(ip_network(each) for each in given)
    except ValueError as error:
        raise UsageError(f"ipvs: {name} is a list of networks, not {value!r}: {error}") from error
    if given is not value:
        raise UsageError(f"ipvs: {name} is a list of networks, not {value!r}")
    return read


def _duration(name: str, value: Any) -> int:
    """Whole seconds of Go's notation (`1h`, `2m30s`, `0`); the kernel knows no less than one."""
    text = str(value)
    if text in ("0", ""):
        return 0
    if not _DURATION.fullmatch(text):
        raise UsageError(f"ipvs: {name} is a duration as 900s or 15m, not {value!r}")
    return max(1, int(sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))))


_FIELDS = {
    "variant": "variant",
    "masqueradeBit": "masquerade_bit",
    "scheduler": "scheduler",
    "strictARP": "strict_arp",
    "excludeCIDRs": "exclude",
}
_TIMEOUTS = ("tcpTimeout", "tcpFinTimeout", "udpTimeout")
_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "variant": _one_of(VARIANTS),
    "masqueradeBit": _bit,
    "scheduler": _scheduler,
    "strictARP": _boolean,
    "excludeCIDRs": _networks,
    **dict.fromkeys(_TIMEOUTS, _duration),
}
