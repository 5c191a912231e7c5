"""The fast engine: what it takes and gives, and what stacks do with a wave that is over. The wave itself is :mod:`.passage`'s."""

from __future__ import annotations

import numpy as np

from ..errors import StaleBuildError, UsageError
from ..fib.image import FibImage
from ..lines import aligned
from ..vocabulary import HEADER, PACKET, RESULT, DropReason, PacketFlag, Relation, Verdict
from ..vocabulary.declarations import digest
from .results import Born, Results

try:
    from .._fastpath import VOCABULARY, WAVE_NUMBER, Sheet, Tables, police
    from .passage import Passage
    from .state import State
except (ImportError, ValueError) as error:        # ValueError: a record's layout is another one
    raise StaleBuildError(
        f"the packet core is not built for this Python or this version ({error}): run pip install -e .") from error
if VOCABULARY != digest():
    raise StaleBuildError("the packet core was built from another vocabulary: run pip install -e .")


_PLAIN = np.empty(0, HEADER)


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
        """Results row by row. Routers are shared out to so many ``threads``, at most 16 and one for each 4,096 packets; nothing
        that a wave comes to depends on their number."""
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
        if state.wave == WAVE_NUMBER:
            raise UsageError(f"this state has seen {state.wave:,} waves and can number no more: take Engine.new_state()")
        state.fit(self.image)
        state.share(threads)
        results = np.ndarray(len(wave), RESULT, memoryview(Sheet(len(wave) * RESULT.itemsize)))
        passage = Passage(self._tables, state, wave, headers, results, threads, events=events, offspring=offspring)
        state.reckon(len(wave))
        if len(wave) and state.untidy:
            state.tidy(passage.earliest())
        state.wave += 1
        if len(wave):
            passage.run()
            state.latest = max(state.latest, passage.latest)
            self._learn(wave, headers, results, state)
        return Results(
            results, passage.events() if events else None, self._offspring(passage.born(), state) if offspring else None)

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
