"""What a scenario asks of the kernel that it runs on: all that its arms' datapaths ask. Decides nothing."""

from __future__ import annotations

from collections.abc import Sequence

from testbed.cluster import launch
from testbed.machine.kernels.choose import Lack, Need
from testbed.machine.kernels.offers import Offer
from testbed.scenario.shape import cluster_for
from testbed.scenario.spec import Spec


def need(spec: Spec) -> Need:
    """The needs of all arms, each once. Raises UsageError if a datapath does not exist."""
    kinds = sorted({(arm.datapath, arm.variant) for arm in spec.arms})
    needs = [launch.need(cluster_for(spec.loaded, *kind)) for kind in kinds]

    def lacks(offer: Offer) -> Sequence[Lack]:
        found = [lack for each in needs for lack in each.lacks(offer)]
        return list({(lack.feature, lack.reason): lack for lack in found}.values())

    return Need(f"scenario {spec.name}", lacks)
