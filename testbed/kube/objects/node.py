"""Rules for a Node that its schema cannot say (pkg/apis/core/validation `ValidateNode`).

Knows one Node: its pod ranges, addresses and taints.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from testbed.kube.objects.fields import FieldErrors, invalid, one_of, required
from testbed.kube.objects.ips import cidr, network_of, ordinary_ip
from testbed.kube.objects.names import label_value, named, qualified_name
from testbed.kube.objects.source import child

_EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")
_IP_ADDRESSES = ("ExternalIP", "InternalIP")


def node_errors(body: Mapping[str, Any]) -> FieldErrors:
    """The mistakes in a defaulted Node."""
    spec = body["spec"]
    yield from _pod_ranges(spec)
    for i, taint in enumerate(spec.get("taints", ())):
        yield from _taint(child("spec.taints", i), taint)
    for i, address in enumerate(body.get("status", {}).get("addresses", ())):
        if address.get("type") in _IP_ADDRESSES:
            yield from ordinary_ip(f"status.addresses[{i}].address", address.get("address", ""))


def _pod_ranges(spec: Mapping[str, Any]) -> FieldErrors:
    ranges = spec.get("podCIDRs", [])
    first = spec.get("podCIDR", "")
    if first:
        yield from cidr("spec.podCIDR", first)
    for i, text in enumerate(ranges):
        yield from cidr(child("spec.podCIDRs", i), text)
    if first and ranges and first != ranges[0]:
        yield invalid("spec.podCIDRs[0]", ranges[0], "must match `podCIDR`", f"write {first} first")
    versions = [network.version for network in map(network_of, ranges) if network]
    if len(versions) != len(set(versions)):
        yield invalid("spec.podCIDRs", ranges, "may specify no more than one CIDR for each IP family")


def _taint(path: str, taint: Mapping[str, Any]) -> FieldErrors:
    if taint.get("key"):
        yield from named(f"{path}.key", taint["key"], qualified_name)
    else:
        yield required(f"{path}.key")
    yield from named(f"{path}.value", taint.get("value", ""), label_value)
    yield from one_of(f"{path}.effect", taint.get("effect", ""), _EFFECTS)
