"""Progress on standard error for work that takes longer than a second, and only where somebody watches."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE = 1.0          # seconds


@contextmanager
def progress() -> Iterator[Callable[[str, int], None] | None]:
    """Gives a function to call with (what, packets so far); None where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    watch = _Watch()
    timer = threading.Timer(PATIENCE, watch.begin)
    timer.daemon = True
    timer.start()
    try:
        yield watch.tell
    finally:
        timer.cancel()
        watch.end()


class _Watch:
    """What is being done; from ``begin`` on, which a timer calls in a thread of its own, it can be seen."""

    def __init__(self) -> None:
        self.text, self.over = "control plane and tables …", False
        self.status: Any = None
        self.lock = threading.Lock()

    def begin(self) -> None:
        with self.lock:
            if not self.over:
                self.status = _status(self.text)

    def tell(self, what: str, packets: int) -> None:
        with self.lock:
            self.text = f"{what} … {packets:,} packets" if packets else f"{what} …"
            if self.status is not None:
                self.status.update(self.text)

    def end(self) -> None:
        with self.lock:
            self.over = True
            if self.status is not None:
                self.status.stop()


def _status(text: str) -> Any:
    from rich.console import Console

    shown = Console(stderr=True).status(text)
    shown.start()
    return shown
