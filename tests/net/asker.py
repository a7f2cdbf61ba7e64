"""Asks a URL until a file appears, then prints what became of the requests. Runs inside a pod.

    python asker.py URL STOP_FILE

`STOP_FILE.begun` is made when every caller has had an answer.
Three callers beside each other, each with one request every few milliseconds: one with a connection for each
request, two that keep theirs as long as the server does not close it. A request is lost if it gets no answer
of status 200, whatever the reason. Prints JSON: {"asked": N, "lost": ["why", …], "pods": {"name": answers}}.
Knows HTTP; knows nothing of Kubernetes, and imports nothing of the project.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

PAUSE_SECONDS = 0.005
PATIENCE_SECONDS = 5.0


@dataclass
class Caller:
    """One row of requests."""

    host: str
    keeps: bool
    stop: threading.Event
    asked: int = 0
    lost: list[str] = field(default_factory=list)
    pods: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        """Ask until told to stop."""
        connection = self._connection()
        while not self.stop.wait(PAUSE_SECONDS):
            self.asked += 1
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                told = json.loads(answer.read())
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.lost.append(f"{type(error).__name__}: {error}")
                connection.close()
                continue
            if answer.status != http.HTTPStatus.OK:
                self.lost.append(f"status {answer.status}")
            self.pods[told["pod"]] += 1
            if not self.keeps:
                connection.close()  # the next request opens it anew
        connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, timeout=PATIENCE_SECONDS)


def main(url: str, stop_file: str) -> None:
    """Ask until the file is there."""
    stop = threading.Event()
    callers = [Caller(urlsplit(url).netloc, keeps, stop) for keeps in (False, True, True)]
    threads = [threading.Thread(target=caller.run) for caller in callers]
    for thread in threads:
        thread.start()
    while not all(caller.pods for caller in callers):
        stop.wait(PAUSE_SECONDS)
    Path(f"{stop_file}.begun").touch()
    while not Path(stop_file).exists():
        stop.wait(PAUSE_SECONDS)
    stop.set()
    for thread in threads:
        thread.join()
    pods = sum((caller.pods for caller in callers), Counter[str]())
    lost = [why for caller in callers for why in caller.lost]
    sys.stdout.write(json.dumps({"asked": sum(c.asked for c in callers), "lost": lost, "pods": pods}))


if __name__ == "__main__":
    main(*sys.argv[1:])
