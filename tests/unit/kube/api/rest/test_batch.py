"""Many manifests in one request: all or none, and mistakes with file and line."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.errors import ManifestErrors, Mistake, error_from_json
from testbed.kube.api.rest.batch import PATH
from testbed.kube.objects import load_text
from tests.unit.kube.api.rest.asking import Asked, asked, value

GOOD = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n"
BAD = """---
{apiVersion: v1, kind: Service, metadata: {name: b},
 spec: {clusterIP: 192.0.2.1, ports: [{port: 80}]}}
"""


def sent(made: Asked, text: str, code: int = 200, **more: Any) -> Any:
    manifests = [manifest.to_json() for manifest in load_text(text, "all.yaml").manifests]
    return value(made.ask("POST", PATH, {"manifests": manifests, **more}), code)


def test_what_became_of_each() -> None:
    made = asked()
    assert sent(made, GOOD) == {
        "applied": [{"verb": "created", "kind": "ConfigMap", "namespace": "default", "name": "a"}],
        "warnings": [],
    }
    assert sent(made, GOOD)["applied"][0]["verb"] == "unchanged"


def test_one_mistake_and_nothing_is_stored() -> None:
    made = asked()
    version = made.store.version
    told = sent(made, GOOD + BAD, 422)
    assert (told["kind"], told["reason"]) == ("Status", "Invalid")
    error = error_from_json(told["testbed"])
    assert isinstance(error, ManifestErrors)
    assert [(m.file, m.line, m.path) for m in error.mistakes] == [("all.yaml", 4, "spec.clusterIP")]
    assert made.store.version == version


def test_mistakes_that_the_client_found_are_told_with_those_here() -> None:
    found = {"file": "x.yaml", "line": 3, "path": "spec", "message": "wrong", "hint": ""}
    told = sent(asked(), GOOD + BAD, 422, mistakes=[found])
    error = error_from_json(told["testbed"])
    assert isinstance(error, ManifestErrors)
    assert Mistake(**found) in error.mistakes
    assert len(error.mistakes) == 2


def test_what_is_hardly_meant_is_told_beside_what_became_of_it() -> None:
    spec = "{selector: {app: wbe}, ports: [{port: 80}]}"
    told = sent(asked(), f"{{apiVersion: v1, kind: Service, metadata: {{name: web}}, spec: {spec}}}")
    assert [each["verb"] for each in told["applied"]] == ["created"]
    assert told["warnings"] == ["Service default/web: selector app=wbe matches no pod"]


def test_a_dry_run() -> None:
    made = asked()
    version = made.store.version
    assert sent(made, GOOD, dryRun=True)["applied"][0]["verb"] == "created"
    assert made.store.version == version


@pytest.mark.parametrize(
    "body",
    [
        {"manifests": 7},
        {"manifests": [7]},
        {"manifests": [{"body": {}, "source": {}}]},
        {
            "manifests": [
                {"body": {"kind": "Pod", "metadata": {}}, "source": {"file": "", "lines": {"": "x"}}}
            ]
        },
        {
            "manifests": [
                {"body": {"kind": "Pod", "metadata": {}}, "source": {"file": "", "lines": {}}, "written": 7}
            ]
        },
        {"manifests": [], "dryRun": "yes"},
        {"manifests": [], "mistakes": [{"file": 7}]},
        {"manifests": [], "mistakes": 7},
        [],
    ],
)
def test_what_our_own_client_would_not_send(body: Any) -> None:
    assert value(asked().ask("POST", PATH, body), 400)["reason"] == "BadRequest"


def test_a_manifest_that_nobody_checked_is_checked() -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "a", "namespace": "default"},
        "spec": "x",
    }
    manifest = {"body": body, "source": {"file": "f", "lines": {}}, "written": None}
    assert value(asked().ask("POST", PATH, {"manifests": [manifest]}), 422)["reason"] == "Invalid"
