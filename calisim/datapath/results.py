"""What forward() gives back, in both engines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Born:
    """Packets that a wave gave rise to, row by row a PACKET, its HEADER, and a BORN that says why it exists."""

    packets: np.ndarray
    headers: np.ndarray
    causes: np.ndarray


@dataclass(frozen=True)
class Results:
    """``results``: a RESULT for each PACKET, row by row. ``events``: EVENT records sorted by row (stable), or None.
    ``born``: what the wave gave rise to and nobody has sent yet, or None."""

    results: np.ndarray
    events: np.ndarray | None
    born: Born | None = None
