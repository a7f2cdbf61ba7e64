"""A Kubernetes cluster's traffic path on one Linux machine: real namespaces, real rules, honest figures."""

__version__ = "0.1.0"
