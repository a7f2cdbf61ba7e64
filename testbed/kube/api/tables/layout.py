"""What a table of one kind is made of: columns, and a function from an object to its cells.

Knows the shape of meta.k8s.io/v1 tables. Knows no kind.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from testbed.kube.store import Object

Cell = str | int
Cells = tuple[Cell, ...]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A TableColumnDefinition. Columns of priority 0 are always shown, those of 1 only with `-o wide`."""

    name: str
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0


NAME = Column("Name", format="name", description="Unique within a namespace, for objects that have one.")
AGE = Column("Age", description="The time since the object was created.")
CONTAINERS = Column("Containers", description="Names of each container in the template.", priority=1)
IMAGES = Column("Images", description="Images referenced by each container in the template.", priority=1)


def _no_conditions(_: Object) -> Sequence[Mapping[str, str]]:
    return ()


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a kind. `cells` gets the object and the time, and returns one cell for each column.

    `conditions` are a row's TableRowConditions, by which a client tells what is done with.
    """

    columns: tuple[Column, ...]
    cells: Callable[[Object, datetime.datetime], Cells]
    conditions: Callable[[Object], Sequence[Mapping[str, str]]] = _no_conditions

    def definitions(self) -> list[Json]:
        """The columns as the API tells them."""
        return [asdict(column) for column in self.columns]

    def row(self, obj: Object, now: datetime.datetime) -> Json:
        """An object's cells and conditions; what else of the object goes along is the caller's to add."""
        row: Json = {"cells": list(self.cells(obj, now))}
        conditions = self.conditions(obj)
        return row | {"conditions": list(conditions)} if conditions else row
