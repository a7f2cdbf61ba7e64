"""Annotations of ours that will be passed over are told, where they would mean something."""

from __future__ import annotations

import pytest

from testbed.kube.api.extension_doubts import doubtful_annotations
from tests.unit.kube.api.builders import pod, service


def told(word: str, mode: str = "ipvs") -> list[str]:
    body = service().body
    annotations = {"testbed.dev/ipvs-scheduler": word}
    return [
        *doubtful_annotations([{**body, "metadata": {**body["metadata"], "annotations": annotations}}], mode)
    ]


def test_an_unknown_scheduler_is_told_with_what_may_have_been_meant() -> None:
    assert told("wrrr") == [
        "Service default/web: testbed.dev/ipvs-scheduler: no scheduler 'wrrr', the cluster's own is used; "
        "did you mean wrr?"
    ]


def test_where_nothing_comes_near_all_are_named() -> None:
    (sentence,) = told("round-about")
    assert sentence.endswith("there are dh, fo, lblc, lblcr, lc, mh, nq, ovf, rr, sed, sh, wlc, wrr")


@pytest.mark.parametrize(("word", "mode"), [("wrr", "ipvs"), ("wrrr", "iptables"), ("wrrr", "none")])
def test_what_is_known_or_means_nothing_is_not_told(word: str, mode: str) -> None:
    assert told(word, mode) == []


def test_a_weight_that_is_none_is_told_under_every_datapath() -> None:
    body = pod().body
    heavy = {**body, "metadata": {**body["metadata"], "annotations": {"testbed.dev/weight": "heavy"}}}
    assert [*doubtful_annotations([heavy, body], "iptables")] == [
        "Pod default/web-1: testbed.dev/weight: 'heavy' is no weight, and counts as 1"
    ]
