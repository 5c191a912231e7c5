"""Sequences that are not written out behave as those that are."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from calisim.sequences import Computed, Joined


@dataclass(frozen=True)
class Squares(Computed[int]):
    size: int

    def __len__(self) -> int:
        return self.size

    def at(self, position: int) -> int:
        return position * position


def test_a_computed_sequence_is_one() -> None:
    squares = Squares(4)
    assert list(squares) == [0, 1, 4, 9] and squares[-1] == 9 and squares[1:3] == (1, 4) and 4 in squares
    with pytest.raises(IndexError):
        squares[4]


def test_joined_sequences_are_one_after_the_other() -> None:
    joined = Joined([[], Squares(2), (), (7, 8), [9]])
    assert list(joined) == [joined[position] for position in range(len(joined))] == [0, 1, 7, 8, 9]
    assert joined[-2:] == (8, 9) and joined.parts == (Squares(2), (7, 8), [9])
    assert list(Joined([])) == [] and len(Joined([[]])) == 0
    with pytest.raises(IndexError):
        joined[5]


def test_sequences_of_equal_items_are_equal_however_they_are_cut() -> None:
    joined = Joined([Squares(2), (4, 9)])
    assert joined == Joined([Squares(4)]) and joined == Joined([(0, 1), [4, 9]]) and joined == (0, 1, 4, 9)
    assert joined != Joined([Squares(2), (4, 8)]) and joined != Joined([Squares(3)]) and joined != 4
