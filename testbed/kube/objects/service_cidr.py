"""Rules for a ServiceCIDR that its schema cannot say (pkg/apis/networking/validation `ValidateServiceCIDR`).

Knows the networks of one. Whether it meets those of the cluster is admission's question.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from testbed.kube.objects.fields import FieldErrors, invalid, required, too_many
from testbed.kube.objects.ips import cidr, network_of
from testbed.kube.objects.source import child

_MAX_CIDRS = 2  # one for each family


def service_cidr_errors(body: Mapping[str, Any]) -> FieldErrors:
    """The mistakes in a ServiceCIDR."""
    cidrs = body.get("spec", {}).get("cidrs", [])
    if not cidrs:
        yield required("spec.cidrs", "at least one CIDR required")
    elif len(cidrs) > _MAX_CIDRS:
        yield too_many("spec.cidrs", len(cidrs), _MAX_CIDRS)
    for i, text in enumerate(cidrs):
        yield from cidr(child("spec.cidrs", i), text)
    versions = [network.version for network in map(network_of, cidrs) if network]
    if len(versions) == _MAX_CIDRS and len(set(versions)) == 1:
        detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/96"
        yield invalid("spec.cidrs", cidrs, detail)
