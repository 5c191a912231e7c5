"""What a change did to the same traffic: who is lost now, who arrives now, in one sentence and in numbers before and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..quantities import plural
from .needs import pairs_at
from .run import Tally, is_reply, outcome_of, successes
from .story import word_of

if TYPE_CHECKING:
    from .compare import VariantReport

MOST_REASONS = 3                  # in one sentence


@dataclass(frozen=True, slots=True)
class Number:
    """A sum before and after; ``unit`` is packets or bytes."""

    title: str
    before: int
    now: int
    unit: str = "packets"


@dataclass(frozen=True, slots=True)
class Difference:
    """``lost`` packets arrived before and do not now, ``mended`` ones the other way round."""

    sentence: str
    lost: int
    mended: int
    numbers: tuple[Number, ...]


@dataclass(slots=True)
class _Turn:
    """Packets that turned from arriving to lost, or back: how many by word, and the first of them."""

    words: dict[str, int]
    example: tuple[str, int] | None = None        # traffic set, position

    @property
    def packets(self) -> int:
        return sum(self.words.values())

    def add(self, name: str, told: np.ndarray, turned: np.ndarray) -> None:
        """Count what these packets' outcomes are on the side where they are lost."""
        rows = np.flatnonzero(turned)
        if not len(rows):
            return
        self.example = self.example or (name, int(rows[0]))
        for code, count in zip(*np.unique(told[rows], return_counts=True), strict=True):
            word = word_of(outcome_of(int(code)))
            self.words[word] = self.words.get(word, 0) + int(count)

    def reasons(self) -> str:
        """``24 SOURCE_CHECK, 3 RPF and 2 others``, or the one word."""
        ordered = sorted(self.words.items(), key=lambda item: (-item[1], item[0]))
        if len(ordered) == 1:
            return ordered[0][0]
        shown = ", ".join(f"{count:,} {word}" for word, count in ordered[:MOST_REASONS])
        rest = sum(count for _, count in ordered[MOST_REASONS:])
        return f"{shown} and {rest:,} others" if rest else shown


def difference(before: VariantReport, now: VariantReport) -> Difference:
    """Between two reports of the same traffic, packet by packet."""
    lost, mended, otherwise = _Turn({}), _Turn({}), 0
    for name, old, new in _columns(before, now):
        arrived, arrives = successes(old), successes(new)
        lost.add(name, new, arrived & ~arrives)
        mended.add(name, old, ~arrived & arrives)
        otherwise += int(((old != new) & (arrived == arrives)).sum())
    numbers = tuple(_numbers(before, now))
    return Difference(_sentence(before, lost, mended, otherwise, numbers), lost.packets, mended.packets, numbers)


def _columns(before: VariantReport, now: VariantReport) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for name, old in before.run.codes.items():
        new = now.run.codes.get(name)
        if new is not None and not is_reply(name):
            shortest = min(len(old), len(new))
            yield name, old[:shortest], new[:shortest]


def _sentence(before: VariantReport, lost: _Turn, mended: _Turn, otherwise: int, numbers: tuple[Number, ...]) -> str:
    parts = []
    if lost.packets:
        parts.append(f"{_packets(lost, 'arrived')} now lost: {lost.reasons()}{_example(before, lost)}.")
    if mended.packets:
        was, arrives = ("was", "arrives") if mended.packets == 1 else ("were", "arrive")
        parts.append(
            f"{plural(mended.packets, 'packet')} that {was} lost {arrives} now (before: {mended.reasons()})"
            f"{_example(before, mended)}.")
    if parts:
        return " ".join(parts)
    moved = [f"{one.title.lower()} {one.before:,} → {one.now:,}{' B' if one.unit == 'bytes' else ''}" for one in numbers
             if one.before != one.now]
    if moved:
        return f"As many packets arrive as before; {', '.join(moved)}."
    if otherwise:
        fare = "fares" if otherwise == 1 else "fare"
        return f"As many packets arrive as before; {plural(otherwise, 'packet')} {fare} otherwise on the way."
    return "Nothing changes for this traffic: every packet fares as before."


def _packets(turn: _Turn, verb: str) -> str:
    return f"{plural(turn.packets, 'packet')} that {verb} {'is' if turn.packets == 1 else 'are'}"


def _example(report: VariantReport, turn: _Turn) -> str:
    assert turn.example is not None
    name, position = turn.example
    ((sender, receiver),) = pairs_at(report.network, name, [position])
    return f", for example {sender} → {receiver}" if turn.packets > 1 else f", {sender} → {receiver}"


def _numbers(before: VariantReport, now: VariantReport) -> Iterator[Number]:
    old, new = before.tally, now.tally
    yield Number("Arrived", old.success, new.success)
    yield Number("Lost", old.sent - old.success, new.sent - new.success)
    reasons = [*new.lost(), *(reason for reason in old.lost() if reason not in new.lost())]
    for reason in reasons:
        yield Number(reason.name, old.lost().get(reason, 0), new.lost().get(reason, 0))
    yield Number("Encapsulated", before.encapsulated, now.encapsulated)
    yield Number("Translated (SNAT)", _translated(old), _translated(new))
    yield Number("Outer headers", before.overhead, now.overhead, "bytes")
    yield Number("On the wire", old.total().wire, new.total().wire, "bytes")


def _translated(tally: Tally) -> int:
    return tally.total(lambda outcome: outcome.snat).packets
