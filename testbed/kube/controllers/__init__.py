"""Controllers: what follows from the objects in the store."""

from __future__ import annotations

from testbed.kube.controllers.collector import Collector
from testbed.kube.controllers.controller import Controller
from testbed.kube.controllers.daemonset import DaemonSetController
from testbed.kube.controllers.deployment import DeploymentController
from testbed.kube.controllers.endpointslice import EndpointSliceController
from testbed.kube.controllers.events import EventKeeper
from testbed.kube.controllers.eviction import TaintEviction
from testbed.kube.controllers.loadbalancer import LoadBalancerController
from testbed.kube.controllers.manager import Manager
from testbed.kube.controllers.mirroring import MirroringController
from testbed.kube.controllers.nodes import create_nodes
from testbed.kube.controllers.replicaset import ReplicaSetController
from testbed.kube.controllers.scheduler import Scheduler
from testbed.kube.controllers.servicecidr import ServiceCIDRController
from testbed.kube.controllers.statefulset import StatefulSetController
from testbed.kube.objects import ClusterConfig

__all__ = ["Controller", "Manager", "all_controllers", "create_nodes"]


def all_controllers(cluster: ClusterConfig) -> list[Controller]:
    """One of each, new: a controller belongs to one manager. (Nodes are made once, by `create_nodes`.)"""
    return [
        DeploymentController(),
        ReplicaSetController(),
        StatefulSetController(),
        DaemonSetController(),
        Scheduler(),
        TaintEviction(),
        EndpointSliceController(),
        MirroringController(),
        LoadBalancerController(cluster.networking.load_balancer_subnets),
        ServiceCIDRController(),
        Collector(),
        EventKeeper(),
    ]
