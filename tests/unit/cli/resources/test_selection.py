"""Which objects words name, as kubectl's resource builder reads them."""

from __future__ import annotations

import pytest

from testbed.cli.resources.selection import qualified, selected
from testbed.errors import UsageError
from testbed.kube.objects import KINDS


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        ("pods", [("Pod", ())]),
        ("po", [("Pod", ())]),
        ("Deployment", [("Deployment", ())]),
        ("pods,svc", [("Pod", ()), ("Service", ())]),
        ("pod a b", [("Pod", ("a", "b"))]),
        ("pod,svc a", [("Pod", ("a",)), ("Service", ("a",))]),
        ("pod/a", [("Pod", ("a",))]),
        ("pod/a pod/b svc/c", [("Pod", ("a", "b")), ("Service", ("c",))]),
        ("pod/a svc/c pod/b", [("Pod", ("a",)), ("Service", ("c",)), ("Pod", ("b",))]),
        (
            "all",
            [(kind, ()) for kind in ("Pod", "Service", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet")],
        ),
    ],
)  # fmt: skip
def test_words_name_objects(words: str, kinds: list[tuple[str, tuple[str, ...]]]) -> None:
    assert [(each.kind.name, each.names) for each in selected(words.split(), "get")] == kinds


def test_all_is_every_kind_of_that_group() -> None:
    assert {s.kind.name for s in selected(["all"], "get")} == {
        k.name for k in KINDS.values() if "all" in k.categories
    }


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "give KIND, KIND NAME or KIND/NAME"),
        (["widgets"], "widgets"),
        (["pod", "svc/web"], "cannot be mixed"),
        (["pod/"], "give KIND/NAME"),
        (["pod", ".."], "may not be '..'"),
        (["pod", "a%b"], "may not contain '%'"),
        (["pod", ""], "may not be empty"),
        ([""], ""),
    ],
)
def test_words_that_name_nothing(words: list[str], complaint: str) -> None:
    with pytest.raises(UsageError) as refused:
        selected(words, "get")
    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("Pod", "pod"), ("Deployment", "deployment.apps"), ("EndpointSlice", "endpointslice.discovery.k8s.io")],
)
def test_a_kind_with_its_group(kind: str, name: str) -> None:
    assert qualified(KINDS[kind]) == name
