"""A Run: what became of the packets that were sent, added up while they stream by.

An :class:`Outcome` is all that a report tells packets apart by. One packet's outcome is a 15-bit code, so
a wave is added up by three ``bincount`` calls and a packet's fate is kept in two bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..vocabulary import DropReason, Encap, ResultFlag, Verdict
from .scopes import SCOPES, Scopes

if TYPE_CHECKING:
    from ..datapath.engine import State
    from ..datapath.generations import Generation

_CODES = 1 << 15
REASONS = {int(reason): reason for reason in DropReason}


class Outcome(NamedTuple):
    """What a report tells packets apart by."""

    scope: str
    verdict: Verdict
    reason: DropReason
    encap: Encap
    snat: bool


class Amount(NamedTuple):
    """Packets and bytes: ``inner`` as sent (IP total length), ``wire`` on the first node's wire (outer header
    included), ``crossing`` the bytes as sent of those that got as far as that wire.
    """

    packets: int = 0
    inner: int = 0
    wire: int = 0
    crossing: int = 0

    @property
    def overhead(self) -> int:
        """Bytes of outer headers on the first node's wire."""
        return self.wire - self.crossing

    def plus(self, other: Amount) -> Amount:
        return Amount(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def codes_of(packets: np.ndarray, results: np.ndarray, scopes: Scopes) -> np.ndarray:
    """The outcome code of every packet of a wave (uint16)."""
    code = scopes.of(packets, results).astype(np.uint16)
    code |= results["verdict"].astype(np.uint16) << 3
    code |= results["reason"].astype(np.uint16) << 6
    code |= results["encap"].astype(np.uint16) << 12
    code |= ((results["flags"] & int(ResultFlag.SNAT)) != 0).astype(np.uint16) << 14
    return code


def outcome_of(code: int) -> Outcome:
    """The outcome that a code stands for."""
    return Outcome(
        SCOPES[code & 7], Verdict(code >> 3 & 7), REASONS[code >> 6 & 63], Encap(code >> 12 & 3), bool(code >> 14))


def successes(codes: np.ndarray) -> np.ndarray:
    """Which of the packets were delivered or left the modelled network."""
    verdict = codes >> 3 & 7
    return (verdict == Verdict.DELIVERED) | (verdict == Verdict.EXITED)


class Tally:
    """Packets and bytes by outcome. Iterating gives (outcome, amount), in a fixed order."""

    def __init__(self, sums: np.ndarray | None = None) -> None:
        self._sums = np.zeros((_CODES, 4), np.int64) if sums is None else sums

    def add(self, codes: np.ndarray, packets: np.ndarray, results: np.ndarray) -> None:
        """Count one wave."""
        self._sums[:, 0] += np.bincount(codes, minlength=_CODES)
        self._sums[:, 1] += np.bincount(codes, packets["length"], _CODES).astype(np.int64)
        self._sums[:, 2] += np.bincount(codes, results["wire"], _CODES).astype(np.int64)
        crossing = np.where(results["wire"] != 0, packets["length"], 0)
        self._sums[:, 3] += np.bincount(codes, crossing, _CODES).astype(np.int64)

    def __iter__(self) -> Iterator[tuple[Outcome, Amount]]:
        for code in np.flatnonzero(self._sums[:, 0]):
            yield outcome_of(int(code)), Amount(*self._sums[code].tolist())

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(self._sums + other._sums)

    def total(self, wanted: Callable[[Outcome], bool] = lambda _: True) -> Amount:
        """The sum over all outcomes that are wanted."""
        total = Amount()
        for outcome, amount in self:
            if wanted(outcome):
                total = total.plus(amount)
        return total

    def by(self, key: Callable[[Outcome], object]) -> dict[object, Amount]:
        """Sums by whatever ``key`` makes of an outcome."""
        sums: dict[object, Amount] = {}
        for outcome, amount in self:
            name = key(outcome)
            sums[name] = sums.get(name, Amount()).plus(amount)
        return sums

    @property
    def sent(self) -> int:
        """Packets."""
        return int(self._sums[:, 0].sum())

    @property
    def success(self) -> int:
        """Packets that were delivered or left the modelled network."""
        return self.total(lambda outcome: outcome.verdict.success).packets

    def lost(self) -> dict[DropReason, int]:
        """Packets lost by reason, the most frequent first."""
        counts = {outcome.reason: 0 for outcome, _ in self if outcome.verdict is Verdict.DROPPED}
        for outcome, amount in self:
            if outcome.verdict is Verdict.DROPPED:
                counts[outcome.reason] += amount.packets
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


@dataclass
class Run:
    """What became of the packets that a network was given.

    ``tallies`` by traffic set (the name ``""`` for packets given as an array; answers under ``NAME (replies)``),
    ``codes`` one outcome code per packet by traffic set, ``paths`` packets per path class, ``protocols`` those that
    were sent, ``links`` packets and bytes by kind of interface and direction, ``state`` the engine's after the last
    wave. ``packets``, ``results`` and ``events`` hold all rows where they were asked for (event rows count within the
    whole run; what a packet went on as counts as it), else they are empty. ``families`` are the waves with all their
    offspring, where events were asked for.
    """

    tallies: dict[str, Tally] = field(default_factory=dict)
    codes: dict[str, np.ndarray] = field(default_factory=dict)
    paths: Counter[int] = field(default_factory=Counter)
    protocols: set[int] = field(default_factory=set)
    links: np.ndarray = field(default_factory=lambda: np.empty(0))
    state: State | None = None
    packets: np.ndarray = field(default_factory=lambda: np.empty(0))
    results: np.ndarray = field(default_factory=lambda: np.empty(0))
    events: np.ndarray | None = None
    families: list[tuple[Generation, ...]] = field(default_factory=list)

    def __repr__(self) -> str:
        """One line; the arrays are there to be asked."""
        sent = self.sent
        sets = ", ".join(name or "packets" for name in self.tallies)
        return f"<Run of {sets}: {sent.sent:,} packets sent, {sent.success:,} arrived, {sum(sent.lost().values()):,} lost>"

    @property
    def tally(self) -> Tally:
        """All traffic sets together, answers included."""
        return total(self.tallies.values())

    @property
    def sent(self) -> Tally:
        """All traffic sets together, without the answers."""
        return total(tally for name, tally in self.tallies.items() if not is_reply(name))


def reply_name(name: str) -> str:
    """Under which name the answers to a traffic set are counted."""
    return f"{name} (replies)".strip()


def is_reply(name: str) -> bool:
    return name.endswith("(replies)")


def total(tallies: Iterable[Tally]) -> Tally:
    """Tallies added up."""
    sum_ = Tally()
    for tally in tallies:
        sum_ = sum_.plus(tally)
    return sum_


def lost_by_name(tally: Tally) -> Mapping[str, int]:
    """Packets lost by reason code, as reports and JSON name them."""
    return {reason.name: count for reason, count in tally.lost().items()}
