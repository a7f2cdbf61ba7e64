"""The tables of ConfigMaps and Secrets (printers.go)."""

from __future__ import annotations

import datetime

from testbed.kube.api.tables.duration import age
from testbed.kube.api.tables.layout import AGE, NAME, Cells, Column, Layout
from testbed.kube.store import Object

_DATA = Column("Data", description="The number of entries.")


def _entries(obj: Object) -> int:
    return len(obj.get("data") or ()) + len(obj.get("binaryData") or ())


def _config_map(config_map: Object, now: datetime.datetime) -> Cells:
    return config_map["metadata"]["name"], _entries(config_map), age(config_map, now)


def _secret(secret: Object, now: datetime.datetime) -> Cells:
    return secret["metadata"]["name"], secret.get("type", ""), _entries(secret), age(secret, now)


CONFIG_MAPS = Layout((NAME, _DATA, AGE), _config_map)
SECRETS = Layout(
    (
        NAME,
        Column("Type", description="Used to facilitate programmatic handling of secret data."),
        _DATA,
        AGE,
    ),
    _secret,
)
