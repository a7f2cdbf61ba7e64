"""What there is: groups, versions, resources, the server's version.

Goes by the table of kinds. Knows both forms of discovery, by group and aggregated (KEP-3352).
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from typing import Any

from testbed.kube.api.rest.answers import accepted
from testbed.kube.api.rest.message import JSON, Request, Response, answer, dumps
from testbed.kube.api.rest.routes import subresources
from testbed.kube.objects import KINDS, Kind
from testbed.kube.objects.version import GIT_VERSION, KUBERNETES

"""The version of Kubernetes whose behaviour is followed."""

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_SUB_VERBS = {
    "status": ("get", "patch", "update"),
    "scale": ("get", "patch", "update"),
    "log": ("get",),
    "eviction": ("create",),
}
_SUB_KINDS = {"scale": ("autoscaling", "v1", "Scale"), "eviction": ("policy", "v1", "Eviction")}
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def discovery(request: Request) -> Response | None:
    """The answer to a discovery path; None if it is none."""
    parts = request.path.strip("/").split("/")
    match parts:
        case ["api"] | ["apis"] if _wants_aggregated(request):
            return Response(200, dumps(_aggregated(core=parts == ["api"])) + b"\n", _AGGREGATED)
        case ["api"]:
            return answer(_core_versions())
        case ["apis"]:
            groups = [_group(name) for name in _groups()]
            return answer({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        case ["apis", name] if name in _groups():
            return answer({"kind": "APIGroup", "apiVersion": "v1", **_group(name)})
        case ["api", _] | ["apis", _, _] if kinds_of("/".join(parts[1:])):
            return answer(_resources("/".join(parts[1:])))
        case ["version"]:
            return answer(_version())
    return None


def versions() -> list[str]:
    """All group versions, the core one first."""
    return list(
        dict.fromkeys(sorted((kind.api_version for kind in KINDS.values()), key=lambda v: ("/" in v, v)))
    )


def kinds_of(version: str) -> list[Kind]:
    """The kinds of a group version."""
    return [kind for kind in KINDS.values() if kind.api_version == version]


def _groups() -> list[str]:
    return list(dict.fromkeys(version.rpartition("/")[0] for version in versions() if "/" in version))


def _core_versions() -> dict[str, Any]:
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}


def _group(name: str) -> dict[str, Any]:
    found = [
        {"groupVersion": version, "version": version.rpartition("/")[2]}
        for version in versions()
        if version.rpartition("/")[0] == name
    ]
    return {"name": name, "versions": found, "preferredVersion": found[0]}


def _resources(version: str) -> dict[str, Any]:
    listed = [entry for kind in kinds_of(version) for entry in _entries(kind)]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": listed}


def _entries(kind: Kind) -> Iterable[dict[str, Any]]:
    yield {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.name,
        "verbs": VERBS,
        **({"shortNames": kind.short_names} if kind.short_names else {}),
        **({"categories": kind.categories} if kind.categories else {}),
    }
    for name in subresources(kind):
        group, version, of = _SUB_KINDS.get(name, ("", "", kind.name))
        foreign = {"group": group, "version": version} if group else {}
        yield {
            "name": f"{kind.plural}/{name}",
            "singularName": "",
            "namespaced": kind.namespaced,
            **foreign,
            "kind": of,
            "verbs": _SUB_VERBS[name],
        }


def _wants_aggregated(request: Request) -> bool:
    return any(
        media == JSON and parameters == {"g": "apidiscovery.k8s.io", "v": "v2", "as": "APIGroupDiscoveryList"}
        for media, parameters in accepted(request.headers.get("accept", ""))
    )


def _aggregated(*, core: bool) -> dict[str, Any]:
    items = [
        {"metadata": {"name": group}, "versions": [_discovered(version) for version in found]}
        for group in ([""] if core else _groups())
        for found in [[version for version in versions() if version.rpartition("/")[0] == group]]
    ]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _discovered(version: str) -> dict[str, Any]:
    resources = [_discovered_kind(kind) for kind in kinds_of(version)]
    return {"version": version.rpartition("/")[2], "resources": resources, "freshness": "Current"}


def _discovered_kind(kind: Kind) -> dict[str, Any]:
    group, _, version = kind.api_version.rpartition("/")
    below = [
        {
            "subresource": name,
            "responseKind": _response_kind(*_SUB_KINDS.get(name, (group, version, kind.name))),
            "verbs": _SUB_VERBS[name],
        }
        for name in subresources(kind)
    ]
    return {
        "resource": kind.plural,
        "responseKind": _response_kind(group, version, kind.name),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": VERBS,
        "shortNames": kind.short_names,
        "categories": kind.categories,
        "subresources": below,
    }


def _response_kind(group: str, version: str, kind: str) -> dict[str, str]:
    return {"group": group, "version": version, "kind": kind}


def _version() -> dict[str, str]:
    major, minor, _ = KUBERNETES
    return {
        "major": major,
        "minor": minor,
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": f"python {platform.python_version()}",
        "platform": f"{platform.system().lower()}/{platform.machine()}",
    }
