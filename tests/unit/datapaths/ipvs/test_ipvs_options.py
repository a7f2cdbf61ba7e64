"""What may be set under `kubeProxy.ipvs`, and what is refused with what is possible."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from testbed.datapaths.ipvs.options import SCHEDULERS, Options, options_of
from testbed.errors import UsageError


def test_left_out_is_as_kube_proxy_has_it() -> None:
    assert options_of({}) == Options("nft", 14, "rr", False, (), (0, 0, 0))
    assert options_of({"scheduler": ""}).scheduler == "rr"


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_scheduler_can_be_chosen(scheduler: str) -> None:
    assert options_of({"scheduler": scheduler}).scheduler == scheduler


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("900s", 900), ("1h30m", 5400), ("0s", 1), ("0", 0), (0, 0), ("1500ms", 1), ("2m", 120)],
)
def test_timeouts_are_durations(told: Any, seconds: int) -> None:
    assert options_of({"tcpTimeout": told}).timeouts == (seconds, 0, 0)
    assert options_of({"tcpFinTimeout": told}).timeouts == (0, seconds, 0)
    assert options_of({"udpTimeout": told}).timeouts == (0, 0, seconds)


def test_networks_are_read() -> None:
    read = options_of({"excludeCIDRs": ["192.0.2.0/24", "fd00::/8"]})
    assert read.exclude == (ip_network("192.0.2.0/24"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"sheduler": "rr"}, "no option sheduler; there are: excludeCIDRs, masqueradeBit, scheduler"),
        ({"scheduler": "roundrobin"}, "no scheduler 'roundrobin'; there are: dh, fo, lblc"),
        ({"variant": "bpf"}, "no variant 'bpf'; there are: nft, legacy"),
        ({"masqueradeBit": 32}, "no masqueradeBit 32; a packet's mark has the bits 0 to 31"),
        ({"masqueradeBit": True}, "no masqueradeBit True"),
        ({"strictARP": "yes"}, "strictARP is true or false, not 'yes'"),
        ({"excludeCIDRs": "10.0.0.0/8"}, "excludeCIDRs is a list of networks, not '10.0.0.0/8'"),
        ({"excludeCIDRs": ["10.0.0.1/8"]}, "excludeCIDRs is a list of networks"),
        ({"udpTimeout": "soon"}, "udpTimeout is a duration as 900s or 15m, not 'soon'"),
        ({"udpTimeout": "-1s"}, "udpTimeout is a duration"),
    ],
)
def test_what_is_wrong_is_told_with_what_is_possible(told: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        options_of(told)
    assert words in str(caught.value)
