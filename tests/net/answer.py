"""What a sender saw of a packet, as the script inside the sandbox tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What one sender saw of one packet.

    `outcome` is answered, refused, silent, unreachable (an error of routing), or broken (`note` says how).
    `identity` is what the pod's server told of itself and of its client; `retransmitted` that the kernel had to
    send a segment twice.
    """

    outcome: str
    identity: Mapping[str, Any]
    retransmitted: bool = False
    note: str = ""

    def __str__(self) -> str:
        if self.outcome != "answered":
            return f"{self.outcome}{f' ({self.note})' if self.note else ''}"
        if "status" in self.identity:
            return f"status {self.identity['status']}"
        seen = f"pod/{self.identity.get('pod')}:{self.identity.get('port')}"
        return f"{seen} saw {self.identity.get('clientAddress')}"
