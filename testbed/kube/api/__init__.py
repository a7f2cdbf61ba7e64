"""Admission: what may come into the store, and with which addresses."""

from testbed.kube.api.registry import Applied, Registry

__all__ = ["Applied", "Registry"]
