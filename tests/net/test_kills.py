"""Kills at random moments leave nothing; a short run, `make soak-kills` does a hundred rounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.net.command import command
from tests.net.kills.run import Round, play, rounds

COUNT, SEED = 3, 7


@pytest.mark.parametrize("each", list(rounds(COUNT, SEED)), ids=str)
def test_nothing_is_left(each: Round, tmp_path: Path) -> None:
    with command("kills") as lab:
        assert play(each, lab, tmp_path).endswith("nothing left")
