"""The rule by which a test is skipped, run or failed."""

from __future__ import annotations

import pytest

from testbed.errors import UsageError
from tests.require import Tool, Verdict, decide, parse

HERE, GONE = Tool(True, "", ""), Tool(False, "no nft", "apt-get install nftables")


@pytest.mark.parametrize(
    ("probe", "required", "verdict"),
    [
        (HERE, (), Verdict.RUN),
        (HERE, ("nft",), Verdict.RUN),
        (GONE, (), Verdict.SKIP),
        (GONE, ("userns",), Verdict.SKIP),
        (GONE, ("nft",), Verdict.FAIL),
    ],
)
def test_a_missing_feature_fails_only_where_it_is_required(
    probe: Tool, required: tuple[str, ...], verdict: Verdict
) -> None:
    assert decide("nft", probe, required) is verdict


def test_names_are_parted_by_commas() -> None:
    assert parse(" nft, userns,", ("nft", "userns", "chromium")) == {"nft", "userns"}


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(UsageError, match="no such feature: ntf; there are: nft"):
        parse("ntf", ("nft",))
