"""The settings of a node's connection tracking, as kube-proxy makes them (KubeProxyConfiguration `conntrack`).

Knows the fields, kube-proxy's defaults and the kernel's names (Documentation/networking/nf_conntrack-sysctl.rst).
`maxPerCore` and `min` are not here: the size of the table is the machine's, no network namespace can set it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from testbed.errors import KernelStateError
from testbed.kube.objects.cluster import seconds
from testbed.machine.netns import Netns

FOLDER = Path("/proc/sys/net/netfilter")
TIMEOUTS = {
    "tcpEstablishedTimeout": ("nf_conntrack_tcp_timeout_established", "24h"),
    "tcpCloseWaitTimeout": ("nf_conntrack_tcp_timeout_close_wait", "1h"),
    "udpTimeout": ("nf_conntrack_udp_timeout", "0"),
    "udpStreamTimeout": ("nf_conntrack_udp_timeout_stream", "0"),
}
"""Field -> the kernel's name, and kube-proxy's default; 0 leaves the kernel's own."""


def conntrack_sysctls(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and values to be set for the section `conntrack` of a Cluster document."""
    for field, (name, default) in TIMEOUTS.items():
        length = int(seconds(fields.get(field, default)) or 0)
        if length:
            yield name, str(length)
    if fields.get("tcpBeLiberal"):
        yield "nf_conntrack_tcp_be_liberal", "1"


def set_conntrack(netns: Netns, fields: Mapping[str, Any]) -> None:
    """Set them on a node. Raises KernelStateError if the kernel has one of them and will not take it."""
    with netns.entered():
        for name, value in conntrack_sysctls(fields):
            file = FOLDER / name
            try:
                if file.exists():
                    file.write_text(value)
            except OSError as error:
                raise KernelStateError(f"{netns.name}: {name}={value}: {error.strerror}") from error
