"""Quantities as people write them and as the tables hold them: addresses, prefixes, sizes.

Addresses are unsigned 32-bit integers in host order everywhere inside calisim; text appears only at
the edges. A prefix is a :class:`Prefix`, whose host bits are always zero.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_OCTET = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_ADDRESS = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}")


class Prefix(NamedTuple):
    """An IPv4 prefix: ``network`` (host-order integer, host bits zero) and ``length`` (0..32)."""

    network: int
    length: int

    @property
    def mask(self) -> int:
        return _MASKS[self.length]

    @property
    def last(self) -> int:
        """The highest address inside."""
        return self.network | (~self.mask & 0xFFFFFFFF)

    @property
    def size(self) -> int:
        """How many addresses lie inside."""
        return 1 << (32 - self.length)

    def __contains__(self, address: object) -> bool:
        return isinstance(address, int) and (address & _MASKS[self.length]) == self.network

    def covers(self, other: Prefix) -> bool:
        """True when every address of ``other`` lies inside."""
        return self.length <= other.length and (other.network & self.mask) == self.network

    def overlaps(self, other: Prefix) -> bool:
        return self.covers(other) or other.covers(self)

    def __str__(self) -> str:
        return f"{format_address(self.network)}/{self.length}"


_MASKS = tuple((0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF for length in range(33))


def mask_of(length: int) -> int:
    """Netmask of a prefix length as a host-order integer."""
    return _MASKS[length]


@lru_cache(maxsize=65536)
def parse_address(text: str) -> int:
    """``"10.0.0.1"`` → integer. Raises ValueError with a reason a reader can act on."""
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise ValueError(_why_not_address(text))
    a, b, c, d = map(int, found.groups())
    return a << 24 | b << 16 | c << 8 | d


def parse_prefix(text: str) -> Prefix:
    """``"10.0.0.0/16"`` → :class:`Prefix`. Raises ValueError for host bits, too."""
    network, length = parse_interface(text)
    prefix = Prefix(network & mask_of(length), length)
    if prefix.network != network:
        raise ValueError(f"{text} has host bits set; the prefix is {prefix}")
    return prefix


def parse_interface(text: str) -> tuple[int, int]:
    """``"10.0.0.5/16"`` → (address, prefix length); host bits are welcome. Raises ValueError."""
    address, slash, length = text.partition("/")
    if not slash:
        raise ValueError(f"{text} has no prefix length; write {text}/32 for a single address")
    if ":" in address:
        raise ValueError(_why_not_address(text))
    if not re.fullmatch(r"\d|[12]\d|3[0-2]", length):
        raise ValueError(f"{text} is not an IPv4 prefix: the length goes from 0 to 32")
    return parse_address(address), int(length)


def network_of(address: int, length: int) -> Prefix:
    """The prefix of that length in which the address lies."""
    return Prefix(address & mask_of(length), length)


def format_address(address: int) -> str:
    """Integer → dotted text."""
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


# IANA, Assigned Internet Protocol Numbers: those that a user may call by name
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "ipip": 4, "ip-in-ip": 4, "gre": 47, "esp": 50, "sctp": 132}

_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "m": 60 * 10**9,
          "h": 3600 * 10**9, "d": 86400 * 10**9}
LONGEST_DURATION = 2**62


def parse_duration(text: str) -> int:
    """``"10min"``, ``"1.5 s"`` → nanoseconds. Raises ValueError with a reason a reader can act on."""
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,9})?)\s*([a-z]+)", text.strip())
    if found is None or found.group(2) not in _UNITS:
        raise ValueError(f"{text!r} is not a duration; write a number with a unit: {', '.join(_UNITS)}")
    whole, _, rest = found.group(1).partition(".")
    unit = _UNITS[found.group(2)]
    nanoseconds = int(whole) * unit + (int(rest) * unit // 10 ** len(rest) if rest else 0)
    if nanoseconds > LONGEST_DURATION:
        raise ValueError(f"{text!r} is longer than the simulator's clock reaches (146 years)")
    return nanoseconds


def _why_not_address(text: str) -> str:
    if ":" in text:
        return f"{text} is an IPv6 address; calisim models IPv4 only"
    octets = text.split(".")
    if len(octets) != 4 or not all(octet.isdigit() for octet in octets):
        return f"{text} is not an IPv4 address"
    if any(int(octet) > 255 for octet in octets):
        return f"{text} is not an IPv4 address: octets go from 0 to 255"
    return f"{text} is not an IPv4 address: octets have no leading zeros"


def plural(count: int, noun: str) -> str:
    """``plural(1, "packet")`` → "1 packet", ``plural(2000, "packet")`` → "2,000 packets"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
