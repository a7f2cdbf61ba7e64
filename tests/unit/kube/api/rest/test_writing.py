"""Create, replace, delete: codes, reasons and what is stored."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.kube.api.builders import namespace, pod, stored
from tests.unit.kube.api.rest.asking import (
    APPS,
    DEFAULT,
    asked,
    causes,
    config_map,
    deployment,
    service,
    value,
)

MAPS, SERVICES = f"{DEFAULT}/configmaps", f"{DEFAULT}/services"


def test_a_create_answers_with_the_object_as_stored() -> None:
    made = asked()
    assert made.post(SERVICES, service()) == stored(made.store, "Service", "web")


def test_a_created_service_is_filled_in() -> None:
    spec = asked().post(SERVICES, service())["spec"]
    assert (spec["type"], spec["clusterIP"]) == ("ClusterIP", "10.96.1.1")


def test_what_is_there_already() -> None:
    made = asked()
    made.post(SERVICES, service())
    told = made.post(SERVICES, service(), 409)
    assert (told["reason"], told["message"]) == ("AlreadyExists", 'services "web" already exists')


def test_a_name_is_generated() -> None:
    made = asked()
    body = config_map() | {"metadata": {"generateName": "c-"}}
    name = made.post(MAPS, body)["metadata"]["name"]
    assert (name[:2], len(name)) == ("c-", 7)


def test_a_generated_name_is_not_too_long() -> None:
    body = config_map() | {"metadata": {"generateName": "c" * 100}}
    assert len(asked().post(MAPS, body)["metadata"]["name"]) == 63


def test_an_invalid_object_has_a_cause_for_each_mistake() -> None:
    told = asked().post(SERVICES, service(ports=[{"port": 0}], sessionAffinity="Never"), 422)
    assert told["reason"] == "Invalid"
    assert told["message"].startswith('Service "web" is invalid: [')
    assert ("spec.ports[0].port", "FieldValueInvalid") in causes(told)
    assert ("spec.sessionAffinity", "FieldValueNotSupported") in causes(told)


def test_a_port_beyond_all_numbers() -> None:
    told = asked().post(SERVICES, service(ports=[{"port": 80, "targetPort": 1e300}]), 400)
    assert "cannot unmarshal: spec.ports[0].targetPort: Invalid value: 1e+300" in told["message"]


def test_one_mistake_is_told_without_brackets() -> None:
    told = asked().post(SERVICES, service(ports=[{"port": 70000}]), 422)
    assert told["message"].startswith(
        'Service "web" is invalid: spec.ports[0].port: Invalid value: 70000: must be'
    )


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (MAPS, service(), "the kind in the data (Service) does not match the expected kind (ConfigMap)"),
        (MAPS, config_map() | {"apiVersion": "v2"}, "the API version in the data (v2) does not match"),
        (
            MAPS,
            config_map(namespace="shop"),
            "the namespace of the provided object does not match the namespace",
        ),
        (MAPS, config_map() | {"metadata": 7}, "metadata must be an object"),
        (
            MAPS,
            config_map() | {"data": [1]},
            'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: ',
        ),
        (MAPS, [], "couldn't get version/kind"),
        (MAPS, 7, "couldn't get version/kind"),
        (f"{MAPS}?dryRun=Some", config_map(), "dryRun: Unsupported value"),
        (f"{MAPS}?fieldValidation=Hard", config_map(), "fieldValidation: Unsupported value"),
    ],
)
def test_bad_requests(path: str, body: Any, message: str) -> None:
    assert message in asked().post(path, body, 400)["message"]


def test_no_such_namespace() -> None:
    told = asked().post("/api/v1/namespaces/none/configmaps", config_map(), 404)
    assert told["message"] == 'namespaces "none" not found'


def test_a_namespace_on_its_way_out() -> None:
    made = asked()
    made.apply(namespace("shop"))
    value(made.ask("DELETE", "/api/v1/namespaces/shop"), 200)
    told = made.post("/api/v1/namespaces/shop/configmaps", config_map(), 403)
    assert "because it is being terminated" in told["message"]


def test_a_namespace_marks_itself_as_ending() -> None:
    made = asked()
    made.apply(namespace("shop"))
    assert value(made.ask("DELETE", "/api/v1/namespaces/shop"), 200)["status"] == {"phase": "Terminating"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/configmaps"),
        ("DELETE", "/api/v1/configmaps"),
        ("POST", f"{MAPS}/a"),
        ("PUT", MAPS),
        ("PATCH", MAPS),
        ("DELETE", f"{APPS}/deployments/web/scale"),
        ("PUT", f"{DEFAULT}/pods/a/log"),
        ("GET", f"{DEFAULT}/pods/a/eviction"),
        ("POST", "/version"),
        ("GET", "/apis/testbed.dev/v1alpha1/apply"),
        ("OPTIONS", MAPS),
    ],
)
def test_methods_that_a_place_has_not(method: str, path: str) -> None:
    assert value(asked().ask(method, path, {}), 405)["reason"] == "MethodNotAllowed"


# ── unknown fields ───────────────────────────────────────────────────────────────────────────────────────


def test_an_unknown_field_is_refused_if_the_client_wants_that() -> None:
    told = asked().post(f"{SERVICES}?fieldValidation=Strict", service(colour="red"), 400)
    assert told["message"] == (
        'Service in version "v1" cannot be handled as a Service: strict decoding error: unknown field "spec.colour"'
    )


@pytest.mark.parametrize("mode", ["", "Warn"])
def test_an_unknown_field_is_left_out_with_a_warning(mode: str) -> None:
    made = asked()
    response = made.ask("POST", f"{SERVICES}?fieldValidation={mode}", service(colour="red"))
    assert "colour" not in value(response, 201)["spec"]
    assert response.warnings == ('unknown field "spec.colour"',)


def test_an_unknown_field_is_left_out_in_silence() -> None:
    response = asked().ask("POST", f"{SERVICES}?fieldValidation=Ignore", service(colour="red"))
    assert (response.code, response.warnings) == (201, ())


# ── replace ──────────────────────────────────────────────────────────────────────────────────────────────


def test_replace() -> None:
    made = asked()
    body = made.post(SERVICES, service())
    body["spec"]["sessionAffinity"] = "ClientIP"
    new = value(made.ask("PUT", f"{SERVICES}/web", body), 200)
    assert new["spec"]["sessionAffinity"] == "ClientIP"
    assert int(new["metadata"]["resourceVersion"]) > int(body["metadata"]["resourceVersion"])


def test_replace_without_a_version_wins() -> None:
    made = asked()
    made.post(MAPS, config_map())
    assert value(made.ask("PUT", f"{MAPS}/c", config_map() | {"data": {"x": "y"}}), 200)["data"] == {"x": "y"}


def test_replace_of_an_older_version() -> None:
    made = asked()
    old = made.post(MAPS, config_map())
    made.patch(f"{MAPS}/c", {"data": {"x": "y"}})
    told = value(made.ask("PUT", f"{MAPS}/c", old), 409)
    assert told["reason"] == "Conflict"
    assert told["message"] == (
        'Operation cannot be fulfilled on configmaps "c": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


def test_replace_of_another_uid() -> None:
    made = asked()
    made.post(MAPS, config_map())
    told = value(made.ask("PUT", f"{MAPS}/c", config_map(uid="other")), 409)
    assert "Precondition failed: UID in precondition: other" in told["message"]


def test_replace_of_nothing() -> None:
    assert value(asked().ask("PUT", f"{MAPS}/c", config_map()), 404)["reason"] == "NotFound"


def test_replace_under_another_name() -> None:
    made = asked()
    made.post(MAPS, config_map())
    told = value(made.ask("PUT", f"{MAPS}/c", config_map("d")), 400)
    assert told["message"] == "the name of the object (d) does not match the name on the URL (c)"


def test_replace_by_the_same_makes_no_new_version() -> None:
    made = asked()
    body = made.post(SERVICES, service())
    assert value(made.ask("PUT", f"{SERVICES}/web", body), 200) == body


def test_a_value_of_the_server_is_filled_in_again() -> None:
    made = asked()
    before = made.post(SERVICES, service(type="NodePort"))["spec"]
    after = value(made.ask("PUT", f"{SERVICES}/web", service(type="NodePort")), 200)["spec"]
    assert (after["clusterIP"], after["ports"]) == (before["clusterIP"], before["ports"])


def test_a_type_without_node_ports_loses_them() -> None:
    made = asked()
    body = made.post(SERVICES, service(type="NodePort"))
    body["spec"]["type"] = "ClusterIP"
    assert "nodePort" not in value(made.ask("PUT", f"{SERVICES}/web", body), 200)["spec"]["ports"][0]


def test_generation_counts_changes_of_the_spec_alone() -> None:
    made = asked()
    path = f"{APPS}/deployments"
    first = made.post(path, deployment())["metadata"]["generation"]
    labelled = made.patch(f"{path}/web", {"metadata": {"labels": {"a": "b"}}})["metadata"]["generation"]
    scaled = made.patch(f"{path}/web", {"spec": {"replicas": 5}})["metadata"]["generation"]
    assert (first, labelled, scaled) == (1, 1, 2)


# ── status ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_status_cannot_be_written_beside_the_rest() -> None:
    made = asked()
    made.apply(pod("a"))
    assert made.patch(f"{DEFAULT}/pods/a", {"status": {"phase": "Failed"}})["status"]["phase"] == "Pending"


def test_only_the_status_is_written_at_its_own_place() -> None:
    made = asked()
    made.apply(pod("a"))
    body = {"status": {"phase": "Failed"}, "metadata": {"labels": {"x": "y"}}}
    new = made.patch(f"{DEFAULT}/pods/a/status", body)
    assert (new["status"]["phase"], new["metadata"]["labels"]) == ("Failed", {"app": "web"})


def test_a_status_is_read_with_its_object() -> None:
    made = asked()
    made.apply(pod("a"))
    assert made.get(f"{DEFAULT}/pods/a/status") == made.get(f"{DEFAULT}/pods/a")


# ── dry run ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_dry_run_stores_nothing() -> None:
    made = asked()
    made.post(MAPS, config_map("there"))
    version = made.store.version
    assert made.post(f"{SERVICES}?dryRun=All", service())["spec"]["clusterIP"] == "10.96.1.1"
    assert made.patch(f"{MAPS}/there?dryRun=All", {"data": {"x": "y"}})["data"] == {"a": "b", "x": "y"}
    value(made.ask("DELETE", f"{MAPS}/there?dryRun=All"), 200)
    value(made.ask("DELETE", f"{MAPS}/there", {"dryRun": ["All"]}), 200)
    assert made.store.version == version
