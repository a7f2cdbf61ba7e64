"""Objects recorded from a real API server come in unchanged, and the controllers find nothing to add."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.kube.objects import Manifest, load
from tests.unit.kube.controllers.playground import Playground

RECORDED = Path(__file__).parents[3] / "data" / "kube-proxy-dumps" / "objects.json"
KINDS = ("Service", "EndpointSlice")


def manifests() -> list[Manifest]:
    """The recorded Services and slices; the node is another cluster's."""
    return [m for m in load([str(RECORDED)]).manifests if m.body["kind"] in KINDS]


@pytest.mark.parametrize(
    "manifest", manifests(), ids=lambda m: f"{m.body['kind']}-{m.body['metadata']['name']}"
)
def test_recorded_object(manifest: Manifest) -> None:
    """Together with all the others, so that every address and port has to be found free."""
    play = Playground()
    play.apply(*manifests())
    body = manifest.body
    found = play.get(body["kind"], body["metadata"]["name"], body["metadata"]["namespace"])
    assert {k: v for k, v in found.items() if k != "metadata"} == {
        k: v for k, v in body.items() if k != "metadata"
    }


def test_replaying_twice_changes_nothing() -> None:
    play = Playground()
    play.apply(*manifests())
    assert {applied.verb for applied in play.registry.apply(manifests())} == {"unchanged"}
