"""What the API took in, out of damaged manifests, becomes rules that the real tools take, too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from testbed.datapaths.iptables import CHOICES, datapath
from tests.fuzz.rounds import play
from tests.generated.seeds import seeds
from tests.namespaces import fresh_namespace
from tests.require import require


@pytest.mark.parametrize("options", CHOICES, ids=lambda options: str(options["variant"]))
@pytest.mark.parametrize("number", seeds(3))
def test_the_tools_take_the_rules(number: int, options: Mapping[str, Any], tmp_path: Path) -> None:
    require(f"iptables-{options['variant']}")
    plan = play(number).plan
    with fresh_namespace(tmp_path) as node:
        made = datapath(options)
        made.apply(node, plan, None)
        assert made.intact(node)
