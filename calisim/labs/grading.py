"""Grades: every stage judged anew from the scenario with which it was passed and from the answers; nothing else is believed.

Weights: predictions 20 (for having been made), checks 60, answers 20; what a lab does not have, the others share. What a
stage's checks are worth is had for those that failed as the stage began, less those that held then and fail now. In an exam
each hint costs 10.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import CalisimError, UsageError
from . import progress as progress_file
from . import session
from .answers import ANSWERS
from .claims import judge_all
from .lab import Lab, text_of
from .progress import STATE, Progress
from .schema import Stage
from .session import Item
from .world import SCENARIO, World

WEIGHTS = {"predict": 20, "check": 60, "ask": 20}
ALL = 100
HINT_COST = 10
SUBMISSION = "submission.json"


@dataclass(frozen=True, slots=True)
class Part:
    """One stage of a student's work. ``claimed``: the submission says that it was passed; ``passed``: it was. ``points`` of
    the ``most`` that it is worth, hints not counted.
    """

    stage: Stage
    items: tuple[Item, ...]
    passed: bool
    claimed: bool
    attempts: int
    hints: int
    points: float = 0
    most: float = 0


@dataclass(frozen=True, slots=True)
class Grade:
    """One student's work at one lab. ``so_far``: what can be had for the stages passed and for what else is done by now.
    ``fault`` says why it could not be judged; then there is nothing else.
    """

    file: str
    student: str = ""
    lab: str = ""
    seed: int = 0
    exam: bool = False
    parts: tuple[Part, ...] = ()
    score: int = 0
    so_far: int = 0
    cost: int = 0
    fault: str = ""

    @property
    def items(self) -> list[Item]:
        return [item for part in self.parts for item in part.items]

    @property
    def passed(self) -> int:
        return sum(part.passed for part in self.parts)

    @property
    def claimed(self) -> int:
        return sum(part.claimed for part in self.parts)

    @property
    def hints(self) -> int:
        return sum(part.hints for part in self.parts)

    @property
    def points(self) -> str:
        """In words that make nobody count what is still to come as lost."""
        had = f"{self.score} of {self.so_far} points" + (f" (hints cost {self.cost})" if self.cost else "")
        return had if self.so_far == ALL else f"{had} so far, {ALL} in all" if self.so_far else f"{ALL} points to be had"


def grade(lab: Lab, progress: Progress, scenario: str, answers: str, file: str = "") -> Grade:
    """Judge all stages."""
    parts = [_part(lab, stage, progress, scenario, answers) for stage in lab.stages]
    worth = _worth([item.kind for part in parts for item in part.items])
    parts = [replace(part, points=_earned(lab, part, worth), most=sum(worth[item.kind] for item in part.items)) for part in parts]
    so_far = sum(part.most if part.claimed else part.points for part in parts)
    cost = HINT_COST * sum(part.hints for part in parts) if progress.exam else 0
    earned = round(sum(part.points for part in parts))
    return Grade(
        file, progress.student, lab.name, lab.seed, progress.exam, tuple(parts), max(0, earned - cost), round(so_far), cost)


def _part(lab: Lab, stage: Stage, progress: Progress, scenario: str, answers: str) -> Part:
    """A stage judged anew; one that was never reached fails in everything that it wants."""
    text = progress.checkpoints.get(stage.id) or (scenario if stage.id == progress.stage else "")
    if text:
        report = session.examine(stage, session.world(lab, text, answers), progress.predictions)
        items, passed = report.items, report.passed
    else:
        wanted = [(kind, one.id, one.text) for kind, group in (("predict", stage.predict), ("ask", stage.ask)) for one in group]
        wanted += [("check", f"{stage.id}-{number}", one.says) for number, one in enumerate(stage.checks, 1)]
        items, passed = tuple(Item(*one, False, "not reached") for one in wanted), False
    return Part(stage, items, passed, stage.id in progress.checkpoints, progress.attempts.get(stage.id, 0),
                len(progress.hints.get(stage.id, ())))


def _earned(lab: Lab, part: Part, worth: dict[str, float]) -> float:
    """What a stage's items are worth as they are."""
    said = sum(worth[item.kind] for item in part.items if item.passed and item.kind != "check")
    checks = [item.passed for item in part.items if item.kind == "check"]
    if not any(checks):
        return said
    begun = World(lab.start, lab.before(part.stage.id))
    held = [one.passed for one in judge_all(part.stage.checks, begun)]
    gained = sum(now and not before for now, before in zip(checks, held, strict=True))
    lost = sum(before and not now for now, before in zip(checks, held, strict=True))
    wanted = held.count(False)
    share = max(0.0, (gained - lost) / wanted) if wanted else 1 - lost / len(held)
    return said + worth["check"] * len(checks) * share


def _worth(kinds: list[str]) -> dict[str, float]:
    """Points for one prediction, check or answer of a lab that has these in all."""
    there = {kind: weight for kind, weight in WEIGHTS.items() if kind in kinds}
    return {kind: ALL * weight / sum(there.values()) / kinds.count(kind) for kind, weight in there.items()}


def submission(progress: Progress, scenario: str, answers: str) -> dict[str, Any]:
    """What a student hands in: the work as it is, no results."""
    return {"progress": progress_file.written(progress), "scenario": scenario, "answers": answers}


def grades(folder: Path, load: Callable[[str, int], Lab]) -> Iterator[Grade]:
    """Everything handed in below a folder: submissions, and lab folders as they are. ``load``: (source, seed) → Lab."""
    for path in sorted({*folder.rglob("*.json"), *folder.rglob(STATE)}):
        known = Grade(str(path.relative_to(folder)))
        try:
            parts = _handed_in(path)
            if parts is None:
                continue
            progress, scenario, answers = parts
            known = replace(known, student=progress.student, lab=progress.lab, seed=progress.seed, exam=progress.exam)
            lab = load(progress.lab, progress.seed)
            if lab.file.version != progress.version:
                raise UsageError(f"made with version {progress.version} of the lab, this is version {lab.file.version}")
            yield grade(lab, progress, scenario, answers, known.file)
        except CalisimError as error:
            yield replace(known, fault=str(error).splitlines()[0].partition("; `calisim")[0])
        except Exception as error:                # a fault of ours costs nobody else a grade
            yield replace(known, fault=f"calisim could not judge this: {type(error).__name__}: {error}")


def _handed_in(path: Path) -> tuple[Progress, str, str] | None:
    """Progress, scenario and answers of a submission or a lab folder; None for any other file."""
    if path.name == STATE:
        if (path.parent / SUBMISSION).exists():
            return None                           # what was handed in counts
        progress, scenario, answers = (text_of(path.parent / name, regular=True) for name in (STATE, SCENARIO, ANSWERS))
        return progress_file.understood(progress, path.name), scenario, answers
    try:
        content = json.loads(text_of(path, regular=True))
    except (ValueError, RecursionError):
        raise UsageError("is no JSON") from None
    if not isinstance(content, dict) or content.get("kind") != "LabSubmission":
        return None
    parts = [content.get(key) for key in ("progress", "scenario", "answers")]
    if not all(isinstance(part, str) for part in parts):
        raise UsageError("is no whole submission: progress, scenario and answers are expected")
    return progress_file.understood(str(parts[0]), path.name), str(parts[1]), str(parts[2])
