"""What the tests of the kubelets share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cluster.kubelet.lab import NODE, Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path)
    lab.store.create(NODE)
    lab.settle()
    return lab
