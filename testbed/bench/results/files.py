"""The folder of a run: written block by block while measuring, read back as a Run.

    results/<run>/
      result.json       everything but the raw samples, "schema": 1 (see results/README.md)
      samples/*.npz     `values` and `endpoint` of each block
      journal.jsonl     only while the run goes on, or was cut off: a line for each arm, block, sync, note

A run that is killed is readable up to its last whole line, and says that it is partial. Knows files and
versions; knows nothing of how samples are made or what they mean.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from testbed.bench.results.facts import Facts
from testbed.bench.results.model import SCHEMA, Arm, Block, Run, Scenario, Sync
from testbed.bench.results.samples import Samples
from testbed.errors import MeasurementInvalid, UsageError

RESULT = "result.json"
JOURNAL = "journal.jsonl"
ROWS = {"arm": Arm, "block": Block, "sync": Sync}
UNSAFE = re.compile(r"[^\w.-]")
COUNTS = tuple(f.name for f in dataclasses.fields(Samples) if f.name not in ("values", "endpoint"))

Document = dict[str, Any]
CONVERTERS: Mapping[int, Callable[[Document], Document]] = {}
"""Schema n → a function that turns its documents into those of schema n + 1. None yet: 1 is the first."""


class RunFolder:
    """Writes one run. Every line is on disk as soon as its call returns."""

    def __init__(self, path: Path, scenario: Scenario, command: Sequence[str], facts_before: Facts) -> None:
        """Make the folder (parents too). Raises UsageError if it holds a result already."""
        if (path / RESULT).exists() or (path / JOURNAL).exists():
            raise UsageError(f"{path} holds a result already; results are never written over")
        (path / "samples").mkdir(parents=True, exist_ok=True)
        self.path = path
        started = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        self._run = Run(scenario, tuple(command), started, "", True, facts_before, None)
        _write(path / RESULT, self._run)

    def add_arm(self, arm: Arm) -> None:
        """Add an arm, or say again what it is (its rules were counted meanwhile)."""
        kept = tuple(known for known in self._run.arms if known.id != arm.id)
        self._note_down("arm", dataclasses.asdict(arm))
        self._run = dataclasses.replace(self._run, arms=(*kept, arm))

    def add_block(self, block: Block, samples: Samples) -> Block:
        """Store the samples, and the block completed with their counts. Returns the completed block."""
        import numpy as np

        counts = {name: getattr(samples, name) for name in COUNTS}
        name = f"samples/{block.order:05d}-{UNSAFE.sub('_', block.arm)}-{samples.probe}.npz"
        if (self.path / name).exists():
            raise UsageError(f"{name} is there already: `order` must differ from block to block of an arm")
        np.savez_compressed(self.path / name, values=samples.values, endpoint=samples.endpoint)
        whole = dataclasses.replace(block, samples=name, **counts)
        self._note_down("block", dataclasses.asdict(whole))
        self._run = dataclasses.replace(self._run, blocks=(*self._run.blocks, whole))
        return whole

    def add_sync(self, sync: Sync) -> None:
        """Add the timing of one sync."""
        self._note_down("sync", dataclasses.asdict(sync))
        self._run = dataclasses.replace(self._run, syncs=(*self._run.syncs, sync))

    def add_note(self, text: str) -> None:
        """Add a sentence that the report shows among its notes."""
        self._note_down("note", text)
        self._run = dataclasses.replace(self._run, notes=(*self._run.notes, text))

    def finish(self, facts_after: Facts, *, partial: bool = False) -> Run:
        """Write the final result.json. `partial`: not all that was planned could be measured."""
        finished = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        self._run = dataclasses.replace(
            self._run, finished=finished, partial=partial, facts_after=facts_after, folder=self.path
        )
        _write(self.path / RESULT, self._run)
        (self.path / JOURNAL).unlink(missing_ok=True)
        return self._run

    def _note_down(self, kind: str, value: object) -> None:
        line = _json({kind: value})
        with open(self.path / JOURNAL, "a", encoding="utf-8") as journal:
            journal.write(line + "\n")


def load_run(path: Path) -> Run:
    """The run in a folder (or whose result.json is named), samples left on disk.

    Raises UsageError if there is none, or if a newer testbed wrote it; MeasurementInvalid if it is damaged.
    """
    file = path / RESULT if path.is_dir() else path
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{file}: no result there: {error.strerror}") from error
    except ValueError as error:
        raise MeasurementInvalid(f"{file}: not JSON: {error}") from error
    try:
        run = _decode(convert(document, file), file.parent)
        return _with_journal(run, file.parent / JOURNAL)
    except (TypeError, KeyError, AttributeError) as error:
        raise MeasurementInvalid(f"{file}: damaged, or not a result of testbed: {error}") from error


def convert(
    document: Document,
    file: Path,
    converters: Mapping[int, Callable[[Document], Document]] = CONVERTERS,
    current: int = SCHEMA,
) -> Document:
    """Bring a document to the current schema, one version at a time.

    Raises UsageError for the future, and for a past that no converter knows.
    """
    version = document["schema"]
    if not isinstance(version, int) or version > current:
        raise UsageError(
            f"{file}: schema {version}, this testbed reads up to {current}; a newer testbed wrote it"
        )
    while version < current:
        if version not in converters:
            raise UsageError(f"{file}: schema {version} is too old, nothing converts it to {version + 1}")
        document = converters[version](document)
        version += 1
    return document


def read_samples(folder: Path, block: Block) -> Samples:
    """The raw samples of a block. Raises MeasurementInvalid if the file is missing or damaged."""
    import numpy as np

    file = folder / block.samples
    try:
        with np.load(file, allow_pickle=False) as arrays:
            values, endpoint = arrays["values"], arrays["endpoint"]
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise MeasurementInvalid(f"{file}: samples cannot be read: {error}") from error
    return Samples(values=values, endpoint=endpoint, **{name: getattr(block, name) for name in COUNTS})


def _json(value: object, indent: int | None = None) -> str:
    try:
        return json.dumps(value, indent=indent, allow_nan=False)
    except ValueError as error:  # nan or infinite: JSON has no word for it, and no measurement gives it
        raise MeasurementInvalid(f"a figure is not a number: {value}") from error


def _write(file: Path, run: Run) -> None:
    document = dataclasses.asdict(run)
    del document["folder"]
    # the schema first, for the reader who opens the file
    document = {"schema": document.pop("schema"), **document}
    draft = file.with_suffix(".tmp")
    draft.write_text(_json(document, indent=1) + "\n", encoding="utf-8")
    draft.replace(file)


def _decode(document: Document, folder: Path) -> Run:
    known = {
        **document,
        "scenario": Scenario(**document["scenario"]),
        "command": tuple(document["command"]),
        "facts_before": _facts(document["facts_before"]),
        "facts_after": _facts(document["facts_after"]),
        "arms": tuple(Arm(**row) for row in document["arms"]),
        "blocks": tuple(Block(**row) for row in document["blocks"]),
        "syncs": tuple(Sync(**row) for row in document["syncs"]),
        "notes": tuple(document["notes"]),
        "folder": folder,
    }
    return Run(**known)


def _facts(document: Document | None) -> Any:
    return None if document is None else Facts(**{**document, "load": tuple(document["load"])})


def _with_journal(run: Run, file: Path) -> Run:
    """A run that was cut off, with everything that its journal has."""
    if not file.exists():
        return run
    found: dict[str, list[Any]] = {"arm": [], "block": [], "sync": [], "note": []}
    for kind, value in _entries(file):
        found[kind].append(ROWS[kind](**value) if kind in ROWS else value)
    arms = {arm.id: arm for arm in found["arm"]}
    return dataclasses.replace(
        run,
        partial=True,
        arms=tuple(arms.values()),
        blocks=tuple(found["block"]),
        syncs=tuple(found["sync"]),
        notes=tuple(found["note"]),
    )


def _entries(file: Path) -> Iterator[tuple[str, Any]]:
    lines = file.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
        except ValueError as error:
            if number == len(lines):
                return  # the program was killed while it wrote this line
            raise MeasurementInvalid(f"{file}:{number}: not JSON: {error}") from error
        yield from entry.items()
