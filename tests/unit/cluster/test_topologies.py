"""The cluster shapes that come along: each loads without a mistake, and is what its name says."""

from __future__ import annotations

import pytest

from testbed.cluster import topologies
from testbed.errors import UsageError
from testbed.kube.objects import Loaded, load

SHAPES = {"one-node": (1, 5), "three-nodes": (3, 20), "ten-nodes": (10, 200)}


def loaded(name: str) -> Loaded:
    return load([str(topologies.path(name))])


def test_all_are_known() -> None:
    assert topologies.names() == sorted(SHAPES)


@pytest.mark.parametrize("name", SHAPES)
def test_nodes_and_pods(name: str) -> None:
    found = loaded(name)
    assert found.cluster is not None
    replicas = [m.body["spec"]["replicas"] for m in found.manifests if m.body["kind"] == "StatefulSet"]
    assert (len(found.cluster.nodes), sum(replicas)) == SHAPES[name]
    assert found.cluster.name == name
    assert found.warnings == ()


@pytest.mark.parametrize("name", ["", "four-nodes", "../topologies/one-node", "one-node.yaml"])
def test_an_unknown_name_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError, match="there are: one-node, ten-nodes, three-nodes"):
        topologies.path(name)
