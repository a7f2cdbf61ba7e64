"""Rules for an Event that its schema cannot say (pkg/apis/core/validation `legacyValidateEvent`).

Knows that an event lies in the namespace of what it is about. Who records events, and how many are kept, is
`kube.controllers.events`' matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from testbed.kube.objects.fields import FieldErrors, invalid


def event_errors(body: Mapping[str, Any]) -> FieldErrors:
    """The mistakes in an Event."""
    about = body.get("involvedObject", {}).get("namespace", "")
    own = body["metadata"].get("namespace", "")
    if (about or "default") != own:
        yield invalid("involvedObject.namespace", about, "does not match event.namespace", own)
