"""Longest-prefix match by what Python users take: pytricia, py-radix, and a dictionary for each prefix length."""

from __future__ import annotations

import socket
from collections.abc import Callable

import numpy as np

from ...quantities import format_address

Match = Callable[[], list[int]]
Prefixes = list[tuple[int, int, int]]           # network, length, value; the default route 0/0 is among them


def dictionary(prefixes: Prefixes, addresses: np.ndarray) -> Match:
    """From the longest prefix length to the shortest."""
    tables: dict[int, dict[int, int]] = {}
    for network, length, value in prefixes:
        tables.setdefault(length, {}).setdefault(network, value)
    lengths = [(-1 << 32 - length & 0xFFFFFFFF, table) for length, table in sorted(tables.items(), reverse=True)]
    numbers = addresses.tolist()
    return lambda: [next((table[a & mask] for mask, table in lengths if a & mask in table), -1) for a in numbers]


def pytricia(prefixes: Prefixes, addresses: np.ndarray) -> Match:
    """Addresses are given as text, as its users have them; made before the clock runs."""
    from pytricia import PyTricia

    trie = PyTricia(32, socket.AF_INET)
    for network, length, value in reversed(prefixes):
        trie.insert(format_address(network), length, value)
    trie.freeze()
    texts = [format_address(address) for address in addresses.tolist()]
    return lambda: [trie.get(text, -1) for text in texts]


def radix(prefixes: Prefixes, addresses: np.ndarray) -> Match:
    """Addresses are given packed, the fastest form that it takes."""
    from radix import Radix

    tree = Radix()
    for network, length, value in reversed(prefixes):
        tree.add(format_address(network), length).data["value"] = value
    packed = [int(address).to_bytes(4, "big") for address in addresses.tolist()]

    def match() -> list[int]:
        best = tree.search_best
        return [-1 if (node := best(packed=address)) is None else node.data["value"] for address in packed]

    return match
