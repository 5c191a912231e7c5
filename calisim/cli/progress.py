"""Progress on standard error for work that takes longer than a second, and only where somebody watches."""

from __future__ import annotations

import sys
import time
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
    start = time.monotonic()
    status: list[Any] = []

    def tell(what: str, packets: int) -> None:
        if time.monotonic() - start < PATIENCE:
            return
        text = f"{what} … {packets:,} packets" if packets else f"{what} …"
        if not status:
            status.append(_status(text))
        status[0].update(text)

    try:
        yield tell
    finally:
        for shown in status:
            shown.stop()


def _status(text: str) -> Any:
    from rich.console import Console

    shown = Console(stderr=True).status(text)
    shown.start()
    return shown
