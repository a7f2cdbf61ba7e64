"""The worker: a process inside the sandbox that runs probes where their namespaces are.

It reads one JSON request per line and answers each with one line, in order:

    {"probe": "first-packet", "path": {…}, "settings": {…}, "out": "/path/raw.npz"}
                                         -> {"ok": true, "summary": {counts}}
    {"self_test": {"path": {…}, "count": 1009}}    -> {"ok": true, "counted": 1009}
    {"background": {"start": {a Load}}}            -> {"ok": true}
    {"background": {"stop": true}}                 -> {"ok": true, "load": {a LoadReport}}
    {"flush_conntrack": ["node1", …]}              -> {"ok": true}
    {"facts": true}                                -> {"ok": true, "facts": {…}}
    {"release": true}                              -> {"ok": true}; closes taps and senders kept so far

An error with a name answers {"ok": false, "error": {"type": "MeasurementInvalid", "message": "…"}} and the
worker goes on. Knows probes and files of raw samples; knows no arm, no repeats and no statistics.
"""

from __future__ import annotations

import dataclasses
import gc
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path as FilePath
from typing import Any, TextIO

from testbed.bench.probes import conntrack, self_test
from testbed.bench.probes.instruments import Instruments
from testbed.bench.probes.names import PROBES
from testbed.bench.probes.path import Path, Settings
from testbed.bench.results.facts import gather
from testbed.bench.traffic.background import BackgroundLoad, Load
from testbed.bench.worker.raw import summary, write
from testbed.errors import TestbedError, UsageError
from testbed.machine.netns import FOLDER, Netns

Request = Mapping[str, Any]
Answer = dict[str, Any]


def serve(requests: Iterable[str], answers: TextIO) -> None:
    """Answer every request until they end; then close everything and stop any load."""
    gc.freeze()  # what was imported stays; it need not be walked in the middle of a run
    with Operations() as operations:
        for line in requests:
            try:
                answer = {"ok": True, **operations.answer(_parse(line))}
            except TestbedError as error:
                answer = {"ok": False, "error": {"type": type(error).__name__, "message": str(error)}}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


class Operations:
    """Answers requests, and keeps taps, senders and the background load between them."""

    def __init__(self) -> None:
        self._tools = Instruments()
        self._load: BackgroundLoad | None = None
        self._operations: Mapping[str, Callable[[Request], Answer]] = {
            "probe": self._probe,
            "self_test": self._self_test,
            "background": self._background,
            "flush_conntrack": self._flush_conntrack,
            "facts": self._facts,
            "release": self._release,
        }

    def answer(self, request: Request) -> Answer:
        """Do what a request asks. Raises UsageError for one that does not exist or lacks something."""
        wanted = [name for name in self._operations if name in request]
        if len(wanted) != 1:
            raise UsageError(f"a request has one of {', '.join(self._operations)}; this one has {wanted}")
        try:
            return self._operations[wanted[0]](request)
        except KeyError as error:
            raise UsageError(f"{wanted[0]}: no {error} in the request") from error

    def _probe(self, request: Request) -> Answer:
        if request["probe"] not in PROBES:
            raise UsageError(f"no probe {request['probe']!r}; there are {', '.join(PROBES)}")
        path, settings = Path.decode(request["path"]), Settings.decode(request.get("settings", {}))
        measured = PROBES[request["probe"]](path, settings, self._tools)
        write(measured, FilePath(request["out"]))
        return {"summary": summary(measured)}

    def _self_test(self, request: Request) -> Answer:
        asked = request["self_test"]
        count = asked.get("count", self_test.PRIME)
        return {"counted": self_test.prove(Path.decode(asked["path"]), self._tools, count)}

    def _background(self, request: Request) -> Answer:
        asked = request["background"]
        return self._start(Load.decode(asked["start"])) if "start" in asked else self._stop()

    def _start(self, load: Load) -> Answer:
        if self._load is not None:
            raise UsageError("a background load runs already")
        self._load = BackgroundLoad(load)
        return {}

    def _stop(self) -> Answer:
        if self._load is None:
            raise UsageError("no background load runs")
        load, self._load = self._load, None
        return {"load": dataclasses.asdict(load.stop())}

    def _flush_conntrack(self, request: Request) -> Answer:
        folder = FilePath(request.get("folder", FOLDER))
        for name in request["flush_conntrack"]:
            conntrack.flush(Netns(name, folder))
        return {}

    def _facts(self, _: Request) -> Answer:
        return {"facts": dataclasses.asdict(gather())}

    def _release(self, _: Request) -> Answer:
        self._tools.close()
        return {}

    def close(self) -> None:
        """Stop the load and close every instrument."""
        if self._load is not None:
            self._load.close()
        self._tools.close()

    def __enter__(self) -> Operations:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _parse(line: str) -> Request:
    """The request in a line."""
    try:
        request = json.loads(line)
    except ValueError as error:
        raise UsageError(f"a request is one JSON document on one line: {error}") from error
    if not isinstance(request, dict):
        raise UsageError("a request is a JSON object")
    return request
