"""The Kubernetes API over a store: a request in, a response or a stream out; no socket in here."""

from testbed.kube.api.rest.api import Api
from testbed.kube.api.rest.message import Request, Response

__all__ = ["Api", "Request", "Response"]
