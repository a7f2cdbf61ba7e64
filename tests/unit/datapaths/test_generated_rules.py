"""Generated objects: the rules equal those of a second, independent telling of kube-proxy's (tests/generated).

A failing number is a scene of its own: `pytest tests/unit/datapaths/test_generated_rules.py -k "[17-IPv4]"`.
`TESTBED_SEEDS=2000` asks for more of them, `TESTBED_SEEDS=17-18` for some.
"""

from __future__ import annotations

import pytest

from tests.generated import product
from tests.generated.judge import difference
from tests.generated.oracle import rules
from tests.generated.scene import FAMILIES
from tests.generated.scenes import scene
from tests.generated.seeds import seeds


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", seeds(200))
def test_rules_are_kube_proxy_s(seed: int, family: str) -> None:
    made = scene(seed)
    found = product.held(product.programmed(made).rulesets[product.TOOLS[family]])
    differing = difference(rules.tables(made, family), found)
    assert not differing, f"seed {seed}: {differing}"
