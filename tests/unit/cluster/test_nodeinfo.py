"""What nodes say of their system is what this machine says."""

from __future__ import annotations

from pathlib import Path

from testbed.cluster.nodeinfo import memory, node_info
from testbed.machine.run import run

FIELDS = {
    *("architecture", "bootID", "containerRuntimeVersion", "kernelVersion", "kubeProxyVersion"),
    *("kubeletVersion", "machineID", "operatingSystem", "osImage", "systemUUID"),
}


def test_the_kernel_is_this_one() -> None:
    assert node_info()["kernelVersion"] == run(["uname", "-r"]).stdout.strip()


def test_all_fields_that_the_api_requires_are_there() -> None:
    assert node_info().keys() == FIELDS


def test_what_is_not_kubernetes_own_says_so() -> None:
    info = node_info()
    assert "testbed" in info["kubeletVersion"]
    assert info["containerRuntimeVersion"].startswith("testbed://")


def test_memory_is_the_machines() -> None:
    total = Path("/proc/meminfo").read_text().split()[1]
    assert memory() == f"{total}Ki"
