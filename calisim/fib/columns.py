"""The endpoints of an Intent as columns: what the compiler asks of all of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..control.intent import Endpoint


class Columns:
    """Ids, kinds, addresses … of the endpoints, in their order."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        columns: Iterable[tuple[Any, ...]] = zip(*endpoints, strict=True) if endpoints else [()] * 10
        self.names: tuple[str, ...]
        ids, kinds, self.names, addresses, routers, mtus, _, deciders, *_ = columns
        self.ids, self.kinds = np.array(ids, np.int64), np.array(kinds, np.uint8)
        self.addresses, self.routers = np.array(addresses, np.int64), np.array(routers, np.int64)
        self.mtus, self.deciders = np.array(mtus, np.int64), np.array(deciders, np.int64)
