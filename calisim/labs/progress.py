"""How far a student has come: the value behind ``.calisim-lab.json``, sealed so that a casual edit is seen.

Everything is re-judged from the scenario and the answers when a teacher grades; the seal only keeps honest people honest.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ..errors import UsageError

STATE = ".calisim-lab.json"
_API = "calisim/v1"


@dataclass(frozen=True, slots=True)
class Progress:
    """``stage`` is worked on; "" when all are done. ``checkpoints``: the scenario's text with which each stage was passed."""

    lab: str
    version: int
    seed: int
    stage: str
    student: str = ""
    exam: bool = False
    attempts: dict[str, int] = field(default_factory=dict)
    hints: dict[str, list[str]] = field(default_factory=dict)
    predictions: dict[str, str] = field(default_factory=dict)
    checkpoints: dict[str, str] = field(default_factory=dict)

    def at(self, stage: str) -> Progress:
        """On to another stage."""
        return replace(self, stage=stage)

    def tried(self) -> Progress:
        """One more check of the stage."""
        return replace(self, attempts={**self.attempts, self.stage: self.attempts.get(self.stage, 0) + 1})

    def hinted(self, text: str) -> Progress:
        return replace(self, hints={**self.hints, self.stage: [*self.hints.get(self.stage, []), text]})

    def passed(self, scenario: str) -> Progress:
        return replace(self, checkpoints={**self.checkpoints, self.stage: scenario})

    def predicted(self, answers: dict[str, str]) -> Progress:
        """Predictions count as they were first made."""
        return replace(self, predictions={**answers, **self.predictions})


def written(progress: Progress) -> str:
    """The state file's text."""
    content = {"apiVersion": _API, "kind": "LabProgress", **asdict(progress)}
    return json.dumps({**content, "seal": _seal(content)}, indent=1, ensure_ascii=False) + "\n"


def understood(text: str, name: str) -> Progress:
    """The progress of a state file; UsageError says what is wrong with it and how to go on."""
    cure = f"`calisim lab restore --progress` keeps it as {STATE}.damaged and begins to count anew; scenario and answers stay"
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError(f"{name} is damaged (no JSON); {cure}") from None
    if not isinstance(content, dict) or content.get("kind") != "LabProgress" or content.pop("seal", None) != _seal(content):
        raise UsageError(f"{name} is damaged or was edited (its seal does not fit); {cure}")
    fields = {key: value for key, value in content.items() if key not in ("apiVersion", "kind")}
    try:
        return _PROGRESS.validate_python(fields)
    except ValidationError:
        raise UsageError(f"{name} comes from another version of calisim; {cure}") from None


_PROGRESS = TypeAdapter(Progress)


def _seal(content: dict[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(f"calisim lab {canonical}".encode()).hexdigest()[:16]
