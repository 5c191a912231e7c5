"""The Internet checksum: whole (RFC 1071) and adjusted (RFC 1624).

One's complement has two zeros. A sum of words is 0 only if all of them are 0; where it is another multiple of 0xFFFF it is
0xFFFF. :func:`fold` keeps the two apart, so an adjusted checksum equals the one computed anew.
"""

from __future__ import annotations

from .octets import Octets


def fold(total: int) -> int:
    """The one's complement sum of a number's 16-bit words (2**16 is 1 modulo 0xFFFF, so a division does it at once)."""
    return (total - 1) % 0xFFFF + 1 if total else 0


def words(data: Octets) -> int:
    """A number with the sum of the data's 16-bit words; an odd last byte counts as if a zero followed."""
    return int.from_bytes(data, "big") << (len(data) & 1) * 8


def checksum(data: Octets, pseudo: int = 0) -> int:
    """The checksum over data and pseudo-header; 0 over data that hold their right checksum."""
    return fold(words(data) + pseudo) ^ 0xFFFF


def pseudo_header(src: int, dst: int, protocol: int, length: int) -> int:
    """The sum that TCP and UDP add over addresses, protocol and segment length (RFC 9293 §3.1, RFC 768)."""
    return (src >> 16) + (src & 0xFFFF) + (dst >> 16) + (dst & 0xFFFF) + protocol + length


def update(old: int, before: int, after: int, width: int = 16) -> int:
    """The checksum ``old`` after a field of ``width`` bits (16, 32, …) changed: HC' = ~(~HC + ~m + m'), RFC 1624 eqn. 3."""
    return fold((old ^ 0xFFFF) + (before ^ ((1 << width) - 1)) + after) ^ 0xFFFF
