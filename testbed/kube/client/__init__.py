"""A client of the Kubernetes API that a daemon serves on its Unix socket: what kubectl is to a cluster."""

from testbed.kube.client.client import TABLE, Client, Event, Listing
from testbed.kube.client.http import JSON
from testbed.kube.client.requests import DeleteOptions, LogOptions, Query

__all__ = ["JSON", "TABLE", "Client", "DeleteOptions", "Event", "Listing", "LogOptions", "Query"]
