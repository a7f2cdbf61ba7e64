"""What a controller is: kinds that it watches, and one function that draws the consequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from testbed.kube.store import Event, Store


class Controller(Protocol):
    """A controller may keep indexes of what it has seen, fed by its events alone."""

    @property
    def name(self) -> str: ...

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds whose events it gets."""
        ...

    def handle(self, store: Store, events: Sequence[Event]) -> None:
        """Bring the store to what follows from the objects as they are now.

        Called inside a transaction with every event so far: with `events` learnt, an index is equal to the
        store for its kinds. Events may come a second time (after a failure), so learning them is repeatable.
        """
        ...


@runtime_checkable
class Timed(Controller, Protocol):
    """A controller for which the mere passing of time has consequences."""

    def due(self) -> float | None:
        """The store's time (seconds since 1970) from which `handle` is to be called, with or without events."""
        ...
