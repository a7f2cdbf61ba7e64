"""A scenario as written: `scenario.yaml` of a folder, read with the line of every mistake.

Knows the file's fields. Knows nothing of how arms are built or measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema_rs

from testbed.errors import ManifestErrors, Mistake
from testbed.kube.objects import Loaded, load
from testbed.kube.objects.documents import Document, documents
from testbed.kube.objects.source import joined
from testbed.scenario.checks import DEFAULT_SECONDS, mistakes_with, own_mistakes

FILE = "scenario.yaml"
DEFAULT_REPEATS = 6


@dataclass(frozen=True, slots=True)
class ArmSpec:
    """One arm: a datapath with so many Services, and the way that its packets take."""

    group: str
    datapath: str
    variant: str
    path: str  # "direct" or "service"
    services: int

    @property
    def id(self) -> str:
        return f"{self.group}-{self.services}" if self.services else self.group


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """A probe with its settings, and the background loads (packets per second) under which it runs."""

    probe: str
    count: int
    rate: float
    warm_up: int
    loads: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """The Service that is measured, and its ports."""

    service: str
    udp_port: int
    tcp_port: int


@dataclass(frozen=True, slots=True)
class Spec:
    """A whole scenario."""

    name: str
    title: str
    question: str
    loaded: Loaded
    client: str
    noise: tuple[str, str] | None
    target: Target
    arms: tuple[ArmSpec, ...]
    probes: tuple[ProbeSpec, ...]
    repeats: int
    seconds: float
    folder: Path = field(default_factory=Path)
    kernel: str | None = None  # the one to run on, if the scenario says which


def read(folder: Path) -> Spec:
    """The scenario in a folder (or the file itself). Raises ManifestErrors with every mistake at once."""
    file = folder / FILE if folder.is_dir() else folder
    try:
        text = file.read_text()
    except OSError as error:
        hint = "a scenario is a folder with a scenario.yaml, e.g. scenarios/first-light"
        raise ManifestErrors(
            [Mistake(str(file), 1, "", f"cannot be read: {error.strerror}", hint)]
        ) from error
    found = list(documents(text, str(file)))
    if len(found) != 1:
        raise ManifestErrors([Mistake(str(file), 1, "", "a scenario is exactly one document")])
    mistakes = [*found[0].mistakes, *_schema_mistakes(found[0])]
    if mistakes:
        raise ManifestErrors(mistakes)
    return _checked(found[0], file.parent)


def _schema_mistakes(document: Document) -> Iterator[Mistake]:
    schema = json.loads(Path(__file__).with_name("scenario.schema.json").read_text())
    for error in jsonschema_rs.Draft7Validator(schema).iter_errors(document.body):
        yield document.source.mistake(joined(tuple(error.instance_path)), error.message)


def _checked(document: Document, folder: Path) -> Spec:
    """The scenario with its manifests. Raises ManifestErrors with the mistakes of both."""
    try:
        loaded = load([str(folder / document.body["manifests"])])
    except ManifestErrors as error:
        raise ManifestErrors([*error.mistakes, *own_mistakes(document)]) from error
    mistakes = [*own_mistakes(document), *mistakes_with(document, loaded)]
    if mistakes:
        raise ManifestErrors(mistakes)
    return _spec(document.body, loaded, folder)


def _spec(body: Mapping[str, Any], loaded: Loaded, folder: Path) -> Spec:
    noise, target = body.get("noise"), body["target"]
    return Spec(
        name=body["metadata"]["name"],
        title=body["title"],
        question=body["question"],
        loaded=loaded,
        client=body["client"],
        noise=(noise["from"], noise["to"]) if noise else None,
        target=Target(target["service"], target["udpPort"], target["tcpPort"]),
        arms=tuple(_arms(body)),
        probes=tuple(_probe(probe) for probe in body["probes"]),
        repeats=body.get("repeats", DEFAULT_REPEATS),
        seconds=body.get("seconds", DEFAULT_SECONDS),
        folder=folder,
        kernel=body.get("kernel"),
    )


def _arms(body: Mapping[str, Any]) -> Iterator[ArmSpec]:
    for arm in body["arms"]:
        for services in arm["services"]:
            yield ArmSpec(arm["id"], arm["datapath"], arm.get("variant", ""), arm["path"], services)


def _probe(probe: Mapping[str, Any]) -> ProbeSpec:
    loads = tuple(float(load) for load in probe.get("load", (0,)))
    return ProbeSpec(probe["probe"], probe["count"], float(probe["rate"]), probe.get("warmUp", 0), loads)
