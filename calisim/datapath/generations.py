"""A wave and what it gives rise to: the wave first, then its offspring as the next wave, and so on.

Takes an engine and a state, gives each wave with its Results. Errors beget no errors, and what is cut gets smaller or is cut as
it came, so that it ends soon; it is bounded anyway. What became of the wave when all is over is :mod:`.settling`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..vocabulary import Relation
from .engine import Engine
from .results import Results

MOST_GENERATIONS = 32
"""A packet may be cut and made whole nine times: by its pod, its node, the tunnel, a router, and on the way up again."""


@dataclass(frozen=True, eq=False)
class Generation:
    """A wave as it was sent; ``causes`` (BORN) says of each packet what it is about, None: of the first wave."""

    packets: np.ndarray
    headers: np.ndarray | None
    causes: np.ndarray | None
    results: Results


def generations(
    engine: Engine, wave: np.ndarray, state: Any, headers: np.ndarray | None = None, *, events: bool = False, threads: int = 1,
    silent: Collection[int] = (), errors: bool = True,
) -> Iterator[Generation]:
    """Sends the wave and all that it gives rise to, each only when it is asked for. ICMP errors of ``silent`` places are not
    sent, without ``errors`` none."""
    causes = None
    for _ in range(MOST_GENERATIONS):
        results = engine.forward(wave, state, headers, events=events, offspring=True, threads=threads)
        yield Generation(wave, headers, causes, results)
        born = results.born
        if born is None or not len(born.packets):
            return
        is_error = born.causes["relation"] == Relation.ERROR
        heard = ~(is_error & np.isin(born.causes["where"], list(silent))) if errors else ~is_error
        wave, headers, causes = born.packets[heard], born.headers[heard], born.causes[heard]
        if not len(wave):
            return
