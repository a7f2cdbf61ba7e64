"""Which address families a Service has: ipFamilyPolicy, ipFamilies and clusterIPs made to agree.

The rules are those of Kubernetes' pkg/registry/core/service/storage/alloc.go (initIPFamilyFields) and of
ValidateServiceClusterIPsRelatedFields. Knows one Service and the cluster's families; allocates nothing.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from testbed.kube.api.draft import Draft
from testbed.kube.store import Object

FAMILIES = ("IPv4", "IPv6")
FIELDS = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
NONE = "None"  # the clusterIP of a headless Service


def family_of(address: str) -> str:
    """`IPv4` or `IPv6`."""
    return "IPv6" if ":" in address else "IPv4"


def needs_cluster_ip(spec: Object) -> bool:
    """False for an ExternalName and for no Service at all (an empty spec)."""
    return bool(spec) and spec.get("type", "ClusterIP") != "ExternalName"


def headless(spec: Object) -> bool:
    """True if the Service has no address of its own."""
    return bool(spec.get("clusterIP") == NONE)


def cluster_ips(spec: Object) -> list[str]:
    """The addresses that a Service holds; none for a headless one."""
    given = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    return [ip for ip in given if ip != NONE]


def choose_families(item: Draft, configured: tuple[str, ...]) -> None:
    """Fill ipFamilyPolicy and ipFamilies, note what does not fit. The first of `configured` is primary."""
    spec = item.spec
    if not needs_cluster_ip(spec):
        for name in FIELDS:
            spec.pop(name, None)
        return
    _carry_over(item)
    _default_policy(spec)
    _release_secondary(item)
    _infer_from_addresses(item, configured)
    if not item.mistakes:
        _check_against_cluster(item, configured)
        _complete(spec, configured)
        _check_unchanged(item)


def _carry_over(item: Draft) -> None:
    """Values that the server filled in, where the manifest is silent (patchAllocatedValues)."""
    spec, old = item.spec, item.old_spec
    if needs_cluster_ip(old):
        same = spec.get("clusterIP") in (None, "", old["clusterIP"])
        if same and not spec.get("clusterIPs"):
            spec |= {"clusterIP": old["clusterIP"], "clusterIPs": old["clusterIPs"]}
        for name in ("ipFamilyPolicy", "ipFamilies"):
            if not spec.get(name):
                spec[name] = old[name]
    given = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    spec["clusterIPs"] = [ip if ip == NONE else str(ip_address(ip)) for ip in given]
    spec["clusterIP"] = next(iter(spec["clusterIPs"]), "")
    spec["ipFamilies"] = list(spec.get("ipFamilies") or ())


def _default_policy(spec: dict[str, Any]) -> None:
    if not spec.get("ipFamilyPolicy"):
        spec["ipFamilyPolicy"] = "RequireDualStack" if _free_of_families(spec) else "SingleStack"


def _free_of_families(spec: Object) -> bool:
    """Headless without selector: its slices are the user's, in whatever family."""
    return headless(spec) and not spec.get("selector")


def _release_secondary(item: Draft) -> None:
    """Going back to one family: the policy alone says so, anything else is a contradiction."""
    spec, old = item.spec, item.old_spec
    what = {"clusterIPs": "cluster IP", "ipFamilies": "IP family"}
    many = {"clusterIPs": "cluster IPs", "ipFamilies": "IP families"}
    for name in ("clusterIPs", "ipFamilies"):
        if spec["ipFamilyPolicy"] == "SingleStack":
            if len(spec[name]) > 1 and spec[name] == old.get(name):
                spec[name] = spec[name][:1]
            if len(spec[name]) > 1:
                message = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {many[name]} are"
                item.mistake("spec.ipFamilyPolicy", f"{message} specified")
        elif len(spec[name]) == 1 and len(old.get(name, ())) == 2:
            message = f"must be 'SingleStack' to release the secondary {what[name]}"
            item.mistake("spec.ipFamilyPolicy", message)


def _infer_from_addresses(item: Draft, configured: tuple[str, ...]) -> None:
    spec = item.spec
    for index, address in enumerate(cluster_ips(spec)):
        family = family_of(address)
        if index >= len(spec["ipFamilies"]):
            spec["ipFamilies"].append(family)
            if family not in configured:
                item.mistake(f"spec.clusterIPs[{index}]", f"{family} is not configured on this cluster")
        elif spec["ipFamilies"][index] != family:
            expected = spec["ipFamilies"][index]
            message = f"expected an {expected} value as indicated by `ipFamilies[{index}]`"
            item.mistake(f"spec.clusterIPs[{index}]", message)


def _check_against_cluster(item: Draft, configured: tuple[str, ...]) -> None:
    spec = item.spec
    if _free_of_families(spec):
        return
    if spec["ipFamilyPolicy"] == "RequireDualStack" and len(configured) < 2:
        hint = "say PreferDualStack, or give the cluster `networking.ipFamily: dual`"
        item.mistake("spec.ipFamilyPolicy", "this cluster is not configured for dual-stack services", hint)
    for index, family in enumerate(spec["ipFamilies"]):
        if family not in configured:
            hint = f"this cluster has {' and '.join(configured)}"
            item.mistake(f"spec.ipFamilies[{index}]", f"{family}: not configured on this cluster", hint)


def _complete(spec: dict[str, Any], configured: tuple[str, ...]) -> None:
    """The family by default, and the second one where the policy wants it and the cluster has it."""
    families = spec["ipFamilies"] = spec["ipFamilies"] or [configured[0]]
    possible = FAMILIES if _free_of_families(spec) else configured
    if spec["ipFamilyPolicy"] != "SingleStack" and len(families) == 1:
        families += [family for family in possible if family not in families]


def _check_unchanged(item: Draft) -> None:
    """What a Service was once given stays, by index; ExternalName in between gives it back."""
    spec, old = item.spec, item.old_spec
    if not needs_cluster_ip(old):
        return
    names = ["clusterIPs"] if _free_of_families(spec) else ["clusterIPs", "ipFamilies"]
    for name in names:
        for index, (now, before) in enumerate(zip(spec[name], old[name], strict=False)):
            if now != before:
                hint = f"leave it at {before}, or delete the Service first"
                item.mistake(f"spec.{name}[{index}]", "may not change once set", hint)
