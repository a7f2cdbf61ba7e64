"""Admission: what may come into the store, and with which addresses."""

from testbed.kube.api.registry import Applied, Deletion, Registry

__all__ = ["Applied", "Deletion", "Registry"]
