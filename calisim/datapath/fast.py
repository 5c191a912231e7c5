"""The fast engine: drives the compiled core leg by leg and makes room for it between frames."""

from __future__ import annotations

import numpy as np

from ..errors import StaleBuildError, UsageError
from ..fib.image import FibImage
from ..vocabulary import BORN, EVENT, HEADER, PACKET, RESULT, DropReason, PacketFlag, Relation, Verdict
from ..vocabulary.declarations import digest
from .lines import aligned
from .results import Born, Results

try:
    from .._fastpath import EVENT_ROOM, FRAME, VOCABULARY, Tables, police, step, typed
    from .flows import MOST
    from .state import State
except (ImportError, ValueError) as error:        # ValueError: a record's layout is another one
    raise StaleBuildError(
        f"the packet core is not built for this Python or this version ({error}): run pip install -e .") from error
if VOCABULARY != digest():
    raise StaleBuildError("the packet core was built from another vocabulary: run pip install -e .")

_FIRST_EVENTS = 2 * EVENT_ROOM
_PLAIN = np.empty(0, HEADER)
_NONE = dict(zip((EVENT, PACKET, HEADER, BORN), typed(           # made once: with small waves it takes as long as the packets
    *(np.empty(0, dtype) for dtype in (PACKET, HEADER, RESULT, EVENT, PACKET, HEADER, BORN)))[3:], strict=True))


class FastEngine:
    """Forwards waves by the tables of one FibImage."""

    def __init__(self, image: FibImage) -> None:
        image.check()
        self.image = image
        self._tables = Tables(
            **{name: aligned(array) for name, array in image.arrays.items()}, places=image.places, objects=image.objects)

    def new_state(self) -> State:
        return State(self.image)

    def judge(self, packets: np.ndarray) -> np.ndarray:
        """What the sides' programs say (:meth:`.engine.Engine.judge`)."""
        said = np.ones((len(packets), 2), bool)
        reasons, deciders = np.zeros(len(packets), np.uint8), np.zeros(len(packets), np.uint32)
        police(self._tables, packets, reasons, deciders)
        said[:, 0] = reasons != DropReason.POLICY_EGRESS
        at_receivers = packets.copy()
        at_receivers["ingress"] = 0                  # it is asked where the sender's side has something against it, too
        police(self._tables, at_receivers, reasons, deciders)
        said[:, 1] = reasons == DropReason.NONE
        return said

    def forward(
        self, wave: np.ndarray, state: State, headers: np.ndarray | None = None, *, events: bool = False,
        offspring: bool = False, threads: int = 1,
    ) -> Results:
        """Results row by row. ``threads`` is accepted for the sake of callers; the result does not depend on it."""
        if not isinstance(wave, np.ndarray) or wave.dtype != PACKET or wave.ndim != 1:
            raise UsageError("a wave is a one-dimensional numpy array of calisim.PACKET")
        headers = _PLAIN if headers is None else headers
        if not isinstance(headers, np.ndarray) or headers.dtype != HEADER or headers.shape not in ((0,), wave.shape):
            raise UsageError("headers are a numpy array of calisim.HEADER, one for each packet of the wave")
        if not isinstance(state, State):
            raise UsageError("the state belongs to another engine: take Engine.new_state()")
        if threads < 1:
            raise UsageError(f"{threads} threads: it takes at least one")
        wave = np.ascontiguousarray(wave)
        headers = headers.copy() if len(headers) else headers               # quotes of ICMP errors are translated on the way
        state.fit(self.image)
        state.wave += 1
        results = np.empty(len(wave), RESULT)
        journal = _Rows(_FIRST_EVENTS if events else 0, EVENT)
        nursery = _Rows(4 * FRAME if offspring else 0, PACKET, HEADER, BORN)
        if len(wave):
            self._walk(wave, headers, results, state, journal, nursery)
            self._learn(wave, headers, results, state)
        return Results(
            results, _by_row(*journal.written()) if events else None,
            self._offspring(Born(*nursery.written()), state) if offspring else None)

    def _walk(
        self, wave: np.ndarray, headers: np.ndarray, results: np.ndarray, state: State, journal: _Rows, nursery: _Rows,
    ) -> None:
        earliest = int(wave["time"].min())
        state.fragments.expire(earliest)
        state.tidy(earliest)
        carries = state.carries_of(len(wave))
        active, leg = len(wave), 0
        wants_events, wants_born = len(journal.arrays[0]) > 0, len(nursery.arrays[0]) > 0
        quotes = headers if len(headers) else _NONE[HEADER]
        arrays = typed(wave, quotes, results, *journal.arrays, *nursery.arrays)
        while active:
            position = kept = 0
            while True:
                position, kept, journal.count, nursery.count = step(
                    self._tables, state.ledger, *arrays[:3], carries, arrays[3], journal.count, wants_events, *arrays[4:],
                    nursery.count, state.wave, leg, position, kept, active, state.flows.room < MOST)
                if position == active:
                    break
                state.grow(earliest)
                journal.make_room(EVENT_ROOM)
                nursery.make_room(FRAME)
                arrays = typed(wave, quotes, results, *journal.arrays, *nursery.arrays)
            active, leg = kept, leg + (1 if leg or wants_born else 2)
        state.latest = max(state.latest, int(wave["time"].max()))

    def _learn(self, wave: np.ndarray, headers: np.ndarray, results: np.ndarray, state: State) -> None:
        """Delivered frag-needed errors tell a pod of its own packets, a node of the IPIP packets that it made."""
        if not len(headers):
            return
        told = (wave["protocol"] == 1) & (wave["dport"] == 0x0304) & (results["verdict"] == Verdict.DELIVERED)
        told &= wave["fragment"] & PacketFlag.OFFSET == 0
        told &= (results["dst"] == headers["quote_src"]) & (results["where"] > 0) & (headers["encap"] == 0)
        rows = np.flatnonzero(told)
        if not len(rows):
            return
        quoted, routers = headers[rows], self.image.routers[results["where"][rows]]
        outer = (quoted["quote_protocol"] == 4) & (quoted["quote_src"] == routers["address"])
        own = np.logical_or.reduce([
            quoted["quote_src"] == routers[name] for name in ("address", "ipip_address", "vxlan_address")])
        lessons = [quoted[name] for name in ("quote_src", "quote_dst", "mtu")] + [wave["time"][rows]]
        state.learn(zip(*(column[outer | ~own].tolist() for column in lessons), strict=True))

    def _offspring(self, born: Born, state: State) -> Born:
        """Errors that may be sent, pieces of what was too long, and what has become whole."""
        if (born.causes["relation"] != Relation.ERROR).any():
            born = state.fragments.offspring(born, self.image.routers["key"], int(self.image.fabric["seed"][0]))
        return self._allowed(born, state)

    def _allowed(self, born: Born, state: State) -> Born:
        """What Linux' limits let pass, by who speaks to whom (ip_error, inet_peer_xrlim_allow); frag-needed is exempt."""
        span = int(self.image.fabric["icmp_ratelimit"][0]) * 1_000_000
        kept = np.ones(len(born.packets), bool)
        for row in np.flatnonzero(born.causes["relation"] == Relation.ERROR):
            packet, cause = born.packets[row], born.causes[row]
            kind = int(cause["type"]), int(cause["code"])
            if kind != (3, 4):
                kept[row] = state.may_complain(
                    int(cause["where"]), int(packet["dst"]), int(packet["time"]), span, no_route=kind == (3, 0))
        return Born(born.packets[kept], born.headers[kept], born.causes[kept])


class _Rows:
    """Arrays that are written row by row, together, and that double when they are full; ``count`` rows are written."""

    def __init__(self, room: int, *dtypes: np.dtype) -> None:
        self.arrays = [np.empty(room, dtype) if room else _NONE[dtype] for dtype in dtypes]
        self.count = 0

    def make_room(self, least: int) -> None:
        """``least`` more rows fit. No room at all was wanted: then there is none."""
        if 0 < len(self.arrays[0]) < self.count + least:
            for number, full in enumerate(self.arrays):
                self.arrays[number] = np.empty(2 * len(full), full.dtype)
                self.arrays[number][:len(full)] = full

    def written(self) -> list[np.ndarray]:
        return [array[:self.count] for array in self.arrays]


def _by_row(events: np.ndarray) -> np.ndarray:
    """A row's events stay in their order."""
    return events[np.argsort(events["row"], kind="stable")]
