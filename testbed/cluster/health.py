"""Whether the daemon's service threads live: one that dies of a bug must not go unnoticed.

The daemon stays, since it holds the evidence (objects, rules, log), but it says so to everyone who asks. Knows
threads; knows nothing of what they do.
"""

from __future__ import annotations

import logging
import threading
import traceback

from testbed.errors import TestbedError

log = logging.getLogger(__name__)


class Health:
    """The first death of a service thread; `failure` is empty as long as there is none."""

    def __init__(self) -> None:
        self.failure = ""

    def thread_died(self, death: threading.ExceptHookArgs) -> None:
        """Note it, with the traceback in the log: what `threading.excepthook` shall be."""
        if death.exc_type is SystemExit:
            return  # as Python's own hook: a thread may end itself so
        name = death.thread.name if death.thread else "unknown"
        story = traceback.format_exception(death.exc_type, death.exc_value, death.exc_traceback)
        log.critical("the thread %s died of a bug\n%s", name, "".join(story))
        frames = traceback.extract_tb(death.exc_traceback)
        place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        what = "".join(traceback.format_exception_only(death.exc_type, death.exc_value)).strip()
        self.failure = self.failure or f"the daemon's thread {name} died of a bug{place}: {what}"

    def check(self) -> None:
        """Raise TestbedError if a thread has died: what the daemon would answer is not to be trusted."""
        if self.failure:
            raise TestbedError(
                f"{self.failure}\n    see daemon.log; to start anew: testbed destroy, testbed deploy"
            )
