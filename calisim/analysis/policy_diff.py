"""What changes from one policy to another: pairs whose set of allowed services differs, each with a flow that shows it.

Exact over all classes of addresses and services of both. Only ends whose programs say something else are looked at, and of
these only the pairs on which they say something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..control.policing import RuleMatch
from ..datapath.reference.police import Flow
from ..errors import UsageError
from ..vocabulary import EndpointKind
from .policy_book import WAYS
from .policy_names import Names
from .policy_space import Space, World
from .policy_walk import Side, Walker

if TYPE_CHECKING:
    from .network import Network, Progress

MOST_PAIRS = 2_000_000


@dataclass(frozen=True)
class Change:
    """One pair of classes. ``gained`` and ``lost`` are services in words; ``example`` was ``before`` and is ``after``."""

    source: str
    destination: str
    gained: str
    lost: str
    example: Flow
    ends: tuple[str, str]
    before: tuple[bool, tuple[Side, ...]]
    after: tuple[bool, tuple[Side, ...]]


@dataclass(frozen=True)
class PolicyDiff:
    """All changes; pods that only one of the two has are not compared."""

    changes: tuple[Change, ...]
    compared: int
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]


def diff(old: Network, new: Network, progress: Progress | None = None) -> PolicyDiff:
    """Every pair whose verdict differs for some service."""
    space = Space(World(old), World(new))
    names = Names(space)
    walkers = Walker(old), Walker(new)
    pairs = sorted(_suspects(space, progress))
    changes = []
    for position, (source, destination) in enumerate(pairs):
        if progress is not None and position % 1000 == 0:
            progress(f"{position:,} of {len(pairs):,} pairs compared", 0)
        was, is_ = (space.pair(source, destination, world) for world in (0, 1))
        if was != is_ and (change := _change(space, names, walkers, source, destination, was, is_)) is not None:
            changes.append(change)
    before, after = _pods(old), _pods(new)
    return PolicyDiff(tuple(changes), len(space.classes) ** 2, tuple(sorted(before - after)), tuple(sorted(after - before)))


def _pods(network: Network) -> set[str]:
    return {endpoint.name for endpoint in network.intent.endpoints if endpoint.kind is EndpointKind.POD}


def _change(
    space: Space, names: Names, walkers: tuple[Walker, Walker], source: int, destination: int, was: int, is_: int,
) -> Change | None:
    flows = [names.example(source, destination, space.services.first(was ^ is_), world) for world in (0, 1)]
    if flows[0] is None or flows[1] is None:
        return None
    told = []
    for walker, flow in zip(walkers, flows, strict=True):
        assert flow is not None
        sides = tuple(side for way in WAYS if (side := walker.side(flow, way)) is not None)
        told.append((all(side.allowed for side in sides), sides))
    words = space.services.words
    ends = names.address(flows[0].src), names.address(flows[0].dst)
    return Change(
        names.of(source), names.of(destination), words(is_ & ~was) if is_ & ~was else "", words(was & ~is_) if was & ~is_ else "",
        flows[0], ends, *told)


def _suspects(space: Space, progress: Progress | None) -> set[tuple[int, int]]:
    """Pairs on which one end says something else than before."""
    found: set[tuple[int, int]] = set()
    known: dict[tuple[object, ...], int] = {}
    content = [_Content(space, world, known) for world in (0, 1)]
    for way in WAYS:
        for own in range(len(space.classes)):
            if progress is not None and own % 100 == 0:
                progress(f"{way} of {own:,} of {len(space.classes):,} kinds of addresses", 0)
            if content[0].of(own, way) == content[1].of(own, way):
                continue
            for peer in _differing(space, own, way):
                found.add((own, peer) if way == "egress" else (peer, own))
            if len(found) > MOST_PAIRS:
                raise UsageError(
                    f"more than {MOST_PAIRS:,} kinds of flows change; compare fewer policies at a time, or fewer pods")
    return found


def _differing(space: Space, own: int, way: str) -> Iterator[int]:
    (was, old), (is_, new) = (space.outcomes(own, way, world) for world in (0, 1))
    differs = np.array([[one.allowed != other.allowed for other in new] for one in old])
    yield from np.flatnonzero(differs[was, is_]).tolist()


class _Content:
    """What a program says, whatever its number: equal content, equal verdicts. ``known`` numbers the contents of chains."""

    def __init__(self, space: Space, world: int, known: dict[tuple[object, ...], int]) -> None:
        self.space, self.world, self.known = space, world, known
        self._chains: dict[int, int] = {}
        self._programs: dict[int, tuple[object, ...]] = {}

    def of(self, own: int, way: str) -> tuple[object, ...]:
        number = self.space.program(own, way, self.world)
        if number and number not in self._programs:
            program = self.space.worlds[self.world].policing.programs[number - 1]
            tiers = tuple((tuple(map(self._chain, tier.chains)), tier.end) for tier in program.tiers)
            self._programs[number] = (tiers, tuple(map(self._chain, program.profiles)))
        return self._programs[number] if number else ()

    def _chain(self, number: int) -> int:
        if number not in self._chains:
            rules = self.space.worlds[self.world].policing.chains[number - 1].rules
            self._chains[number] = self.known.setdefault(tuple(map(self._rule, rules)), len(self.known))
        return self._chains[number]

    def _rule(self, rule: RuleMatch) -> tuple[object, ...]:
        sides = tuple(self.space.content(side, self.world) for side in (rule.source, rule.destination))
        return rule.action, rule.protocol, rule.not_protocol, rule.icmp, rule.not_icmp, sides
