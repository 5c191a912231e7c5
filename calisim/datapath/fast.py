"""The fast engine: drives the compiled core leg by leg and makes room for it between frames."""

from __future__ import annotations

import numpy as np

from ..errors import StaleBuildError, UsageError
from ..fib.image import FibImage
from ..vocabulary import EVENT, HEADER, PACKET, RESULT
from ..vocabulary.declarations import digest
from .results import Results

try:
    from .._fastpath import CARRY_SIZE, FRAME, VOCABULARY, Tables, step
    from .state import State
except (ImportError, ValueError) as error:        # ValueError: a record's layout is another one
    raise StaleBuildError(
        f"the packet core is not built for this Python or this version ({error}): run pip install -e .") from error
if VOCABULARY != digest():
    raise StaleBuildError("the packet core was built from another vocabulary: run pip install -e .")

_EVENT_ROOM = 16 * FRAME


class FastEngine:
    """Forwards waves by the tables of one FibImage."""

    def __init__(self, image: FibImage) -> None:
        image.check()
        self.image = image
        self._tables = Tables(**image.arrays, places=image.places)

    def new_state(self) -> State:
        return State(self.image)

    def forward(
        self, wave: np.ndarray, state: State, headers: np.ndarray | None = None, *, events: bool = False, threads: int = 1,
    ) -> Results:
        """Results row by row. ``threads`` is accepted for the sake of callers; the result does not depend on it."""
        if not isinstance(wave, np.ndarray) or wave.dtype != PACKET or wave.ndim != 1:
            raise UsageError("a wave is a one-dimensional numpy array of calisim.PACKET")
        headers = np.empty(0, HEADER) if headers is None else headers
        if not isinstance(headers, np.ndarray) or headers.dtype != HEADER or headers.shape not in ((0,), wave.shape):
            raise UsageError("headers are a numpy array of calisim.HEADER, one for each packet of the wave")
        if not isinstance(state, State):
            raise UsageError("the state belongs to another engine: take Engine.new_state()")
        if threads < 1:
            raise UsageError(f"{threads} threads: it takes at least one")
        wave, headers = np.ascontiguousarray(wave), np.ascontiguousarray(headers)
        state.fit(self.image)
        state.wave += 1
        results = np.empty(len(wave), RESULT)
        journal = _Journal() if events else None
        if len(wave):
            self._walk(wave, headers, results, state, journal)
        return Results(results, journal.sorted() if journal else None)

    def _walk(
        self, wave: np.ndarray, headers: np.ndarray, results: np.ndarray, state: State, journal: _Journal | None,
    ) -> None:
        earliest = int(wave["time"].min())
        carries = np.empty(len(wave) * CARRY_SIZE, np.uint8)
        rows = journal.rows if journal else np.empty(0, EVENT)
        active, leg, count = len(wave), 0, 0
        while active:
            position = kept = 0
            while True:
                position, kept, state.count, count = step(
                    self._tables, wave, headers, results, carries, state.index, state.records, state.count, state.ordinals,
                    state.links, state.drops, state.verdicts, rows, count, journal is not None, state.wave, leg,
                    position, kept, active)
                if position == active:
                    break
                if len(state.records) - state.count < 3 * FRAME:
                    state.grow(earliest)
                if journal and len(rows) - count < 8 * FRAME:
                    rows = journal.grow()
            active, leg = kept, leg + 1
        if journal:
            journal.count = count
        state.latest = max(state.latest, int(wave["time"].max()))


class _Journal:
    """Events as they happen, in a buffer that doubles."""

    def __init__(self) -> None:
        self.rows = np.empty(_EVENT_ROOM, EVENT)
        self.count = 0

    def grow(self) -> np.ndarray:
        rows = np.empty(2 * len(self.rows), EVENT)
        rows[:len(self.rows)] = self.rows
        self.rows = rows
        return rows

    def sorted(self) -> np.ndarray:
        """By row; a row's events stay in their order."""
        events = self.rows[:self.count]
        return events[np.argsort(events["row"], kind="stable")]
