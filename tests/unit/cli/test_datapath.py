"""Options on the command line become what a Cluster document would say."""

from __future__ import annotations

import pytest

from testbed.cli.datapath import options
from testbed.errors import UsageError


def test_values_are_yaml() -> None:
    words = ["variant=legacy", "masqueradeBit=15", "strictARP=true", "syncPeriod=10s"]
    assert options(words) == {
        "variant": "legacy",
        "masqueradeBit": 15,
        "strictARP": True,
        "syncPeriod": "10s",
    }


@pytest.mark.parametrize("word", ["variant", "=legacy", "x={"])
def test_what_is_no_option_is_wrong_usage(word: str) -> None:
    with pytest.raises(UsageError, match="KEY=VALUE|no YAML"):
        options([word])
