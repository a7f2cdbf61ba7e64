"""What a node says of the system that it runs on (Node status.nodeInfo): this machine, truthfully.

All nodes are namespaces of one machine under one kernel, so all say the same; what would tell one machine from
another (machineID, systemUUID, bootID) is empty, since it would tell nothing of nodes.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping

import testbed
from testbed.kube.objects.version import GIT_VERSION

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386"}  # as Go and so Kubernetes names them


def node_info() -> Mapping[str, str]:
    """core/v1 NodeSystemInfo. Kubelet, proxy and container runtime are the testbed's own.

    The kubelet's version is that of Kubernetes whose behaviour it has, and the testbed's.
    """
    system = os.uname()
    return {
        "architecture": ARCHITECTURES.get(system.machine, system.machine),
        "bootID": "",
        "containerRuntimeVersion": f"testbed://{testbed.__version__}",
        "kernelVersion": system.release,
        "kubeProxyVersion": "",  # no longer told, as in Kubernetes since v1.33
        "kubeletVersion": GIT_VERSION,
        "machineID": "",
        "operatingSystem": system.sysname.lower(),
        "osImage": _os_image(),
        "systemUUID": "",
    }


def memory() -> str:
    """The machine's memory as a quantity, in Ki. Every node has all of it, as every node of kind has."""
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // 1024}Ki"


def _os_image() -> str:
    """The distribution's name for itself, e.g. `Debian GNU/Linux 12 (bookworm)`; empty where there is none."""
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""
