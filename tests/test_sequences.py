"""Sequences that are not written out behave as those that are."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
import pytest

from calisim.fib.columns import column
from calisim.sequences import Computed, Joined, Turns, runs


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


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 7])
@pytest.mark.parametrize("step", [0, 1, 5])
def test_turns_are_the_first_numbers_again_and_again(size: int, step: int) -> None:
    turns = Turns(array("q", [7, 3, 9]), size, step)
    wanted = [7, 3, 9, 7 + step, 3 + step, 9 + step, 7 + 2 * step][:size]
    assert list(turns) == [turns[position] for position in range(len(turns))] == wanted
    assert turns == Turns(array("q", wanted or [0]), size) == wanted and turns != [*wanted, 1]
    assert np.array_equal(column(Joined([turns, wanted])), wanted * 2)


def test_runs_are_what_a_sequence_is_joined_from() -> None:
    assert [*runs(Joined([(1, 2), [], [3]]))] == [(1, 2), [3]]
    assert [*runs((1, 2))] == [(1, 2)] and not runs(()) and not runs(Joined([[]]))
