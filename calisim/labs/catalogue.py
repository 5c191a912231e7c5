"""All that can be started: labs of the package, folders of one's own, quizzes."""

from __future__ import annotations

from . import lab, quiz
from .lab import Lab


def load(name: str, seed: int) -> Lab:
    """A lab or a quiz with the values that the seed draws."""
    level = quiz.level_of(name)
    return quiz.load(level, seed) if level else lab.load(name, seed)


def names() -> list[str]:
    return [*lab.folders(), *(f"quiz-{level}" for level in quiz.LEVELS)]
