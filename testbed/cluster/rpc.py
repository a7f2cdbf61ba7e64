"""How the command line talks to a daemon: one JSON document per line on the instance's Unix socket.

    request   {"verb": "wait", "arguments": {…}}
    replies   {"progress": {…}}*  then  {"result": …}  or  {"error": {"kind", "message", "mistakes"}}

Errors keep their class on the way. Knows nothing of what the verbs do.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from testbed.errors import TestbedError, error_from_json, error_to_json

Progress = Callable[[Mapping[str, Any]], None]


class Client:
    """One connection to a daemon. Raises the daemon's errors, and TestbedError if it is gone."""

    def __init__(self, path: Path, timeout: float | None = None) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise TestbedError(f"no daemon answers at {path}: {error.strerror}") from error
        self._file = self._socket.makefile("rb")

    def call(self, verb: str, progress: Progress | None = None, **arguments: Any) -> Any:
        """Ask for `verb` and return its result; `progress` is called for each step that the daemon tells."""
        line = json.dumps({"verb": verb, "arguments": arguments}).encode() + b"\n"
        try:
            self._socket.sendall(line)
            return self._result(progress)
        except OSError as error:
            raise TestbedError(f"the daemon went away: {error}") from error

    def _result(self, progress: Progress | None) -> Any:
        for reply in self._replies():
            if "progress" in reply:
                if progress:
                    progress(reply["progress"])
            elif "error" in reply:
                raise error_from_json(reply["error"])
            else:
                return reply["result"]
        raise TestbedError("the daemon went away in the middle of an answer; see its daemon.log")

    def _replies(self) -> Iterator[dict[str, Any]]:
        for line in self._file:
            yield json.loads(line)

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


__all__ = ["Client", "Progress", "error_from_json", "error_to_json"]
