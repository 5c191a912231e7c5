"""Bytes as the parsers take them, and what is raised for bytes that are no packet."""

from __future__ import annotations

from typing import TypeAlias, TypeVar

Octets: TypeAlias = bytes | memoryview      # a view is never copied: its slices are views again
SameOctets = TypeVar("SameOctets", bytes, memoryview, Octets)


class MalformedPacket(ValueError):
    """Bytes that cannot be what they claim; ``offset`` counts from the start of what was parsed."""

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(f"{reason} (byte {offset})")
        self.reason = reason
        self.offset = offset


class CutShort(MalformedPacket):
    """Bytes that end too early: no fault where the rest is known to be elsewhere (a first fragment, a quote)."""


def require(data: Octets, size: int, what: str) -> None:
    """Refuse data shorter than ``size``."""
    if len(data) < size:
        raise CutShort(f"{what} cut short: {len(data)} of {size} bytes", len(data))
