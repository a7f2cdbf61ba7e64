"""One thread that listens to the datapaths' alarms of all nodes and tells the agents to look after their rules."""

from __future__ import annotations

import selectors
import threading
import time
from collections.abc import Callable

from testbed.datapaths.contract import Alarm

PATIENCE_SECONDS = 0.05


class Sentry:
    """Watches alarms. Begins with the first one; there may be none."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()  # who holds it may read an alarm, or take it away
        self._thread = threading.Thread(target=self._run, name="sentry", daemon=True)

    def watch(self, alarm: Alarm, look: Callable[[], None]) -> None:
        """Call `look` in the sentry's thread whenever the alarm rings; it must be quick."""
        self._selector.register(alarm, selectors.EVENT_READ, (alarm, look))
        if not self._thread.is_alive():
            self._thread.start()

    def forget(self, alarm: Alarm) -> None:
        """Listen to an alarm no more, and close it."""
        with self._lock:
            self._selector.unregister(alarm)
            alarm.close()

    def _run(self) -> None:
        """A moment's patience, so that what comes in a flood is read as one: a full pass announces each rule."""
        while True:
            self._selector.select()
            time.sleep(PATIENCE_SECONDS)
            with self._lock:
                for key, _ in self._selector.select(0):
                    alarm, look = key.data
                    if alarm.rang():
                        look()
