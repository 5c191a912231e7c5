"""What forward() gives back, in both engines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Results:
    """``results``: a RESULT for each PACKET, row by row. ``events``: EVENT records sorted by row (stable), or None."""

    results: np.ndarray
    events: np.ndarray | None
