"""Waiting until objects are gone. Knows uids: a new object of the same name may be there already."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from testbed.errors import TestbedError
from testbed.kube.client import Client
from testbed.kube.objects import Kind

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.2  # seconds between two looks


@dataclass(frozen=True, slots=True)
class Leaving:
    """An object that was told to end."""

    kind: Kind
    namespace: str
    name: str
    uid: str


def await_end(client: Client, leaving: Sequence[Leaving], timeout: float) -> None:
    """Until none is there any more. Raises TestbedError with what is left after `timeout` seconds."""
    end, pause = time.monotonic() + timeout, FIRST_PAUSE
    while left := _left(client, leaving):
        if time.monotonic() > end:
            names = ", ".join(f"{each.kind.plural}/{each.name}" for each in left)
            raise TestbedError(f"timed out waiting for the condition: not gone after {timeout:g} s: {names}")
        time.sleep(pause)
        pause, leaving = min(2 * pause, LONGEST_PAUSE), left


def _left(client: Client, leaving: Sequence[Leaving]) -> list[Leaving]:
    there: set[str] = set()
    for kind, namespace in {(each.kind, each.namespace) for each in leaving}:
        there |= {obj["metadata"]["uid"] for obj in client.list(kind, namespace).items}
    return [each for each in leaving if each.uid in there]
