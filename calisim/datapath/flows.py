"""Room for the compiled engine's flow cache. What a Flow is stands in ``stages/flows.pxd``; here they are bytes."""

from __future__ import annotations

import numpy as np

from .._fastpath import ASIDE_SIZE, FLOW_SIZE, FRAME, INDEX_PER_FLOW, TOLL_SIZE, reflow
from ..lines import zeros

_FIRST_ROOM = FRAME
MOST = 1 << 21                             # 940 MB of them; who has more flows under way has no short cut for the others
_OCTETS, _WORDS = np.dtype(np.uint8), np.dtype(np.uint64)


class FlowCache:
    """Flows in ``records``, behind them copies for all ``slices`` of a wave but the first; what is seldom asked of them in
    ``asides``, what they mean to the counters in ``tolls``, an open-addressing ``index`` over them; ``unsettled``: of each slice
    a bit for each that has packets which the counters do not have yet."""

    def __init__(self, slices: int, room: int = _FIRST_ROOM) -> None:
        self.slices, self.room = slices, room
        self.records = zeros(slices * room * FLOW_SIZE, _OCTETS)
        self.asides = zeros(room * ASIDE_SIZE, _OCTETS)
        self.tolls = zeros(room * TOLL_SIZE, _OCTETS)
        self.index = zeros(room * INDEX_PER_FLOW, _WORDS)
        self.unsettled = zeros(slices * -(-room // 64), _WORDS)

    def blank(self) -> FlowCache:
        """Another one of this size."""
        return FlowCache(self.slices, self.room)

    def grown(self, count: int, more: int) -> FlowCache:
        """Four times the room and so on, until there is some for so many ``more``, with the first ``count`` flows. It takes
        memory as it is written."""
        room = self.room
        while room < MOST and (room == self.room or room - count < more):
            room = min(4 * room, MOST)
        other = FlowCache(self.slices, room)
        by_slice = self.slices, -1
        other.records.reshape(by_slice)[:, :count * FLOW_SIZE] = self.records.reshape(by_slice)[:, :count * FLOW_SIZE]
        other.asides[:count * ASIDE_SIZE] = self.asides[:count * ASIDE_SIZE]
        other.tolls[:count * TOLL_SIZE] = self.tolls[:count * TOLL_SIZE]
        other.unsettled.reshape(by_slice)[:, :len(self.unsettled) // self.slices] = self.unsettled.reshape(by_slice)
        reflow(other.records, count, other.index)
        return other
