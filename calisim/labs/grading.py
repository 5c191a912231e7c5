"""Grades: every stage judged anew from the scenario with which it was passed and from the answers; nothing else is believed.

Weights: predictions 20 (for having been made), checks 60, answers 20; what a lab does not have, the others share. In an exam
each hint costs 10.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CalisimError, UsageError
from . import progress as progress_file
from . import session
from .answers import ANSWERS
from .lab import Lab, text_of
from .progress import STATE, Progress
from .session import Item
from .world import SCENARIO

WEIGHTS = {"predict": 20, "check": 60, "ask": 20}
ALL = 100
HINT_COST = 10
SUBMISSION = "submission.json"


@dataclass(frozen=True, slots=True)
class Grade:
    """One student's work at one lab. ``so_far``: what can be had for the stages passed and for what else is done by now.
    ``fault`` says why it could not be judged; then there is nothing else.
    """

    file: str
    student: str = ""
    lab: str = ""
    seed: int = 0
    items: tuple[Item, ...] = ()
    stages: int = 0
    passed: int = 0
    hints: int = 0
    score: int = 0
    so_far: int = 0
    cost: int = 0
    fault: str = ""

    @property
    def points(self) -> str:
        """In words that make nobody count what is still to come as lost."""
        had = f"{self.score} of {self.so_far} points" + (f" (hints cost {self.cost})" if self.cost else "")
        return had if self.so_far == ALL else f"{had} so far, {ALL} in all" if self.so_far else f"{ALL} points to be had"


def grade(lab: Lab, progress: Progress, scenario: str, answers: str, file: str = "") -> Grade:
    """Judge all stages. One that was never reached fails in everything that it wants."""
    items: list[Item] = []
    had: list[bool] = []                          # item by item: whether its points could be had by now
    passed = 0
    for stage in lab.stages:
        text = progress.checkpoints.get(stage.id) or (scenario if stage.id == progress.stage else "")
        if text:
            report = session.examine(stage, session.world(lab, text, answers), progress.predictions)
            passed += report.passed
            found = list(report.items)
        else:
            found = [Item("predict", one.id, one.text, False, "not reached") for one in stage.predict]
            found += [Item("ask", one.id, one.text, False, "not reached") for one in stage.ask]
            found += [Item("check", f"{stage.id}-{number}", one.says, False, "not reached")
                      for number, one in enumerate(stage.checks, 1)]
        had += [item.passed or stage.id in progress.checkpoints for item in found]
        items += found
    hints = sum(map(len, progress.hints.values()))
    cost = HINT_COST * hints if progress.exam else 0
    earned = score(items, [item.passed for item in items])
    return Grade(
        file, progress.student, lab.name, lab.seed, tuple(items), len(lab.stages), passed, hints, max(0, earned - cost),
        score(items, had), cost)


def score(items: list[Item], counted: list[bool]) -> int:
    """What the counted ones of all items are worth: 0 to 100, rounded."""
    total = weights = 0.0
    for kind, weight in WEIGHTS.items():
        mine = [here for item, here in zip(items, counted, strict=True) if item.kind == kind]
        if mine:
            weights += weight
            total += weight * sum(mine) / len(mine)
    return round(ALL * total / weights) if weights else 0


def submission(progress: Progress, scenario: str, answers: str) -> dict[str, Any]:
    """What a student hands in: the work as it is, no results."""
    return {"progress": progress_file.written(progress), "scenario": scenario, "answers": answers}


def grades(folder: Path, load: Callable[[str, int], Lab]) -> Iterator[Grade]:
    """Everything handed in below a folder: submissions, and lab folders as they are. ``load``: (source, seed) → Lab."""
    found = sorted({*folder.rglob("*.json"), *folder.rglob(STATE)})
    for path in found:
        name = str(path.relative_to(folder))
        try:
            parts = _handed_in(path)
            if parts is None:
                continue
            progress, scenario, answers = parts
            lab = load(progress.lab, progress.seed)
            if lab.file.version != progress.version:
                raise UsageError(f"made with version {progress.version} of the lab, this is version {lab.file.version}")
            yield grade(lab, progress, scenario, answers, name)
        except CalisimError as error:
            yield Grade(name, fault=str(error).splitlines()[0])


def _handed_in(path: Path) -> tuple[Progress, str, str] | None:
    """Progress, scenario and answers of a submission or a lab folder; None for any other file."""
    if path.name == STATE:
        if (path.parent / SUBMISSION).exists():
            return None                           # what was handed in counts
        texts = [text_of(path.parent / name) for name in (SCENARIO, ANSWERS)]
        return progress_file.understood(text_of(path), path.name), texts[0], texts[1]
    try:
        content = json.loads(text_of(path))
    except (ValueError, RecursionError):
        raise UsageError("is no JSON") from None
    if not isinstance(content, dict) or content.get("kind") != "LabSubmission":
        return None
    parts = [content.get(key) for key in ("progress", "scenario", "answers")]
    if not all(isinstance(part, str) for part in parts):
        raise UsageError("is no whole submission: progress, scenario and answers are expected")
    return progress_file.understood(str(parts[0]), path.name), str(parts[1]), str(parts[2])
