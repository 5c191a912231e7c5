"""The endpoints of an Intent as columns: what the compiler asks of all of them at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..control.endpoints import PodEndpoints
from ..control.intent import Endpoint
from ..sequences import Joined
from ..vocabulary import EndpointKind


class Columns:
    """Ids, kinds, addresses … of the endpoints, in their order."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self.endpoints = endpoints
        parts = endpoints.parts if isinstance(endpoints, Joined) else (endpoints,)
        columns = [np.zeros((6, 0), np.int64), *map(_columns, parts)]
        self.ids, kinds, self.addresses, self.routers, self.mtus, self.deciders = np.concatenate(columns, axis=1)
        self.kinds = kinds.astype(np.uint8)


def _columns(part: Sequence[Endpoint]) -> np.ndarray:
    if not isinstance(part, PodEndpoints):
        rows = [(one.id, one.kind, one.address, one.router, one.mtu, one.decided_by) for one in part]
        return np.array(rows, np.int64).reshape(-1, 6).T
    columns = np.empty((6, len(part)), np.int64)
    columns[0], columns[5] = (np.arange(numbers.start, numbers.stop) for numbers in (part.ids, part.deciders))
    columns[1], columns[2], columns[3], columns[4] = EndpointKind.POD, list(part.addresses), list(part.routers), list(part.mtus)
    return columns
