"""A packet's family: itself, its pieces and wholes, the errors about it, and what those give rise to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...datapath.generations import Generation
from ...report.lineage import Lineage
from ...vocabulary import Relation, Stage, Verdict
from .case import Case
from .hops import Hop, Route


@dataclass(slots=True)
class Member:
    """One packet of the family, as last seen in ``data``, and its offspring."""

    kind: str
    result: np.void
    data: bytes
    hops: list[Hop]
    offspring: list[Member] = field(default_factory=list)

    def line(self) -> Iterator[Member]:
        """Itself and all that came of it, each with its own offspring before the next: the order in which a kernel works."""
        yield self
        for one in self.offspring:
            yield from one.line()

    @property
    def is_delivered(self) -> bool:
        return bool(self.kind != "error" and self.result["verdict"] == Verdict.DELIVERED)


class Family:
    """Takes one generation after the other of packets that were sent together."""

    def __init__(self, case: Case, lineage: Lineage, sent: Sequence[bytes], kind: str) -> None:
        self._case, self._lineage, self._sent, self._kind = case, lineage, sent, kind
        self._first: list[Member] = []
        self._before: list[Member] = []

    @property
    def members(self) -> list[Member]:
        return [member for first in self._first for member in first.line()]

    def add(self, generation: Generation) -> None:
        events, members = generation.results.events, []
        assert events is not None
        for row, seen in enumerate(self._lineage.add(generation, self._sent)):
            cause = None if generation.causes is None else generation.causes[row]
            parent = None if cause is None else self._before[int(cause["parent"])]
            kind = self._kind if parent is None or cause is None else _kind(cause, parent)
            result = generation.results.results[row]
            route = Route(
                self._case, events[events["row"] == row], result, seen.frames, kind,
                from_router=seen.last if _starts_at_router(generation, row) else None)
            member = Member(kind, result, seen.last, route.hops())
            (self._first if parent is None else parent.offspring).append(member)
            members.append(member)
        self._before = members


def _kind(cause: np.void, parent: Member) -> str:
    return "error" if cause["relation"] == Relation.ERROR else parent.kind


def _starts_at_router(generation: Generation, row: int) -> bool:
    """Whether it is the router's own error, or a piece that the router cut."""
    if generation.headers is None:
        return False
    header = generation.headers[row]
    return bool(header["place"] or header["resume"] in (Stage.FABRIC_IN, Stage.DELIVER))
