"""Opens connections from inside the sandbox and tells who answered: a process asked by `running.py`.

One JSON document per line on standard input, one on standard output:

    {"netns", "address", "port", "count", "patience"}
        -> {"answers": [{"outcome", "pod", "source", "note"}, …]}

The outcome is answered, refused, dropped (nothing came within `patience` seconds), or failed (`note` says how).
Knows sockets and namespaces; knows neither labs nor Kubernetes, and imports little, because somebody waits.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from testbed.machine.netns import Netns

# A pod's server takes no request for HTTP in this, and so answers with its identity and an echo.
QUESTION = b"who is there?\n"
ENOUGH_FAILURES = 3  # connections without an answer, after which no more are opened: each costs its patience

Json = dict[str, Any]


def answers(request: Mapping[str, Any]) -> Iterator[Json]:
    """One after the other, so that each sees what the one before has left (affinity)."""
    failures = 0
    for _ in range(request["count"]):
        answer = _ask(request)
        yield answer
        failures += answer["outcome"] != "answered"
        if failures >= ENOUGH_FAILURES or answer["outcome"] == "dropped":
            return


def _ask(request: Mapping[str, Any]) -> Json:
    with Netns(request["netns"]).socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
        tcp.settimeout(request["patience"])
        # A reset instead of a TIME_WAIT, which would keep the port and the connection's entry.
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            tcp.connect((request["address"], request["port"]))
            tcp.sendall(QUESTION)
            with tcp.makefile("rb") as lines:
                identity = json.loads(lines.readline() or b"{}")
        except ConnectionRefusedError:
            return _told("refused")
        except TimeoutError:
            return _told("dropped")
        except (OSError, ValueError) as error:
            return _told("failed", note=str(error))
    if "pod" not in identity:
        return _told("failed", note="no pod of the testbed answered")
    return _told("answered", identity["pod"], identity["clientAddress"].rpartition(":")[0])


def _told(outcome: str, pod: str = "", source: str = "", note: str = "") -> Json:
    return {"outcome": outcome, "pod": pod, "source": source, "note": note}


def main() -> None:
    """Answer requests until the input ends."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps({"answers": [*answers(json.loads(line))]}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
