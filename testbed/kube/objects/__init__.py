"""What the user wrote, and whether it is right: loading, defaulting and validation as Kubernetes does it."""

from testbed.kube.objects.cluster import (
    ClusterConfig,
    KubeProxy,
    Networking,
    NodeConfig,
    default_cluster,
)
from testbed.kube.objects.defaults import defaulted
from testbed.kube.objects.fields import FieldError
from testbed.kube.objects.kinds import KINDS, Kind, kind_named
from testbed.kube.objects.load import Loaded, load, load_text, read
from testbed.kube.objects.source import Manifest, Source
from testbed.kube.objects.validate import field_errors
from testbed.kube.objects.workload import selects

__all__ = [
    "KINDS",
    "ClusterConfig",
    "FieldError",
    "Kind",
    "KubeProxy",
    "Loaded",
    "Manifest",
    "Networking",
    "NodeConfig",
    "Source",
    "default_cluster",
    "defaulted",
    "field_errors",
    "kind_named",
    "load",
    "load_text",
    "read",
    "selects",
]
