"""The quiz: a healthy cluster, broken by faults that the seed draws, as a lab of one stage.

What is checked, what may break and what would be a bad cure is data (``content/quiz``); the symptoms come from the simulator.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..vocabulary.chance import draw, fnv1a_32
from .lab import CONTENT, Lab, document_of, drawn, edited, rendered, text_of, typed
from .schema import Edit, Fault, Hints, LabFile, QuizFile, Stage, StateHint, Wrong

FOLDER = CONTENT / "quiz"
LEVELS = {1: 1, 2: 1, 3: 3}                # level → faults; from level 2 on their reasons are not told
AUTHORS = 4                                # the level of riddles, which students write for each other
_GRADES = ("nudge", "where", "change")
_HINTS = Hints(
    nudge="Which pairs fail and which succeed? Say in one sentence what the failing ones have in common.",
    where="Trace a failing pair and a similar one that succeeds, and compare line by line until they differ.",
    change="Run calisim trace with a failing pair; its last lines name the reason, the object with its line, and a cure.")


def level_of(name: str) -> int:
    """The level of ``quiz-2``; 0 for what is no quiz."""
    found = re.fullmatch("quiz-([1-9])", name)
    return int(found[1]) if found and int(found[1]) in LEVELS else 0


def load(level: int, seed: int) -> Lab:
    """The quiz of a level with the faults that the seed draws."""
    file, values, whole = healthy(seed)
    faults = chosen(file, whole, level, seed)
    broken = whole
    for fault in faults:
        broken = edited(broken, fault.edits, fault.id)
    count = {1: "one thing", 2: "two things", 3: "three things"}[len(faults)]
    readme = rendered(text_of(FOLDER / "README.md"), {**values, "faults": count}, "README.md")
    name = f"quiz-{level}"
    states = [StateHint(when=fault.when, text=getattr(fault, grade)) for fault in faults for grade in _GRADES]
    made = stage(
        file, whole, broken, blind=level > 1,
        goal=f"{count.capitalize()} in scenario.yaml changed since yesterday. Make all of this hold again:",
        done=f"Healed. It was {', '.join(fault.id for fault in faults)}.", hints=_HINTS.model_copy(update={"states": states}))
    return Lab(name, seed, LabFile(
        lab=name, title=file.title, version=file.version, minutes=file.minutes * len(faults), editable=file.editable,
        stages=[made]), broken, readme)


def healthy(seed: int) -> tuple[QuizFile, dict[str, str], str]:
    """The quiz, the values that the seed draws, and the scenario before anything is broken."""
    file, values = _quiz(seed)
    return file, values, rendered(text_of(FOLDER / "start.yaml"), values, "start.yaml")


def chosen(quiz: QuizFile, healthy: str, level: int, seed: int) -> list[Fault]:
    """As many faults as the level has, that do not get in each other's way."""
    ranked = sorted(quiz.faults, key=lambda fault: draw(seed, level, fnv1a_32(fault.id)))
    found: list[Fault] = []
    text = healthy
    for fault in ranked:
        apart = all(fault.id not in other.excludes and other.id not in fault.excludes for other in found)
        if len(found) < LEVELS[level] and apart and all(text.count(edit.replace) == 1 for edit in fault.edits):
            found.append(fault)
            text = edited(text, fault.edits, fault.id)
    return found


def stage(quiz: QuizFile, healthy: str, broken: str, *, blind: bool, goal: str, done: str, hints: Hints) -> Stage:
    """From broken to healthy. Wrong cures, and every single fault that the quiz has, must not pass."""
    texts = [edited(healthy, edits, "overdone") for edits in quiz.overdone]
    texts += [edited(healthy, fault.edits, fault.id) for fault in quiz.faults]
    return Stage(
        id="heal", title="Heal the shop", checks=quiz.checks, hints=hints, blind=blind, goal=goal, done=done,
        solution=[Edit(replace=broken, by=healthy)], wrong=[Wrong(edits=[Edit(replace=healthy, by=text)]) for text in texts])


def _quiz(seed: int) -> tuple[QuizFile, dict[str, str]]:
    """The quiz with all values drawn, those of a fault from its own rows."""
    path = FOLDER / "quiz.yaml"
    written = document_of(text_of(path), str(path))
    content: dict[str, Any] = dict(written.value)
    values = drawn(content.pop("vary"), seed, "quiz")
    faults = []
    for fault in content.pop("faults"):
        rows = fault.get("vary", [{}])
        own = rows[draw(seed, fnv1a_32(fault["id"])) % len(rows)]
        faults.append(_filled({key: value for key, value in fault.items() if key != "vary"}, {**values, **own}, fault["id"]))
    return typed(QuizFile, written, {**_filled(content, values, str(path)), "faults": faults}), values


def _filled(value: Any, values: Mapping[str, str], where: str) -> Any:
    """A value with ``${name}`` filled in at every depth."""
    if isinstance(value, dict):
        return {key: _filled(inner, values, where) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, values, where) for inner in value]
    return rendered(value, values, where) if isinstance(value, str) else value
