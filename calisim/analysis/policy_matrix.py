"""Who may talk to whom: a truth table for one port, or for each pair the set of all services that both ends allow.

Rows are pods while there are few, then the groups that the scenario counts pods from, then what policy can tell apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..datapath.reference.police import WITH_PORTS
from ..errors import UsageError
from ..traffic.batch import protocol_number
from .policy_names import Names
from .policy_services import Service
from .policy_space import Space, World

if TYPE_CHECKING:
    from .network import Network, Progress

MOST_PODS = 16
MOST_ROWS = 60
MOST_PAIRS = 4_000_000


@dataclass(frozen=True, slots=True)
class Unit:
    """A row or column: ``klass`` of the space; ``lonely`` where it is one pod."""

    name: str
    klass: int
    lonely: bool


@dataclass(frozen=True)
class TruthTable:
    """One service. Cells are True, False or None: a pod's traffic to itself never leaves it."""

    level: str
    service: str
    sources: tuple[Unit, ...]
    destinations: tuple[Unit, ...]
    egress: list[list[bool | None]]
    ingress: list[list[bool | None]]

    @property
    def combined(self) -> list[list[bool | None]]:
        return [[None if a is None else bool(a and b) for a, b in zip(*rows, strict=True)]
                for rows in zip(self.egress, self.ingress, strict=True)]


@dataclass(frozen=True, slots=True)
class Connections:
    """Services that a source may use at some destinations."""

    source: str
    destinations: tuple[str, ...]
    allowed: int
    says: str


@dataclass(frozen=True)
class ConnectionSets:
    """All pairs; ``silent`` of them may not talk at all."""

    level: str
    rows: tuple[Connections, ...]
    pairs: int
    silent: int
    services: tuple[Service, ...]


def truth_table(
    network: Network, protocol: str, port: int, source: str | None = None, destination: str | None = None,
    progress: Progress | None = None,
) -> TruthTable:
    """The verdict of both ends on one service, for every pair."""
    space = Space(World(network))
    names = Names(space)
    number = protocol_number(protocol)
    bit = 1 << space.services.position(number, port if number != 1 else 8 << 8, 40000)
    level, sources, destinations = _units(names, source, destination)
    egress: list[list[bool | None]] = []
    ingress: list[list[bool | None]] = []
    for position, one in enumerate(sources):
        if progress is not None and position % 50 == 0:
            progress(f"verdicts of {position:,} of {len(sources):,} sources", 0)
        pairs = [(one, other) for other in destinations]
        egress.append([None if _itself(*pair) else bool(
            space.outcome(pair[0].klass, pair[1].klass, "egress").allowed & bit) for pair in pairs])
        ingress.append([None if _itself(*pair) else bool(
            space.outcome(pair[1].klass, pair[0].klass, "ingress").allowed & bit) for pair in pairs])
    said = f"{protocol.upper()} {port}" if number in WITH_PORTS else protocol.upper()
    return TruthTable(level, said, sources, destinations, egress, ingress)


def connection_sets(
    network: Network, source: str | None = None, destination: str | None = None, progress: Progress | None = None,
) -> ConnectionSets:
    """For every source, destinations by what they may be asked for."""
    space = Space(World(network))
    names = Names(space)
    level, sources, destinations = _units(names, source, destination, pods=False)
    rows: list[Connections] = []
    silent = pairs = 0
    for position, one in enumerate(sources):
        if progress is not None and position % 50 == 0:
            progress(f"connections of {position:,} of {len(sources):,} sources", 0)
        by_services: dict[int, list[str]] = {}
        for other in destinations:
            if not _itself(one, other):
                by_services.setdefault(space.pair(one.klass, other.klass), []).append(other.name)
        pairs += sum(map(len, by_services.values()))
        silent += len(by_services.pop(0, []))
        rows += [Connections(one.name, tuple(whom), bits, space.services.words(bits)) for bits, whom in by_services.items()]
    return ConnectionSets(level, tuple(rows), pairs, silent, tuple(space.services.services))


def _itself(one: Unit, other: Unit) -> bool:
    return one.lonely and one.name == other.name


def _units(
    names: Names, source: str | None, destination: str | None, *, pods: bool = True,
) -> tuple[str, tuple[Unit, ...], tuple[Unit, ...]]:
    """The finest level that fits, and its rows and columns."""
    chosen = _chosen(names, source), _chosen(names, destination)
    if pods and all(sum(map(len, side.values())) <= MOST_PODS for side in chosen):
        return "pods", *(tuple(_pods(names, side)) for side in chosen)  # type: ignore[return-value]
    level = "workloads"
    rows, columns = (tuple(_workloads(names, side)) for side in chosen)
    if max(len(rows), len(columns)) > MOST_ROWS + len(names.space.outside):
        level = "identities"
        rows, columns = (tuple(_classes(names, side)) for side in chosen)
    if len(rows) * len(columns) > MOST_PAIRS:
        raise UsageError(
            f"{len(rows):,} × {len(columns):,} kinds of pods are too many for a table; choose some with --from and --to")
    return level, rows, columns


def _chosen(names: Names, text: str | None) -> dict[int, np.ndarray]:
    """Class → the pods of it that a text selects (all without one)."""
    space = names.space
    if text is None:
        return {number: one.members for number, one in enumerate(space.classes)}
    from ..traffic.endpoints import resolve_destinations

    network = space.worlds[0].network
    ids, addresses = resolve_destinations(text, network.intent, network.labels)
    if not len(ids):
        raise UsageError(f"{text!r} selects nobody")
    classes = space.of_addresses(addresses)
    numbers = [number for number in dict.fromkeys(classes.tolist()) if number >= 0]
    return {number: ids[classes == number] if space.classes[number].count else ids[:0] for number in numbers}


def _pods(names: Names, chosen: dict[int, np.ndarray]) -> Iterable[Unit]:
    pods = sorted((int(member), number) for number, members in chosen.items() for member in members)
    return [*(Unit(names.endpoint(member), number, True) for member, number in pods), *_outside(names, chosen)]


def _workloads(names: Names, chosen: dict[int, np.ndarray]) -> list[Unit]:
    """Each group of pods that policy does not tell apart; a name that stands for several classes says which one."""
    found: dict[tuple[str, int], int] = {}
    for number, members in chosen.items():
        for member in members:
            key = names.workload(int(member)), number
            found[key] = found.get(key, 0) + 1
    classes_of = Counter(name for name, _ in found)
    units = []
    for (name, number), count in found.items():
        first = names.endpoint(int(chosen[number][0]))
        shown = name if classes_of[name] == 1 else f"{name} [{first} …]"
        units.append(Unit(first if count == 1 else shown, number, names.space.classes[number].count == 1))
    return [*units, *_outside(names, chosen)]


def _classes(names: Names, chosen: dict[int, np.ndarray]) -> list[Unit]:
    counts = {number: names.space.classes[number].count for number in chosen}
    pods = (Unit(names.of(number), number, count == 1) for number, count in counts.items() if count)
    return [*pods, *_outside(names, chosen)]


def _outside(names: Names, chosen: dict[int, np.ndarray]) -> list[Unit]:
    return [Unit(names.of(number), number, True) for number in chosen if not names.space.classes[number].count]
