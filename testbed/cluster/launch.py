"""Starts a daemon on the kernel that was chosen for it, and says what a cluster asks of a kernel.

Knows the daemon, sandboxes and guests; what is in the cluster it only hands on.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from testbed.cluster import daemon
from testbed.cluster.agent import datapath_options
from testbed.datapaths import find
from testbed.kube.objects import ClusterConfig, Manifest
from testbed.machine import sandbox
from testbed.machine.kernels import NATIVE
from testbed.machine.kernels.choose import Need
from testbed.machine.sandbox import Instance


def need(cluster: ClusterConfig) -> Need:
    """What a cluster asks of the kernel that it runs on. Raises UsageError if its datapath does not exist."""
    mode = cluster.networking.kube_proxy_mode
    if mode == daemon.NO_DATAPATH:
        return Need("cluster", lambda _: ())
    datapath = find.load(mode, datapath_options(cluster.kube_proxy))
    return Need(f"datapath {datapath.name}", datapath.missing)


def start(kernel: str, name: str, cluster: ClusterConfig, manifests: Sequence[Manifest] = ()) -> Instance:
    """Start a lab instance with these objects on a kernel; return when its daemon serves.

    Raises what `sandbox.start` raises, and FeatureMissing if there is no such kernel here.
    """
    run = partial(daemon.run, name, cluster, manifests=manifests)
    if kernel == NATIVE:
        return sandbox.start(name, run)
    from testbed.machine.kernels import guests  # here: who starts natively needs none of it

    return guests.start(kernel, name, run)
