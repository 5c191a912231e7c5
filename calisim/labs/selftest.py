"""Does a lab hold what it promises? Each stage fails as it is handed out and passes as it is solved, no check passes whatever
one does, every hint can be reached, every truth is among the choices.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff

from ..errors import CalisimError
from . import session
from .claims import same, shown, truth
from .hints import LOOK, hint
from .lab import Lab, edited
from .locks import locked
from .schema import Stage
from .world import SCENARIO, World


@dataclass(frozen=True, slots=True)
class Tested:
    """One lab with one seed; ``faults`` are sentences for its author."""

    lab: str
    seed: int
    stages: int
    checks: int
    hints: int
    faults: tuple[str, ...]


def selftest(lab: Lab) -> Tested:
    """Everything that is wrong with a lab."""
    faults: list[str] = []
    answers: dict[str, str] = {}
    for stage in lab.stages:
        try:
            faults += (f"stage {stage.id}: {fault}" for fault in _stage(lab, stage, answers))
        except CalisimError as error:
            faults.append(f"stage {stage.id}: {error}")
            break
    hints = sum(3 + len(stage.hints.states) for stage in lab.stages)
    checks = sum(len(stage.checks) + len(stage.questions) for stage in lab.stages)
    return Tested(lab.name, lab.seed, len(lab.stages), checks, hints, tuple(faults))


def solved(lab: Lab, stage: Stage) -> tuple[dict[str, str], list[str]]:
    """The right answers of a stage, and how its solution changes the scenario, as a diff."""
    world = World(lab.start, lab.solved[stage.id])
    before, after = lab.before(stage.id).splitlines(), lab.solved[stage.id].splitlines()
    diff = unified_diff(before, after, SCENARIO, SCENARIO, n=1, lineterm="")
    return {one.id: shown(truth(one, world)) for one in stage.questions}, list(diff)


def _stage(lab: Lab, stage: Stage, answers: dict[str, str]) -> Iterator[str]:
    """Faults of a stage; its right answers are added to ``answers``."""
    before = World(lab.start, lab.before(stage.id), dict(answers))
    solved = World(lab.start, lab.solved[stage.id], answers)
    for problem in locked(lab.start, solved.now, lab.file.editable):
        yield f"the solution changes a locked key: {problem}"
    for one in stage.questions:
        answers[one.id] = shown(truth(one, solved))
        if one.choices and not any(same(answers[one.id], value) for value in one.choices):
            yield f"the truth of {one.id}, {answers[one.id]}, is none of its choices"
    helped = [*stage.predict, *(one for one in stage.ask if one.truth.fact not in LOOK)]
    yield from (f"the last hint says nothing of {one.id}: give it help" for one in helped if not one.help)
    failing = [item for item in session.examine(stage, solved, {}).items if not item.passed]
    yield from (f"solved, but not passed: {item.says} – {item.instead}" for item in failing)
    states = [before]
    for number, wrong in enumerate(stage.wrong, 1):
        text = edited(solved.now, wrong.edits, f"wrong state {number}")
        given = {id: str(answer) for id, answer in wrong.answers.items()}
        states.append(World(lab.start, text, {**answers, **given}))
    yield from _failures(lab, stage, states)
    yield from _hints(lab, stage, states)


def _failures(lab: Lab, stage: Stage, states: list[World]) -> Iterator[str]:
    """Every state but the solved one fails, and every check and question fails in one of them at least."""
    fallible = set()
    for number, state in enumerate(states):
        what = f"wrong state {number}" if number else "what is handed out"
        report = session.examine(stage, state, {})
        if report.passed:
            yield f"{what} passes"
        if locked(lab.start, state.now, lab.file.editable):
            yield f"{what} changes a locked key"
        fallible |= {item.id for item in report.items if not item.passed}
    for number, check in enumerate(stage.checks, 1):
        if f"{stage.id}-{number}" not in fallible:
            yield f"no state fails the check {check.says!r}: add one under wrong"


def _hints(lab: Lab, stage: Stage, states: list[World]) -> Iterator[str]:
    """Asking on and on from some state, every hint comes up."""
    seen = set()
    for state in states:
        progress = session.begin(lab)[0].at(stage.id)
        while True:
            told = hint(lab, progress, state)
            if not told.new:
                break
            seen.add(told.text)
            progress = progress.hinted(told.text)
    for text in (*stage.hints.grades, *(one.text for one in stage.hints.states)):
        if text not in seen:
            yield f"no state reaches the hint {text!r}"
