"""What is asked for, as a URL: whatever a name holds stays within its part of the path."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from testbed.errors import UsageError
from testbed.kube.client import LogOptions, Query
from testbed.kube.client.requests import resource_path, with_parameters
from testbed.kube.objects import KINDS

HOSTILE = ("a b", "a?b=c", "a#b", "$(reboot)", "'; drop", "a\nb: c", "-rf", "ü", "x" * 300, "\udcff", "a&b")


@pytest.mark.parametrize(
    ("kind", "namespace", "rest", "path"),
    [
        ("Pod", "default", (), "/api/v1/namespaces/default/pods"),
        ("Pod", None, (), "/api/v1/pods"),
        ("Pod", "default", ("web",), "/api/v1/namespaces/default/pods/web"),
        ("Pod", "default", ("web", "log"), "/api/v1/namespaces/default/pods/web/log"),
        ("Node", None, (), "/api/v1/nodes"),
        ("Node", "default", ("node1",), "/api/v1/nodes/node1"),
        ("Namespace", "", ("blue",), "/api/v1/namespaces/blue"),
        ("Deployment", "blue", ("web", "scale"), "/apis/apps/v1/namespaces/blue/deployments/web/scale"),
        ("EndpointSlice", None, (), "/apis/discovery.k8s.io/v1/endpointslices"),
    ],
)
def test_a_path(kind: str, namespace: str | None, rest: tuple[str, ...], path: str) -> None:
    assert resource_path(KINDS[kind], namespace, *rest) == path


@pytest.mark.parametrize("text", HOSTILE)
def test_a_name_stays_within_its_part(text: str) -> None:
    path = resource_path(KINDS["Pod"], text, text)
    assert (urlsplit(path).path, path.count("/"), path.isascii()) == (path, 6, True)
    assert not set(path) & set(" \n'\"$;&#?")
    assert unquote(path.rpartition("/")[2], errors="surrogateescape") == text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("..", "may not be '..'"),
        (".", "may not be '.'"),
        ("../../nodes/node1", "may not contain '/'"),
        ("a%2Fb", "may not contain '%'"),
        ("a/%", "may not contain '/', may not contain '%'"),
    ],
)
def test_a_name_that_is_no_part_of_a_path_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match="invalid resource name") as refused:
        resource_path(KINDS["Pod"], "default", text)
    assert complaint in str(refused.value)


@pytest.mark.parametrize("namespace", ["", "..", "a/b"])
def test_a_namespace_that_is_none_is_refused(namespace: str) -> None:
    with pytest.raises(UsageError, match="namespace"):
        resource_path(KINDS["Pod"], namespace)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_selector_stays_within_its_parameter(text: str) -> None:
    url = urlsplit(with_parameters("/api/v1/pods", Query(labels=text, fields=text).parameters()))
    told = parse_qs(url.query, errors="surrogateescape", strict_parsing=True)
    assert (url.path, told) == ("/api/v1/pods", {"labelSelector": [text], "fieldSelector": [text]})


@pytest.mark.parametrize(
    ("options", "query"),
    [
        (LogOptions(), {}),
        (LogOptions(container="c", tail=0), {"container": "c", "tailLines": "0"}),
        (LogOptions(follow=True, previous=True, timestamps=True),
         {"follow": "true", "previous": "true", "timestamps": "true"}),
        (LogOptions(since_seconds=90), {"sinceSeconds": "90"}),
        (LogOptions(since_time="2026-01-02T03:04:05Z", limit=7),
         {"sinceTime": "2026-01-02T03:04:05Z", "limitBytes": "7"}),
    ],
)  # fmt: skip
def test_options_of_a_log(options: LogOptions, query: dict[str, str]) -> None:
    assert options.parameters() == query
