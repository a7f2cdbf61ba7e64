"""Pod addresses of one node, as CNI's host-local gives them; no kernel is wanted for that."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.cluster.network import PodAddresses
from testbed.errors import KernelStateError

V4, V6 = ip_network("10.244.3.0/24"), ip_network("fd00:10:244:3::/64")
SMALL = ip_network("10.244.3.0/29")  # .2 to .6


def test_the_first_is_2() -> None:
    assert [str(ip) for ip in PodAddresses([V4, V6]).take()] == ["10.244.3.2", "fd00:10:244:3::2"]


def test_families_keep_step() -> None:
    pods = PodAddresses([V6, V4])
    assert [str(ip) for _ in range(3) for ip in pods.take()][-2:] == ["fd00:10:244:3::4", "10.244.3.4"]


def test_what_is_given_back_is_not_the_next() -> None:
    pods = PodAddresses([V4])
    first = pods.take()
    pods.give_back(first)
    assert pods.take() != first


def test_round_the_range_what_is_free_is_found() -> None:
    pods = PodAddresses([SMALL])
    given_out = [pods.take() for _ in range(5)]
    pods.give_back(given_out[1])
    assert pods.take() == given_out[1]


@pytest.mark.parametrize("network", ["10.244.3.0/24", "10.244.3.0/29", "fd00:10:244:3::/120"])
def test_all_are_given_once_and_then_it_is_full(network: str) -> None:
    pods, whole = PodAddresses([ip_network(network)]), ip_network(network)
    hosts = {int(pods.take()[0]) - int(whole.network_address) for _ in range(whole.num_addresses - 3)}
    assert hosts == set(range(2, whole.num_addresses - 1))
    with pytest.raises(KernelStateError, match=f"no free pod address left in {network}"):
        pods.take()


@given(st.lists(st.integers(0, 5), max_size=60))
def test_nobody_gets_what_another_has(steps: list[int]) -> None:
    """0 takes, any other number gives the oldest back."""
    pods, held = PodAddresses([SMALL]), []
    for step in steps:
        if step and held:
            pods.give_back(held.pop(0))
        elif len(held) < 5:
            held.append(pods.take())
        assert len(set(held)) == len(held)
