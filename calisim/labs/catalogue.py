"""All that can be started: labs of the package, folders of one's own, quizzes, riddles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import UsageError
from . import lab, quiz, riddle
from .lab import Lab


def load(name: str, seed: int) -> Lab:
    """A lab or a quiz with the values that the seed draws; a riddle has its author's."""
    if name.endswith(".json"):
        return riddle.load(Path(name))
    level = quiz.level_of(name)
    return quiz.load(level, seed) if level else lab.load(name, seed)


def opened(source: str, seed: int, folder: Path) -> Lab:
    """The lab that is worked on in a folder; a riddle lies in it."""
    if not riddle.is_riddle(source):
        return load(source, seed)
    if not (folder / riddle.RIDDLE).exists():
        raise UsageError(f"{folder / riddle.RIDDLE} is gone: copy the riddle that was begun here to this place again")
    found = riddle.load(folder / riddle.RIDDLE)
    if found.source != source:
        raise UsageError(f"{folder / riddle.RIDDLE} is another riddle than the one that was begun here: put the first one back")
    return found


def names() -> list[str]:
    return [*lab.folders(), *(f"quiz-{level}" for level in quiz.LEVELS)]


def among(own: Sequence[str]) -> Callable[[str, int], Lab]:
    """Loads calisim's labs, and those of the given folders and riddles wherever they lay when they were worked on: what a
    submission names is never read from its own place.
    """
    mine = {load(one, 1).source if one.endswith(".json") else Path(one).resolve().name: one for one in own}

    def loaded(source: str, seed: int) -> Lab:
        name = Path(source).name
        if name in mine:
            return load(mine[name], seed)
        if name in names():
            return load(name, seed)
        raise UsageError(f"{name} is no lab of calisim's; name its folder or its file with --lab")

    return loaded
