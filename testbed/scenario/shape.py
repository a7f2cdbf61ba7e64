"""The cluster that an arm is built as: what the manifests describe, with the arm's own datapath.

Knows ClusterConfig. Knows neither scenario files nor running clusters.
"""

from __future__ import annotations

import dataclasses

from testbed.kube.objects import ClusterConfig, Loaded, default_cluster

NO_DATAPATH = "none"  # kind's word for a cluster without kube-proxy
NAMESPACE = "default"  # of the pods and the Service that a scenario names
DISCARD_PORT = 9  # RFC 863; the noise goes there


def cluster_for(loaded: Loaded, datapath: str, variant: str = "") -> ClusterConfig:
    """The cluster with `datapath` in its `variant`. What it says of another mode's options does not count."""
    cluster = loaded.cluster or default_cluster()
    given = cluster.kube_proxy.options if cluster.networking.kube_proxy_mode == datapath else {}
    options = {**given, **({"variant": variant} if variant else {})}
    return dataclasses.replace(
        cluster,
        networking=dataclasses.replace(cluster.networking, kube_proxy_mode=datapath),
        # The measurement sets its own pace: each change is measured alone, and nobody waits for the next round.
        kube_proxy=dataclasses.replace(cluster.kube_proxy, options=options, min_sync_period=0.0),
    )
