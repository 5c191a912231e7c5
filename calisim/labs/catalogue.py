"""All that can be started: labs of the package, folders of one's own, quizzes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import UsageError
from . import lab, quiz
from .lab import Lab


def load(name: str, seed: int) -> Lab:
    """A lab or a quiz with the values that the seed draws."""
    level = quiz.level_of(name)
    return quiz.load(level, seed) if level else lab.load(name, seed)


def names() -> list[str]:
    return [*lab.folders(), *(f"quiz-{level}" for level in quiz.LEVELS)]


def among(own: Sequence[str]) -> Callable[[str, int], Lab]:
    """Loads calisim's labs, and those of the given folders wherever they lay when they were worked on: what a submission
    names is never read from its own place.
    """
    mine = {Path(folder).resolve().name: folder for folder in own}

    def loaded(source: str, seed: int) -> Lab:
        name = Path(source).name
        if name in mine:
            return load(mine[name], seed)
        if name in names():
            return load(name, seed)
        raise UsageError(f"{name} is no lab of calisim's; name its folder with --lab")

    return loaded
