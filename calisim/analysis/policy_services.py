"""Services as policy can tell them apart: protocol, ports and ICMP types in classes whose bounds are all those of all rules.

A set of classes is an integer with a bit for each, so that what a rule matches, and what is left of it after others, is one
operation. The classes of a protocol with ports are a grid: destination ports, and for each of these the source ports.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..control.policing import Policing, Ports, RuleMatch, SideMatch
from ..datapath.reference.police import ICMP, WITH_PORTS
from ..errors import UsageError
from .policy_words import protocol_name

MOST = 1 << 20


@dataclass(frozen=True, slots=True)
class Service:
    """One class; ``protocol`` 256 stands for all that no rule names. Bounds are inclusive."""

    protocol: int
    dports: tuple[int, int] = (0, 0)
    sports: tuple[int, int] = (0, 0)
    icmp: tuple[int, int] = (0, 0)        # the first type and code of the class

    @property
    def number(self) -> int:
        """A protocol of the class."""
        return self.protocol if self.protocol < 256 else 253


class PortsAsked(NamedTuple):
    """Ports of one end that a rule asks for and excludes; by name: (protocol, port), for a name has a protocol."""

    ports: Ports = ()
    not_ports: Ports = ()
    named: tuple[tuple[int, int], ...] = ()
    not_named: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class _Grid:
    """The classes of one protocol with ports: first ports of each class, and where its bits begin."""

    base: int
    dports: tuple[int, ...]
    sports: tuple[int, ...]

    @property
    def size(self) -> int:
        return len(self.dports) * len(self.sports)

    def of_dports(self, first: int, last: int) -> int:
        low, high = bisect_right(self.dports, first) - 1, bisect_right(self.dports, last)
        width = len(self.sports)
        return ((1 << (high - low) * width) - 1) << (self.base + low * width)

    def of_sports(self, first: int, last: int) -> int:
        low, high = bisect_right(self.sports, first) - 1, bisect_right(self.sports, last)
        row = ((1 << (high - low)) - 1) << low
        return sum(row << (self.base + position * len(self.sports)) for position in range(len(self.dports)))


class Services:
    """All classes over the rules of one or more worlds."""

    def __init__(self, worlds: Iterable[Policing]) -> None:
        rules = [(world, rule) for world in worlds for chain in world.chains for rule in chain.rules]
        said = {number for _, rule in rules for number in (rule.protocol, rule.not_protocol)}
        named = {*WITH_PORTS, 1, *(number for number in said if number is not None)}
        self.services: list[Service] = []
        self._of: dict[int, int] = {}                    # protocol → its bits
        self._grids: dict[int, _Grid] = {}
        self._types: dict[int, list[tuple[int, int]]] = {}
        for number in (*sorted(named, key=lambda one: (one not in (6, 17), one)), 256):
            base = len(self.services)
            if number in WITH_PORTS:
                self._grids[number] = grid = _Grid(base, _cuts(rules, number, "destination"), _cuts(rules, number, "source"))
                if grid.size > MOST:
                    raise UsageError(
                        f"the rules tell {grid.size:,} classes of {protocol_name(number)} ports apart, at most {MOST:,} fit")
                self.services += _cells(number, grid)
            elif number in ICMP:
                self._types[number] = kinds = _types(rules)
                self.services += (Service(number, icmp=kind) for kind in kinds)
            else:
                self.services.append(Service(number))
            self._of[number] = ((1 << (len(self.services) - base)) - 1) << base
        self.everything = (1 << len(self.services)) - 1
        self._known: dict[tuple[object, ...], int] = {}

    def matched(self, rule: RuleMatch, destination: PortsAsked, source: PortsAsked) -> int:
        """What a rule matches, the names of its ports resolved."""
        key = (rule.protocol, rule.not_protocol, rule.icmp, rule.not_icmp, destination, source, _asks(rule.destination),
               _asks(rule.source))
        if key not in self._known:
            self._known[key] = self._match(rule, destination, source)
        return self._known[key]

    def _match(self, rule: RuleMatch, destination: PortsAsked, source: PortsAsked) -> int:
        bits = self.everything if rule.protocol is None else self._of[rule.protocol]
        if rule.not_protocol is not None:
            bits &= ~self._of[rule.not_protocol]
        if rule.icmp is not None:
            bits &= self._icmp(rule.icmp)
        if rule.not_icmp is not None:
            bits &= ~self._icmp(rule.not_icmp)
        for side, asked, by_destination in ((rule.destination, destination, True), (rule.source, source, False)):
            wanted, unwanted = _asks(side)
            if wanted:
                bits &= self._ports(asked.ports, asked.named, by_destination)
            if unwanted:
                bits &= self._with_ports() & ~self._ports(asked.not_ports, asked.not_named, by_destination)
        return bits

    def _ports(self, ports: Ports, named: tuple[tuple[int, int], ...], by_destination: bool) -> int:
        each = [(grid, *span) for grid in self._grids.values() for span in ports]
        each += [(self._grids[protocol], port, port) for protocol, port in named if protocol in self._grids]
        bits = 0
        for grid, first, last in each:
            bits |= grid.of_dports(first, last) if by_destination else grid.of_sports(first, last)
        return bits

    def _with_ports(self) -> int:
        bits = 0
        for number in WITH_PORTS:
            bits |= self._of[number]
        return bits

    def _icmp(self, asked: tuple[int, int | None]) -> int:
        kind, code = asked
        bits = 0
        for position, service in enumerate(self.services):
            if service.protocol in ICMP and service.icmp[0] == kind and code in (None, service.icmp[1]):
                bits |= 1 << position
        return bits

    # --- packets, and back to words ---------------------------------------------------------------------------------

    def position(self, protocol: int, dport: int = 0, sport: int = 0) -> int:
        """The class of a packet; the destination port of ICMP is type << 8 | code."""
        if (grid := self._grids.get(protocol)) is not None:
            row, column = bisect_right(grid.dports, dport) - 1, bisect_right(grid.sports, sport) - 1
            return grid.base + row * len(grid.sports) + column
        base = (self._of.get(protocol, self._of[256]) & -self._of.get(protocol, self._of[256])).bit_length() - 1
        if protocol not in self._types:
            return base
        kind = (dport >> 8, dport & 255)
        return base + max(number for number, one in enumerate(self._types[protocol]) if one <= kind)

    def positions(self, packets: np.ndarray) -> np.ndarray:
        """The class of each packet."""
        columns = np.stack([packets["protocol"].astype(np.int64), packets["dport"], packets["sport"]], axis=1)
        each, inverse = np.unique(columns, axis=0, return_inverse=True)
        found = np.array([self.position(*row) for row in each.tolist()], np.int64)
        return found[inverse.ravel()]

    def words(self, bits: int) -> str:
        """``TCP 80, 443; UDP 53``."""
        if bits == self.everything:
            return "everything"
        return "; ".join(self._words(bits)) or "nothing"

    def _words(self, bits: int) -> Iterator[str]:
        for number, own in self._of.items():
            mine = bits & own
            if not mine:
                continue
            name = protocol_name(number) if number < 256 else "other protocols"
            if mine == own:
                yield name
            elif number in self._grids:
                yield f"{name} {'; '.join(_grid_words(self._grids[number], mine))}"
            else:
                kinds = [service.icmp for position, service in enumerate(self.services) if mine >> position & 1]
                yield f"{name} type {', '.join(f'{kind}/{code}' for kind, code in kinds)}"

    def first(self, bits: int) -> Service:
        """The lowest class of a set: its first ports make an example."""
        return self.services[(bits & -bits).bit_length() - 1]


def _asks(side: SideMatch) -> tuple[bool, bool]:
    return bool(side.ports or side.port_sets), bool(side.not_ports or side.not_port_sets)


def _cuts(rules: list[tuple[Policing, RuleMatch]], protocol: int, end: str) -> tuple[int, ...]:
    """First ports of the classes of a protocol."""
    cuts = {0}
    for world, rule in rules:
        side: SideMatch = getattr(rule, end)
        if rule.protocol not in (None, protocol):
            continue
        for first, last in (*side.ports, *side.not_ports):
            cuts |= {first, last + 1}
        for number in (*side.port_sets, *side.not_port_sets):
            cuts |= _of_names(world, number, protocol)
    return tuple(sorted(cuts - {65536}))


def _of_names(world: Policing, number: int, protocol: int) -> set[int]:
    """Bounds from all numbers that a port's name stands for."""
    found = world.port_sets[number - 1]
    if found.protocol != protocol:
        return set()
    numbers = set().union(*found.numbers.values(), (port for _, port in found.hosts))
    return numbers | {port + 1 for port in numbers}


def _cells(protocol: int, grid: _Grid) -> Iterator[Service]:
    for dports in _spans(grid.dports):
        for sports in _spans(grid.sports):
            yield Service(protocol, dports, sports)


def _spans(firsts: tuple[int, ...]) -> list[tuple[int, int]]:
    return [(first, following - 1) for first, following in zip(firsts, (*firsts[1:], 65536), strict=True)]


def _types(rules: list[tuple[Policing, RuleMatch]]) -> list[tuple[int, int]]:
    """First (type, code) of each class of ICMP."""
    firsts = {(0, 0)}
    for _, rule in rules:
        for asked in (rule.icmp, rule.not_icmp):
            if asked is not None:
                kind, code = asked
                firsts |= {(kind, 0), (kind + 1, 0)}
                if code is not None:
                    firsts |= {(kind, code), (kind, code + 1) if code < 255 else (kind + 1, 0)}
    return sorted(kind for kind in firsts if kind[0] < 256)


def _grid_words(grid: _Grid, bits: int) -> Iterator[str]:
    """Ranges of destination ports, apart for each set of source ports."""
    width = len(grid.sports)
    by_sources: dict[int, list[tuple[int, int]]] = {}
    for position, span in enumerate(_spans(grid.dports)):
        row = bits >> (grid.base + position * width) & ((1 << width) - 1)
        if row:
            by_sources.setdefault(row, []).append(span)
    for row, spans in by_sources.items():
        said = _joined(spans)
        if row != (1 << width) - 1:
            said += f" from {_joined([span for number, span in enumerate(_spans(grid.sports)) if row >> number & 1])}"
        yield said


@lru_cache(maxsize=4096)
def _spelled(spans: tuple[tuple[int, int], ...]) -> str:
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in spans)


def _joined(spans: list[tuple[int, int]]) -> str:
    """Neighbours become one range."""
    joined: list[tuple[int, int]] = []
    for first, last in spans:
        if joined and first == joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return _spelled(tuple(joined))
