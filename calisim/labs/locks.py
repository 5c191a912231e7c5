"""Locked keys: which values of the handed-out scenario were changed although the lab does not let them.

A path is dotted, items of lists by their name, documents by ``Kind/name``: ``nodes.*.sourceDestCheck``,
``IPPool/pods.spec.ipipMode``; what a step may set is written as it is there, ``steps.*.set.nodes.*.sourceDestCheck``. What lies
beneath an editable path is editable, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from ..errors import Mark, Problem, ScenarioError
from ..scenario.reader import Yaml, decode, parse
from .world import SCENARIO

Path = tuple[str, ...]
_MOST = 20                         # problems told at once


def locked(start: str, now: str, editable: list[str], anew: str = "calisim lab restore") -> list[Problem]:
    """A problem for every locked value that differs; ``anew``: the command that brings all back. Raises where it is no YAML."""
    before, after = _leaves(start), _leaves(now)
    problems = []
    for path in dict.fromkeys([*after, *before]):
        old, new = before.get(path), after.get(path)
        if (old and old[0]) == (new and new[0]) or any(_covers(pattern.split("."), path) for pattern in editable):
            continue
        mark = new[1] if new else Mark(SCENARIO)
        written = f"is {new[0]!r}" if new else "is gone"
        was = f"it was {old[0]!r}: put it back" if old else "it was not there: take it away"
        cure = f"{was}, or run {anew}; what may be changed here: {', '.join(editable) or 'nothing'}"
        problems.append(Problem(mark, ".".join(path), f"{written}, but this lab has locked it", cure))
    return problems[:_MOST]


def _covers(pattern: list[str], path: Path) -> bool:
    """Whether a path lies at or beneath a pattern; keys that are paths themselves count as what they say."""
    return any(
        len(parts) >= len(pattern) and all(map(fnmatchcase, parts, pattern)) for parts in (path, ".".join(path).split(".")))


def _leaves(text: str) -> dict[Path, tuple[Any, Mark]]:
    """Every plain value with its path and place."""
    content, problems = decode(text.encode("utf-8", "surrogateescape"), SCENARIO)
    documents, faults = parse(content, SCENARIO) if not problems else ([], problems)
    if faults:
        raise ScenarioError(faults)
    found: dict[Path, tuple[Any, Mark]] = {}
    for number, document in enumerate(documents):
        for path, place, value in _walk(document.value, (), ()):
            found[(*_prefix(document, number), *path)] = value, document.mark_of(place)
    return found


def _prefix(document: Yaml, number: int) -> Path:
    value = document.value
    if number == 0 or not isinstance(value, dict):
        return ()
    metadata = value.get("metadata")
    name = metadata.get("name", "") if isinstance(metadata, dict) else ""
    return (f"{value.get('kind', number)}/{name}",)


def _walk(value: Any, path: Path, place: tuple[str | int, ...]) -> Iterator[tuple[Path, tuple[str | int, ...], Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            above = path == () and key == "spec" and "metadata" in value and str(value.get("kind")) == "Scenario"
            yield from _walk(inner, path if above else (*path, str(key)), (*place, key))
    elif isinstance(value, list) and value:
        for position, inner in enumerate(value):
            name = inner.get("name", position) if isinstance(inner, dict) else position
            yield from _walk(inner, (*path, str(name)), (*place, position))
    else:
        yield path, place, value
