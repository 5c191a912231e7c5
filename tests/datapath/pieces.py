"""What tests of fragments send and look at: datagrams in pieces, and what is born of them.

The cluster is :func:`tests.intents.behind_linux`: n1, n2 on one link, n3 on another, a Linux router between them.
"""

from typing import Any

import numpy as np

from calisim.datapath.generations import generations
from calisim.datapath.results import Born
from calisim.quantities import parse_address
from calisim.vocabulary import HEADER, PacketFlag, Verdict
from tests.datapath.conftest import Net, fate_of

CONTINUED = Verdict.CONTINUED
DF, MF = int(PacketFlag.DF), int(PacketFlag.MF)
UDP, SECOND = 17, 1_000_000_000
P1, P2, P3, P5 = "10.244.1.2", "10.244.1.3", "10.244.2.2", "10.244.3.2"
NODE1, NODE3, OUTSIDE = "10.0.1.11", "10.0.2.13", "203.0.113.10"


def header(**fields: Any) -> np.ndarray:
    made = np.zeros(1, HEADER)
    for name, value in fields.items():
        made[name] = parse_address(value) if isinstance(value, str) else value
    return made


def pieces(network: Net, sender: str, dst: str, lengths: list[int], *, of: int = 7, order: list[int] | None = None,
           df: bool = False, **fields: Any) -> tuple[np.ndarray, np.ndarray]:
    """One datagram in pieces of these total lengths as a raw socket sends them, and their headers."""
    rows, offset = [], 0
    for number, length in enumerate(lengths):
        more = MF if number < len(lengths) - 1 else 0
        rows.append(network.packet(
            sender, dst, **{"protocol": UDP, "length": length, "fragment": (DF if df else 0) | more | offset // 8, **fields}))
        offset += length - 20
    wave = np.concatenate(rows)[order or list(range(len(rows)))]
    return wave, np.repeat(header(id=of), len(wave))


def lengths(born: Born | None) -> list[tuple[int, int]]:
    """Total length and offset in bytes of what was born."""
    assert born is not None
    return [(int(p["length"]), int(p["fragment"] & 0x1FFF) * 8) for p in born.packets]


def outer_lengths(born: Born | None) -> list[tuple[int, int]]:
    assert born is not None
    return [(int(h["outer_length"]), int(h["outer_fragment"] & 0x1FFF) * 8) for h in born.headers]


def on(network: Net, device: int, direction: int, router: int) -> list[int]:
    """Lengths on an interface in the last wave, of the outermost header."""
    return [
        int(e["outer_length"] or e["length"]) for e in network.events
        if (e["device"], e["direction"], e["router"]) == (device, direction, router)]


def follow(network: Net, wave: np.ndarray, headers: np.ndarray | None = None) -> list[tuple[list[Any], list[str]]]:
    """Wave after wave until nothing is born: the fates, and what was crossed with which length."""
    told = []
    for one in generations(network.engine, wave, network.state, headers, events=True):
        fates = [fate_of(result) for result in one.results.results]
        network.events = one.results.events
        told.append((fates, [
            f"{step} {e['outer_length'] or e['length']}" for step, e in zip(network.route(), network.events, strict=True)]))
    return told
