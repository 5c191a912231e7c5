"""What was switched, and what it was before: undo and redo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MOST = 500


@dataclass(frozen=True, slots=True)
class Position:
    """The variant that the changes start from, and the changes by toggle."""

    base: str
    choices: Mapping[str, str | bool] = field(default_factory=dict)


@dataclass(slots=True)
class History:
    """Positions before and after the one that holds now."""

    now: Position
    past: list[Position] = field(default_factory=list)
    future: list[Position] = field(default_factory=list)

    def go(self, position: Position) -> None:
        """Somewhere new; what was undone is forgotten."""
        if position != self.now:
            self.past = [*self.past[-MOST:], self.now]
            self.now, self.future = position, []

    def undo(self) -> None:
        if self.past:
            self.future.append(self.now)
            self.now = self.past.pop()

    def redo(self) -> None:
        if self.future:
            self.past.append(self.now)
            self.now = self.future.pop()
