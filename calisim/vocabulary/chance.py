"""Random choices without a random generator: a pure function of what the choice is about.

``draw(seed, …)`` gives the same 64 bits in both languages, whatever the order of packets, the
chunking of a wave or the number of threads. The mixer is SplitMix64's finalizer (Steele, Lea, Flood 2014).
"""

from __future__ import annotations

_MASK = 0xFFFFFFFFFFFFFFFF
GOLDEN = 0x9E3779B97F4A7C15


def draw(*words: int) -> int:
    """64 well-mixed bits that depend on every word (each taken modulo 2⁶⁴) and on their order."""
    state = 0
    for word in words:
        state = (state + GOLDEN) & _MASK ^ (word & _MASK)
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ state >> 27) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return state


def fnv1a_32(text: str) -> int:
    """FNV-1a, 32 bits: stable key of a name."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value
