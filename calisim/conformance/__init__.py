"""Judges from outside: cases of Calico's own tests and of its source, run through the code that users run.

A folder holds one ``<topic>.json`` a topic: ``{"cases": [{"id": …, …}]}``. Every module of this package exports
``TOPICS``: topic → judge. A judge takes one case and returns None where calisim agrees, else the sentence that says how
it differs. A case that cannot run is a failure; a topic without a judge is listed as not covered, case by case.
"""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .files import read_json

Judge = Callable[[dict[str, Any]], str | None]

MAX_BYTES = 64 << 20
DEFAULT_DIRECTORY = "../shared/conformance"
NOT_COVERED = "not covered: no judge for this topic"


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case: ``ok``, or the ``message`` that says why not. ``covered`` is False where nobody could judge it."""

    topic: str
    id: str
    ok: bool
    message: str = ""
    covered: bool = True


def data_directory(group: str) -> Path:
    """Where the cases of a group lie: below the environment's CALISIM_CONFORMANCE, else beside the project."""
    return Path(os.environ.get("CALISIM_CONFORMANCE") or DEFAULT_DIRECTORY) / group


@cache
def judges() -> Mapping[str, Judge]:
    """Every topic that some module of this package can judge."""
    found: dict[str, Judge] = {}
    for module in pkgutil.iter_modules(__path__):
        for topic, judge in getattr(import_module(f"{__name__}.{module.name}"), "TOPICS", {}).items():
            assert topic not in found, f"two judges for {topic}"
            found[topic] = judge
    return found


def run(directory: str | os.PathLike[str], topics: Iterable[str] | None = None) -> list[CaseResult]:
    """All cases of the folder's topics (or of those named) in the order of files and cases."""
    results = []
    for path in _files(Path(directory), topics):
        judge = judges().get(path.stem)
        results += [_judged(path.stem, judge, case) for case in read(path)]
    return results


def read(path: Path) -> list[dict[str, Any]]:
    """The cases of one file; UsageError where it is not such a file."""
    try:
        content = read_json(path, MAX_BYTES)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be used: {error}") from error
    cases = content.get("cases") if isinstance(content, dict) else None
    if not isinstance(cases, list):
        raise UsageError(f"{path} holds no conformance cases: it needs a list named cases")
    for position, case in enumerate(cases):
        if not isinstance(case, dict) or not isinstance(case.get("id"), str):
            raise UsageError(f"{path}: cases[{position}] is not a mapping with an id")
    return cases


def _files(directory: Path, topics: Iterable[str] | None) -> list[Path]:
    if not directory.is_dir():
        raise UsageError(f"{directory} is no folder; conformance data is a folder of <topic>.json files")
    if topics is None:
        found = sorted(directory.glob("*.json"))
        if not found:
            raise UsageError(f"{directory} holds no <topic>.json")
        return found
    wanted = [directory / f"{topic}.json" for topic in topics]
    for path in wanted:
        if path.parent != directory or not path.is_file():
            raise UsageError(f"{directory} has no topic {path.stem}; it has "
                             f"{', '.join(sorted(file.stem for file in directory.glob('*.json'))) or 'none'}")
    return wanted


def _judged(topic: str, judge: Judge | None, case: dict[str, Any]) -> CaseResult:
    if judge is None:
        return CaseResult(topic, case["id"], False, NOT_COVERED, covered=False)
    try:
        difference = judge(case)
    except Exception as error:       # a case that cannot run is a failure of calisim, told as such
        difference = f"the case cannot run: {type(error).__name__}: {error}"
    return CaseResult(topic, case["id"], difference is None, difference or "")
