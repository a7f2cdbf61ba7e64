"""Our own annotations as text, there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.kube.objects.extensions import (
    MOST_WEIGHT,
    options_of,
    weight_of,
    weights_by_address,
    weights_text,
)

ADDRESSES = st.ip_addresses().map(str)


@pytest.mark.parametrize(
    ("text", "weight"), [("0", 0), ("1", 1), ("03", 3), ("65535", MOST_WEIGHT), ("12", 12)]
)
def test_a_weight_is_a_number(text: str, weight: int) -> None:
    assert weight_of(text) == weight


@pytest.mark.parametrize("text", ["", "-1", "65536", "999999999999", "1.5", "three", "٣", " 3", "²"])
def test_anything_else_is_none(text: str) -> None:
    assert weight_of(text) is None


@given(st.dictionaries(ADDRESSES, st.integers(0, MOST_WEIGHT)))
def test_weights_are_read_as_they_were_written(weights: dict[str, int]) -> None:
    assert weights_by_address(weights_text(weights)) == {a: w for a, w in weights.items() if w != 1}


def test_what_cannot_be_read_counts_as_not_written() -> None:
    assert weights_by_address("10.0.0.1=2, 10.0.0.2=many,10.0.0.3,,=,10.0.0.4=0") == {
        "10.0.0.1": 2,
        "10.0.0.4": 0,
    }


def test_options_are_the_annotations_of_ours() -> None:
    annotations = {"testbed.dev/b": "2", "example.com/x": "y", "testbed.dev/a": "1"}
    assert options_of({"metadata": {"annotations": annotations}}) == (("a", "1"), ("b", "2"))


@pytest.mark.parametrize("metadata", [{}, {"annotations": {}}, {"annotations": None}])
def test_without_annotations_there_are_no_options(metadata: dict[str, object]) -> None:
    assert options_of({"metadata": metadata}) == ()
