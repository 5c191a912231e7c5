"""Shapes of journeys: ten thousand flows are a handful of shapes. Reads the path class of RESULT, never the routers on it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ..vocabulary import DropReason, Encap, ResultFlag, Verdict
from .run import REASONS


@dataclass(frozen=True, slots=True)
class Shape:
    """How many packets went this way, what became of them, and what they met: words of :class:`ResultFlag`."""

    packets: int
    verdict: Verdict
    reason: DropReason
    encap: Encap
    hops: int
    marks: tuple[str, ...]


def shapes(paths: Counter[int]) -> list[Shape]:
    """Path classes taken apart, the most frequent first."""
    return [_shape(path, packets) for path, packets in sorted(paths.items(), key=lambda item: (-item[1], item[0]))]


def _shape(path: int, packets: int) -> Shape:
    flags = path >> 16 & 0xFF
    marks = tuple(flag.name.lower() for flag in ResultFlag if flags & flag and flag.name)
    return Shape(packets, Verdict(path & 7), REASONS[path >> 3 & 63], Encap(path >> 9 & 7), path >> 12 & 15, marks)
