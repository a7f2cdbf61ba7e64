"""Paths: what each names, and what names nothing."""

from __future__ import annotations

import pytest

from testbed.kube.api.rest.routes import Route, route
from testbed.kube.objects import KINDS

POD, NODE, DEPLOYMENT = KINDS["Pod"], KINDS["Node"], KINDS["Deployment"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/pods", Route(POD, None)),
        ("/api/v1/namespaces/shop/pods", Route(POD, "shop")),
        ("/api/v1/namespaces/shop/pods/", Route(POD, "shop")),
        ("/api/v1/namespaces/shop/pods/a", Route(POD, "shop", "a")),
        ("/api/v1/namespaces/shop/pods/a/log", Route(POD, "shop", "a", "log")),
        ("/api/v1/namespaces/shop/pods/a/status", Route(POD, "shop", "a", "status")),
        ("/api/v1/nodes", Route(NODE, "")),
        ("/api/v1/nodes/node1", Route(NODE, "", "node1")),
        ("/api/v1/namespaces", Route(KINDS["Namespace"], "")),
        ("/api/v1/namespaces/shop", Route(KINDS["Namespace"], "", "shop")),
        ("/api/v1/namespaces/shop/status", Route(KINDS["Namespace"], "", "shop", "status")),
        ("/apis/apps/v1/namespaces/shop/deployments/web/scale", Route(DEPLOYMENT, "shop", "web", "scale")),
        ("/api/v1/watch/pods", Route(POD, None, watch=True)),
        ("/api/v1/watch/namespaces/shop/pods/a", Route(POD, "shop", "a", watch=True)),
    ],
)
def test_a_path(path: str, expected: Route) -> None:
    assert route(path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "/", "/api", "/api/v1", "/api/v2/pods", "/apis/apps/v1", "/apis/apps/v2/deployments",
        "/apis/apps/v1/pods", "/api/v1/deployments", "/api/v1/cars",
        "/api/v1/pods/a", "/api/v1/namespaces/shop/nodes", "/api/v1/namespaces/shop/cars",
        "/api/v1/namespaces/shop/pods/a/scale", "/api/v1/namespaces/shop/pods/a/log/more",
        "/api/v1/namespaces//pods", "/api/v1/namespaces/shop/pods//log", "/api/v1/../pods", "/other/v1/pods",
        "/api/v1/watch",
    ],
)  # fmt: skip
def test_no_path(path: str) -> None:
    assert route(path) is None
