"""engine(): one protocol, two engines. The only file that knows both; each is imported when it is asked for."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from ..control.intent import Intent
from ..errors import UsageError
from ..fib.image import FibImage
from .results import Results

__all__ = ["Engine", "Results", "State", "engine"]


class State(Protocol):
    """What forwarding has changed so far."""

    links: np.ndarray
    drops: np.ndarray
    verdicts: np.ndarray
    hits: np.ndarray

    def connections(self) -> np.ndarray:
        """CONNECTION records that are alive, sorted by (key, flags & 0x80, ordinal)."""


class Engine(Protocol):
    """Forwards waves as :mod:`calisim.datapath` says."""

    def new_state(self) -> Any:
        """A state in which nothing has happened; it belongs to this engine."""

    def forward(
        self, wave: np.ndarray, state: Any, headers: np.ndarray | None = None, *, events: bool = False,
        offspring: bool = False, threads: int = 1,
    ) -> Results:
        """Results of a wave (an array of PACKET, with a HEADER each where they are not plain); changes ``state``."""

    def judge(self, packets: np.ndarray) -> np.ndarray:
        """What policy alone says of each packet as the first of a connection: bool[n, 2], the sender's side and the receiver's.
        Addresses without a pod let everything pass."""


def engine(name: str, intent: Intent, image: FibImage | None = None) -> Engine:
    """The engine ``fast`` (compiled; compiles the Intent unless its image is given) or ``reference`` (plain Python)."""
    if name == "fast":
        from ..fib.compiler import compile
        from .fast import FastEngine
        return FastEngine(image or compile(intent))
    if name == "reference":
        from .reference.engine import ReferenceEngine
        return ReferenceEngine(intent)
    raise UsageError(f"there is no engine {name}; there are fast and reference")
