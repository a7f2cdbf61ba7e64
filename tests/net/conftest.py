"""What tests of whole clusters share: the one lab instance of a worker that kubectl's tests need."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.net import manifests as m
from tests.net.command import deployed
from tests.net.kubectl import Kubectl, given
from tests.require import require

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def shared() -> Iterator[Kubectl]:
    """kubectl, and a lab with two nodes, a Service and the two pods behind it, one of them of two containers."""
    require("kubectl")
    web = m.text(m.cluster(2), *m.pods(2), m.service(selector={"app": "web"}))
    with deployed("kubectl", manifests=web) as lab:
        yield given(lab)


@pytest.fixture
def kubectl(shared: Kubectl) -> Kubectl:
    """The same in an empty namespace."""
    name = f"test-{os.getpid()}-{next(_numbers)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    shared.ok("create", "-f", "-", stdin=m.text(body))
    return replace(shared, namespace=name)
