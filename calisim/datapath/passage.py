"""A wave passes through all shards of a state, leg by leg: of each leg every shard works the part at its own routers, in row
order, and hands the packets that go on to the shards of their next routers. Shards are shared out to threads, which wait for each
other between legs; nothing that one writes during a leg is read by another before it is over. Before the first leg threads share
out rows, in slices (``stages/muster.pxd``).
"""

from __future__ import annotations

from concurrent.futures import Future, wait
from dataclasses import dataclass
from threading import BrokenBarrierError

import numpy as np

from .._fastpath import (
    CARRY_SIZE, EVENT_ROOM, FRAME, NOTICE_SIZE, Gate, Ledger, Post, Tables, Wave, earliest, enter, set_off, step, typed_rows,
)
from ..vocabulary import BORN, EVENT, HEADER, PACKET
from .flows import MOST
from .results import Born
from .shards import Shard
from .state import State

_FIRST_EVENTS = 2 * EVENT_ROOM
_NONE = dict(zip((EVENT, PACKET, HEADER, BORN), typed_rows(      # made once, as that takes longer than it looks
    *(np.empty(0, dtype) for dtype in (EVENT, PACKET, HEADER, BORN))), strict=True))
_NO_RIDES = np.empty(0, np.uint8)
_LEAST = 16 * FRAME                        # packets that it takes to keep a thread more busy for longer than it takes to call it


class Passage:
    """One wave. ``events`` and ``born``, if wanted, when it has run."""

    def __init__(
        self, tables: Tables, state: State, wave: np.ndarray, headers: np.ndarray, results: np.ndarray, threads: int, *,
        events: bool, offspring: bool,
    ) -> None:
        self._tables, self._state = tables, state
        self._wave, self._plain = Wave(wave, results, headers if len(headers) else None), not len(headers)
        self._wants_events, self._wants_born = events, offspring
        self._threads = max(1, min(threads, len(state.shards), len(wave) // _LEAST))
        self._parts = [
            _Part(shard, _Rows(_FIRST_EVENTS, EVENT) if events else _NO_EVENTS,
                  _Rows(4 * FRAME, PACKET, HEADER, BORN) if offspring else _NO_OFFSPRING) for shard in state.shards]
        self._gate = Gate(self._threads) if self._threads > 1 else None

    def earliest(self) -> int:
        """Time of the first of the packets to come."""
        return earliest(self._wave)

    def run(self) -> None:
        """Every packet to its end."""
        self._caching = not self._wants_events and self._plain
        if self._caching:
            self._state.lively = self._state.wave
        self._rides = self._state.rides(self._wave.size) if self._caching else _NO_RIDES
        if self._threads == 1:
            self._turns(self._parts)
            return
        assert self._gate is not None
        others: list[Future[None]] = []
        try:
            for number in range(1, self._threads):
                others.append(self._state.threads.submit(self._work, number))
            self._work(0)                          # they have met when all is done: nobody need wait for others to say so
        except BaseException:
            self._gate.give_up()
            self._state.dismiss()
            wait(others)
            for error in [other.exception() for other in others]:
                if error is not None and not isinstance(error, BrokenBarrierError):
                    raise error from None
            raise

    def events(self) -> np.ndarray:
        """By row; those of a row in the order of its legs."""
        rows, legs = self._written("journal")
        return rows[0][np.lexsort((legs, rows[0]["row"]))]

    def born(self) -> Born:
        """In the order of legs, then rows."""
        (packets, headers, causes), legs = self._written("nursery")
        order = np.lexsort((causes["parent"], legs))
        return Born(packets[order], headers[order], causes[order])

    def _written(self, name: str) -> tuple[list[np.ndarray], np.ndarray]:
        """Arrays of all parts one after the other, and the turns in which their rows were written."""
        parts = [getattr(part, name) for part in self._parts]
        arrays = [np.concatenate(some) for some in zip(*(rows.written() for rows in parts), strict=True)]
        return arrays, np.concatenate([rows.turns() for rows in parts])

    def _work(self, number: int) -> None:
        """What one of several threads does; the others do not wait in vain if it cannot go on."""
        assert self._gate is not None
        if self._gate.given_up:                    # who asked for this could not wait for it: shards are other waves' by now
            raise BrokenBarrierError
        try:
            self._turns(self._parts[number::self._threads])
        except BaseException:
            self._gate.give_up()
            raise

    def _meet(self) -> None:
        if self._gate and not self._gate.meet():
            raise BrokenBarrierError

    def _turns(self, mine: list[_Part]) -> None:
        shards = [part.shard for part in self._parts]
        posts, turn, leg = [shard.waiting for shard in shards], 0, 0
        if not self._set_off(mine, shards):
            return
        if len(shards) > 1:                        # nobody moves them during legs
            for part in mine:
                part.shard.make_room_for_flows(sum(post.count(part.shard.number) for post in posts))
        self._meet()
        while any(post.total for post in posts) or (leg == 2 and any(shard.desk.calls for shard in shards)):
            ledgers = [shard.ledger for shard in shards]
            for part in mine:
                self._leg(part, leg, posts, part.shard.onward[turn & 1], list(ledgers))
            self._meet()
            posts = [shard.onward[turn & 1] for shard in shards]
            turn, leg = turn + 1, leg + (1 if leg or self._wants_born else 2)
        if len(shards) > 1:
            for part in mine:
                while not enter(part.shard.ledger, [shard.notes for shard in shards], part.shard.flows.room < MOST):
                    part.shard.make_room_for_flows(1)
            self._meet()

    def _set_off(self, mine: list[_Part], shards: list[Shard]) -> bool:
        """Where each packet starts, and who need not wait for anybody. False: that are all."""
        state = self._state
        span = set_off(
            self._tables, [shard.ledger for shard in shards], [part.shard.number for part in mine],
            [shard.waiting for shard in shards], [shard.desk for shard in shards],
            self._wave, state.homes, self._rides, state.wave, state.latest, self._caching,
            self._wants_born, self._gate)
        if span is None:
            raise BrokenBarrierError
        self._earliest, self.latest, self._even, unfinished = span
        return unfinished

    def _leg(self, part: _Part, leg: int, posts: list[Post], out: Post, ledgers: list[Ledger]) -> None:
        """One shard's part."""
        shard, journal, nursery = part.shard, part.journal, part.nursery
        written = typed_rows(*journal.arrays, *nursery.arrays)
        coming = sum(post.count(shard.number) for post in posts)
        out.clear(CARRY_SIZE, len(posts), coming + FRAME, self._wave.size)
        if leg <= 2:
            shard.notes.clear(NOTICE_SIZE, len(posts), coming if leg == 2 and len(posts) > 1 else 0, self._wave.size)
        while True:
            ledgers[shard.number] = shard.ledger
            done, journal.count, nursery.count = step(
                self._tables, ledgers, shard.number, self._wave, posts, out, shard.notes,
                shard.desk, self._rides, written[0], journal.count, self._wants_events, *written[1:], nursery.count,
                self._state.wave, self._state.lively, leg, self._even, len(posts) == 1 and shard.flows.room < MOST)
            if done:
                break
            shard.grow(self._earliest)
            if len(posts) == 1:
                shard.make_room_for_flows(FRAME)
            out.make_room(CARRY_SIZE)
            journal.make_room(EVENT_ROOM)
            nursery.make_room(FRAME)
            written = typed_rows(*journal.arrays, *nursery.arrays)
        journal.end_turn()
        nursery.end_turn()


@dataclass
class _Part:
    """What a shard does of a wave."""

    shard: Shard
    journal: _Rows
    nursery: _Rows


class _Rows:
    """Arrays that are written row by row, together, and that double when they are full; ``count`` rows are written."""

    def __init__(self, room: int, *dtypes: np.dtype) -> None:
        self.arrays = [np.empty(room, dtype) if room else _NONE[dtype] for dtype in dtypes]
        self.count = 0
        self._ends = [0]

    def make_room(self, least: int) -> None:
        """``least`` more rows fit. No room at all was wanted: then there is none."""
        if 0 < len(self.arrays[0]) < self.count + least:
            for number, full in enumerate(self.arrays):
                self.arrays[number] = np.empty(2 * len(full), full.dtype)
                self.arrays[number][:len(full)] = full

    def end_turn(self) -> None:
        if len(self.arrays[0]):
            self._ends.append(self.count)

    def turns(self) -> np.ndarray:
        """Of each row the turn in which it was written."""
        return np.repeat(np.arange(len(self._ends) - 1), np.diff(self._ends))

    def written(self) -> list[np.ndarray]:
        return [array[:self.count] for array in self.arrays]


_NO_EVENTS, _NO_OFFSPRING = _Rows(0, EVENT), _Rows(0, PACKET, HEADER, BORN)
