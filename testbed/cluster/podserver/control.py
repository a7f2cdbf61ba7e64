"""The server's side of the pipe: one JSON document a line, each request answered by one line with its id.

    {"id": 1, "open": {…} or [{…}, …]}                 →  {"id": 1, "ok": true, "errors": [PortError, …]}
    {"id": 2, "close": {"key": "…"} or {"keys": […]}}  →  {"id": 2, "ok": true}
    {"id": 3, "drain": {"keys": […]}}                  →  {"id": 3, "ok": true, "busy": […]}
    {"id": 4, "ping": {}}                              →  {"id": 4, "ok": true}
    anything else                                      →  {"id": …, "error": "…"}

The end of the input is the end of the process: who asked is gone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, BinaryIO

from testbed.cluster.podserver.server import Server
from testbed.cluster.podserver.spec import spec_of

LINE_LIMIT = 1 << 27  # bytes; 1,000 pods are about 300 kB


async def serve(server: Server, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until their end."""
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), requests)
    while line := await reader.readline():
        answer = await _answer(server, line)
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


async def _answer(server: Server, line: bytes) -> dict[str, Any]:
    number = None
    try:
        request = json.loads(line)
        number = request["id"]
        return {"id": number, **await _do(server, request)}
    except (KeyError, TypeError, ValueError) as error:
        return {"id": number, "error": f"no such request: {type(error).__name__}: {error}"}


async def _do(server: Server, request: Mapping[str, Any]) -> dict[str, Any]:
    match request:
        case {"open": list(documents)}:
            errors = await server.open([spec_of(document) for document in documents])
            return {"ok": True, "errors": [asdict(error) for error in errors]}
        case {"open": document}:
            errors = await server.open([spec_of(document)])
            return {"ok": True, "errors": [asdict(error) for error in errors]}
        case {"close": {"keys": keys}}:
            server.close(keys)
        case {"close": {"key": key}}:
            server.close([key])
        case {"drain": {"keys": keys}}:
            return {"ok": True, "busy": server.drain(keys)}
        case {"ping": _}:
            pass
        case _:
            return {"error": f"no such request: {', '.join(sorted(set(request) - {'id'}))}"}
    return {"ok": True}
