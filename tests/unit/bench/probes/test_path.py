"""What a probe is told, as JSON and back."""

from __future__ import annotations

import dataclasses
import json

import pytest

from testbed.bench.probes.path import Endpoint, Path, Settings
from testbed.errors import UsageError

PATH = Path(
    "default_client", "eth0", "10.244.0.2", "ee:ee:ee:ee:ee:ee", "10.96.0.1", 80,
    (Endpoint("default_web-1", "eth0", "10.244.0.3", 8080), Endpoint("default_web-2", "eth0", "10.244.1.3")),
)  # fmt: skip


def test_a_path_survives_the_pipe() -> None:
    assert Path.decode(json.loads(json.dumps(dataclasses.asdict(PATH)))) == PATH


def test_settings_survive_the_pipe() -> None:
    settings = Settings(count=7, rate=0, flows=3)
    assert Settings.decode(json.loads(json.dumps(dataclasses.asdict(settings)))) == settings


def test_the_device_s_own_mac_fills_in() -> None:
    assert PATH.headers("02:00:00:00:00:01").source_mac == "02:00:00:00:00:01"
    own = dataclasses.replace(PATH, source_mac="02:00:00:00:00:09")
    assert own.headers("02:00:00:00:00:01").source_mac == "02:00:00:00:00:09"


@pytest.mark.parametrize(
    "document", [{}, {"endpoints": [{"netns": "a"}]}, {"endpoints": [], "colour": 1}], ids=str
)
def test_an_incomplete_path_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="path"):
        Path.decode(document)


@pytest.mark.parametrize("wrong", [{"count": 0}, {"warm_up": -1}, {"flows": 0}, {"speed": 1}], ids=str)
def test_wrong_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        Settings.decode(wrong)
