"""Packets that fare alike in every variant: ten thousand flows are a handful of classes, each with one packet to stand for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..quantities import format_address
from ..vocabulary import PacketFlag
from .explain import Request
from .run import Outcome, is_reply, outcome_of

if TYPE_CHECKING:
    from ..control.intent import Intent
    from .compare import VariantReport
    from .network import Network


@dataclass(frozen=True)
class Class:
    """How many packets of which traffic sets, their outcome in each variant (in order), and one of them to be traced."""

    packets: int
    traffic: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    example: Request

    @property
    def lost(self) -> bool:
        return any(not outcome.verdict.success for outcome in self.outcomes)


def classes(reports: Sequence[VariantReport], most: int) -> tuple[list[Class], int]:
    """The classes of a comparison's packets, those that are lost somewhere first, then the largest; at most ``most`` of them,
    and how many there are."""
    counts: dict[tuple[int, ...], int] = {}
    firsts: dict[tuple[int, ...], tuple[int, str, int]] = {}          # of the set that sends most bytes of the class
    sets: dict[tuple[int, ...], list[str]] = {}
    for name in reports[0].run.codes:
        if is_reply(name):
            continue
        for codes, first, count in _alike([report.run.codes[name] for report in reports]):
            counts[codes] = counts.get(codes, 0) + count
            weight = count * reports[0].network.traffic_sets(name)[0].size
            if codes not in firsts or weight > firsts[codes][0]:
                firsts[codes] = weight, name, first
            sets.setdefault(codes, []).append(name)
    ordered = sorted(counts, key=lambda codes: (all(_arrived(code) for code in codes), -counts[codes], codes))
    return [
        Class(counts[codes], tuple(sets[codes]), tuple(map(outcome_of, codes)), _request(reports[0].network, *firsts[codes][1:]))
        for codes in ordered[:most]], len(ordered)


def _alike(columns: list[np.ndarray]) -> Iterator[tuple[tuple[int, ...], int, int]]:
    """Each combination of codes with the position of its first packet and the number of its packets."""
    shortest = min(map(len, columns))
    group = np.zeros(shortest, np.int64)
    for column in columns:
        _, group = np.unique(group << 16 | column[:shortest], return_inverse=True)
    _, first, count = np.unique(group, return_index=True, return_counts=True)
    for row, packets in zip(first.tolist(), count.tolist(), strict=True):
        yield tuple(int(column[row]) for column in columns), row, packets


def _arrived(code: int) -> bool:
    return outcome_of(code).verdict.success


def _request(network: Network, traffic: str, position: int) -> Request:
    """What to trace for the packet at a position of a traffic set."""
    start = 0
    for wave in network.waves(network.traffic_sets(traffic)[0]):
        if position < start + len(wave):
            return request_of(network, wave[position - start])
        start += len(wave)
    raise AssertionError(f"{traffic} has no packet {position}")


def request_of(network: Network, packet: np.void) -> Request:
    """A packet in the words of a trace."""
    intent, protocol = network.intent, int(packet["protocol"])
    return Request(
        intent.endpoint(int(packet["ingress"])).name, _name(intent, int(packet["dst"])),
        {1: "icmp", 6: "tcp", 17: "udp"}.get(protocol, protocol), int(packet["dport"]) if protocol in (6, 17) else None,
        int(packet["length"]), bool(packet["fragment"] & PacketFlag.DF), int(packet["ttl"]))


def _name(intent: Intent, address: int) -> str:
    """What a trace calls an address: its endpoint, the service whose first address it is, or itself."""
    owner, service = intent.address_owners.get(address), intent.service_addresses.get(address, "")
    if owner:
        return intent.endpoint(owner).name
    named = intent.service_names.get(service)
    return service if named is not None and named.addresses[:1] == (address,) else format_address(address)
