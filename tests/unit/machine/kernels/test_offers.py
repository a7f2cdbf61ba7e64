"""What is remembered of a kernel, and when it is no longer believed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from testbed.machine import features
from testbed.machine.kernels import offers
from testbed.machine.kernels.images import Image, key_of

SAID = {
    "release": "6.12",
    "features": {"ip_vs": {"ok": True}, "dummy": {"ok": False, "reason": "no", "fix": "x"}},
}


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """A kernel's file that can be written anew."""
    file = tmp_path / "linux"
    file.write_bytes(b"kernel")
    return Image("uml", file, key_of(file))


def test_what_was_said_is_read_back(image: Image) -> None:
    offers.remember(image, SAID)
    offer = offers.recalled(image)
    assert (offer.kernel, offer.release, offer.probed) == ("uml", "6.12", True)
    assert (offer.has("ip_vs"), offer.has("dummy"), offer.why_not("dummy")) == (True, False, "no")


def test_nothing_is_known_of_a_kernel_that_nobody_probed(image: Image) -> None:
    offer = offers.recalled(image)
    assert not offer.probed
    assert offer.lack is not None
    assert offer.lack.fix == "testbed doctor --probe uml"


def test_another_kernel_in_its_place_is_not_believed_to_be_the_same(image: Image) -> None:
    offers.remember(image, SAID)
    image.path.write_bytes(b"another kernel")
    assert not offers.recalled(Image("uml", image.path, key_of(image.path))).probed


def test_half_a_file_is_as_good_as_none(image: Image) -> None:
    offers.remember(image, SAID)
    [file] = image.path.parent.glob("offers-*.json")
    file.write_text(json.dumps(SAID)[:30])
    assert not offers.recalled(image).probed


def test_the_users_cache_serves_where_the_folder_is_somebody_elses(
    image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    elsewhere = Image("uml", Path("/proc/nowhere/linux"), image.key)
    offers.remember(elsewhere, SAID)
    assert offers.recalled(elsewhere).probed


def test_a_feature_that_was_never_probed_is_not_there(image: Image) -> None:
    offers.remember(image, SAID)
    offer = offers.recalled(image)
    assert not offer.has("bpf")
    assert offer.why_not("bpf") == "nobody knows a feature 'bpf'"


def test_native_is_asked_at_once() -> None:
    offer = offers.remembered("native")
    assert offer.has("netns") == features.probe("netns").ok
    assert offer.lack is None
