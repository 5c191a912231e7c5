"""The quiz' faults: each can be drawn, each breaks something, all are healed."""

from __future__ import annotations

import pytest

from calisim.labs import quiz
from calisim.labs.claims import judge, judge_all
from calisim.labs.lab import edited
from calisim.labs.locks import locked
from calisim.labs.schema import Fault
from calisim.labs.selftest import selftest
from calisim.labs.world import World


@pytest.mark.parametrize(("level", "seed"), [(1, 1), (2, 2), (3, 3)])
def test_broken_fails_healed_passes_and_every_hint_is_reached(level: int, seed: int):
    assert selftest(quiz.load(level, seed)).faults == ()


def test_every_fault_is_drawn_by_some_seed():
    drawn, known = set(), set()
    for seed in range(1, 60):
        file = quiz.healthy(seed)[0]
        known |= {fault.id for fault in file.faults}
        drawn |= set(quiz.load(3, seed).file.stages[0].done.removeprefix("Healed. It was ").rstrip(".").split(", "))
    assert drawn == known and len(known) >= 14


FILE, _, HEALTHY = quiz.healthy(1)


@pytest.mark.parametrize("fault", FILE.faults, ids=lambda fault: fault.id)
def test_a_fault_breaks_something_and_its_hints_know_it(fault: Fault):
    broken = World(HEALTHY, edited(HEALTHY, fault.edits, fault.id))
    assert judge(fault.when, broken).passed
    assert not judge(fault.when, World(HEALTHY, HEALTHY)).passed
    assert not all(one.passed for one in judge_all(FILE.checks, broken))
    assert locked(HEALTHY, broken.now, FILE.editable) == []


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_level_has_its_number_of_faults(level: int):
    for seed in range(1, 20):
        faults = quiz.load(level, seed).file.stages[0].hints.states
        assert len(faults) == 3 * quiz.LEVELS[level]


def test_what_is_no_quiz_is_no_level():
    assert [quiz.level_of(name) for name in ("quiz-1", "quiz-4", "quiz", "1", "quiz-11")] == [1, 0, 0, 0, 0]
