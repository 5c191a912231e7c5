"""The register of things that can decide a packet's fate; ids are 1-based, 0 is nobody."""

from __future__ import annotations

from ..errors import Mark
from .intent import Object


class Objects:
    """Numbers objects in the order in which they are named."""

    def __init__(self) -> None:
        self.all: list[Object] = []

    def add(self, kind: str, name: str, mark: Mark) -> int:
        self.all.append(Object(kind, name, mark))
        return len(self.all)
