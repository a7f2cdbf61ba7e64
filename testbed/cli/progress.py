"""A progress bar on stderr for what takes longer than a moment; silent where nobody watches a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any


@contextmanager
def note(text: str) -> Iterator[None]:
    """Words on a terminal as long as something lasts of which nobody knows how far it is."""
    if not (text and sys.stderr.isatty()):
        yield
        return
    sys.stderr.write(f"{text} ...")
    sys.stderr.flush()
    try:
        yield
    finally:
        sys.stderr.write("\r\x1b[K")  # to the line's beginning, and empty it (ECMA-48: EL)
        sys.stderr.flush()


class ReadyBar:
    """Follows a `wait`: pods ready of pods wanted, nodes synced."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._bar: Any = None

    def __call__(self, state: Mapping[str, Any]) -> None:
        """Show a step that the daemon told."""
        if not self._shown:
            return
        if self._bar is None:
            from tqdm import tqdm  # here, since a quick command should not pay for it

            self._bar = tqdm(total=state["pods"], unit="pod", leave=False, dynamic_ncols=True)
        self._bar.total = state["pods"]
        self._bar.n = state["ready"]
        self._bar.set_postfix_str(f"nodes synced {state['synced']}/{state['nodes']}")

    def __enter__(self) -> ReadyBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
