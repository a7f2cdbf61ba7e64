"""What the server is asked to serve, as data that goes through a pipe as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

ECHO = "echo"  # RFC 862: the port with this name sends everything back as it came
DISCARD = "discard"  # RFC 863: the port with this name reads and answers nothing


@dataclass(frozen=True, slots=True)
class Port:
    """A container port; `protocol` is core/v1's. The names `echo` and `discard` are special, see above."""

    port: int
    protocol: str = "TCP"
    name: str = ""

    def __str__(self) -> str:
        return f"{self.port}/{self.protocol}"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answers: what every answer of a pod begins with."""

    pod: str
    namespace: str
    node: str
    pod_ip: str

    def json(self) -> dict[str, Any]:
        """The fields as clients see them (`podIP`, as the Pod's status spells it)."""
        return {"pod": self.pod, "namespace": self.namespace, "node": self.node, "podIP": self.pod_ip}


@dataclass(frozen=True, slots=True)
class PodSpec:
    """One thing to open and to close as a whole. `key` is the caller's own; `netns` a namespace's name."""

    key: str
    netns: str
    identity: Identity
    ports: tuple[Port, ...]

    def json(self) -> dict[str, Any]:
        """As the pipe carries it."""
        ports = [asdict(port) for port in self.ports]
        return {"key": self.key, "netns": self.netns, "identity": self.identity.json(), "ports": ports}


@dataclass(frozen=True, slots=True)
class PortError:
    """A port that could not be opened, and what the kernel said. The pod's other ports are open."""

    key: str
    port: int
    protocol: str
    message: str

    def __str__(self) -> str:
        return f"{self.port}/{self.protocol}: {self.message}"


def spec_of(document: Mapping[str, Any]) -> PodSpec:
    """The inverse of PodSpec.json. Raises KeyError or TypeError for a document of another shape."""
    who = document["identity"]
    identity = Identity(who["pod"], who["namespace"], who["node"], who["podIP"])
    ports = tuple(Port(**port) for port in document["ports"])
    return PodSpec(document["key"], document["netns"], identity, ports)
