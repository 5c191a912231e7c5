"""The bytes and hops of a packet's family: itself, the errors about it, and what those give rise to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...datapath.generations import Generation
from ...report.frames import error, frames
from .case import Case
from .hops import Hop, Route


class Family:
    """Takes one generation after the other; an error quotes the bytes that its parent had where it was last seen."""

    def __init__(self, case: Case, sent: Sequence[bytes], kind: str, *, wrapped: bool) -> None:
        self.hops: list[Hop] = []
        self._case, self._sent, self._kind, self._wrapped = case, sent, kind, wrapped
        self._last: list[bytes] = []               # each packet of the generation before, as last seen

    def add(self, generation: Generation) -> None:
        events = generation.results.events
        assert events is not None
        last = []
        for row, result in enumerate(generation.results.results):
            mine = events[events["row"] == row]
            if generation.causes is None:
                made = frames(mine, self._sent[row], self._case.tunnels, wrapped=self._wrapped)
                route = Route(self._case, mine, result, made, self._kind)
                last.append(made[-1] if made else self._sent[row])
            else:
                assert generation.headers is not None
                sent = self._error(generation, row, mine)
                made = frames(mine, sent, self._case.tunnels)
                from_router = bool(generation.headers[row]["place"])
                route = Route(self._case, mine, result, made, "error", from_router=from_router)
                last.append(made[-1] if made else sent)
            self.hops += route.hops()
        self._last = last

    def _error(self, generation: Generation, row: int, events: np.ndarray) -> bytes:
        """A node's kernel chooses the source, which its first EVENT shows."""
        assert generation.headers is not None and generation.causes is not None
        packet = generation.packets[row]
        source = int(events[0]["src"]) if len(events) else int(packet["src"])
        parent = self._last[int(generation.causes[row]["parent"])]
        return error(packet, generation.headers[row], parent, source, self._case.intent.seed)
