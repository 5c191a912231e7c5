"""The quiz' faults: each can be drawn, each breaks something, all are healed."""

from __future__ import annotations

import pytest

from calisim.labs import quiz
from calisim.labs.selftest import selftest


@pytest.mark.parametrize(("level", "seed"), [(1, 1), (2, 2), (3, 3)])
def test_broken_fails_healed_passes_and_every_hint_is_reached(level: int, seed: int):
    assert selftest(quiz.load(level, seed)).faults == ()


def test_every_fault_is_drawn_by_some_seed():
    drawn, known = set(), set()
    for seed in range(1, 60):
        file, _ = quiz._quiz(seed)
        known |= {fault.id for fault in file.faults}
        drawn |= set(quiz.load(3, seed).file.stages[0].done.removeprefix("Healed. It was ").rstrip(".").split(", "))
    assert drawn == known and len(known) >= 14


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_level_has_its_number_of_faults(level: int):
    for seed in range(1, 20):
        faults = quiz.load(level, seed).file.stages[0].hints.states
        assert len(faults) == 3 * quiz.LEVELS[level]


def test_what_is_no_quiz_is_no_level():
    assert [quiz.level_of(name) for name in ("quiz-1", "quiz-4", "quiz", "1", "quiz-11")] == [1, 0, 0, 0, 0]
