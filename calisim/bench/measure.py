"""Timing: all contenders of a row take turns, round after round, so that a busy machine is busy for all of them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from .digest import digest

Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Contender:
    """Somebody who does a row's work: ``work`` is one round of ``count`` units and what is timed, ``reset`` comes before it.

    ``output``: all fields that the last round gave.
    """

    name: str
    version: str
    count: int
    work: Callable[[], object]
    output: Callable[[], Columns] | None = None
    reset: Callable[[], object] = lambda: None
    note: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the table: calisim's work, and the rivals that claim to do it. ``claims`` gives, of calisim's last round, the
    fields that a rival of so many units must have, too."""

    id: str
    title: str
    unit: str                                   # what is counted: packets, lookups, builds, starts
    own: Contender
    rivals: Sequence[Contender] = ()
    claims: Callable[[int, Sequence[str]], Columns] | None = None
    skipped: Sequence[tuple[str, str]] = ()     # rival, why
    facts: Callable[[], Mapping[str, object]] = dict
    rounds: int = 5
    cpu: bool = True                            # processor time: what a busy machine gives to others does not count
    warm: bool = True                           # before each round that is timed its contender has one that is not (see measure)


@dataclass
class Timed:
    """Seconds of each round, and what came out."""

    contender: Contender
    seconds: list[float] = field(default_factory=list)
    digest: str = ""
    agrees: bool | None = None                  # None: nothing to be compared
    claims: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        """Units per second, of the median round."""
        return self.contender.count / median(self.seconds)

    def nanoseconds(self) -> dict[str, float]:
        """Per unit: of the best, the median and the worst round."""
        each = [1e9 * seconds / self.contender.count for seconds in self.seconds]
        return {"min": min(each), "median": median(each), "max": max(each)}


def measure(row: Row) -> list[Timed]:
    """The row's own figures first, then its rivals'.

    Of a ``warm`` row a round is timed directly after one that is not: traffic that goes on finds in the caches what it has left
    there itself, not what a rival has. The first of them is not counted: connections, compilers.
    """
    timed = [Timed(contender) for contender in (row.own, *row.rivals)]
    clock = time.process_time if row.cpu else time.perf_counter
    gc.collect()
    gc.disable()                                # as timeit does
    try:
        for number in range(not row.warm, row.rounds + 1):
            for one in timed:
                if row.warm:
                    one.contender.reset()
                    one.contender.work()
                one.contender.reset()
                start = clock()
                one.contender.work()
                seconds = clock() - start
                if number:
                    one.seconds.append(seconds)
                if number < row.rounds:
                    one.contender.reset()       # what it has made is in nobody's way
    finally:
        gc.enable()
    for one in timed:
        if one.contender.output is None:
            continue
        given = one.contender.output()
        one.digest = digest(given)
        if one.contender is not row.own and row.claims is not None:
            one.claims = tuple(sorted(given))
            one.agrees = digest(row.claims(one.contender.count, one.claims)) == one.digest
    return timed
