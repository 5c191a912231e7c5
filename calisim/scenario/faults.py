"""The scenario file against its shape: what pydantic finds, said in the words of somebody who writes scenarios.

Takes the raw value with its places, gives the typed file (each section knows its place) and all problems.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic import ValidationError

from ..errors import Mark, Problem
from .documents import Path
from .reader import Yaml, dotted
from .schema import Place, ScenarioFile, Section, section_at

LineOf = Callable[[Mark], str]

_HEADER = {"apiVersion": "calisim/v1", "kind": "Scenario", "metadata": {"name": "nameless"}}
MAX_PROBLEMS = 100                # of one kind that are told at once; nobody reads more
_ROUNDS = 8                       # of leaving out: a fault climbs at most as many levels as the schema has
_NAMING = ("name", "title", "namespace", "count", "perNode")     # keys that make the names of an item of spec
_EXPECTED = {
    "string_type": "text", "int_type": "a whole number", "int_from_float": "a whole number", "bool_type": "true or false",
    "list_type": "a list", "dict_type": "a mapping", "model_type": "a mapping", "model_attributes_type": "a mapping",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "too small", "the smallest value allowed is"),
    "less_than_equal": ("le", "too large", "the largest value allowed is"),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """The typed file. With problems, faulty values are left out of it; ``unsure`` are the keys of spec that
    lost the name of something.

    ``file`` is None where too little was left to make sense of.
    """

    file: ScenarioFile | None
    problems: tuple[Problem, ...] = ()
    unsure: frozenset[str] = frozenset()


def read_file(written: Yaml, line_of: LineOf) -> Reading:
    """A raw value against the schema."""
    file, faults = _attempt(written.value)
    if file is not None:
        place(file, (), written, {})
        return Reading(file)
    grouped: dict[Path, list[Mapping[str, Any]]] = {}
    for fault in faults:
        grouped.setdefault(_path(fault, written.value), []).append(fault)
    problems = tuple(_problem(path, group, written, line_of) for path, group in islice(grouped.items(), MAX_PROBLEMS))
    cuts = {path[:-1] if group[0]["type"] == "missing" else path for path, group in grouped.items()}
    file = _what_is_left(written, cuts)
    nameless = (cut for cut in cuts if len(cut) > 1 and (len(cut) <= 3 or cut[3] in _NAMING))
    return Reading(file, problems, frozenset(str(cut[1]) for cut in nameless))


def _what_is_left(written: Yaml, cuts: set[Path]) -> ScenarioFile | None:
    """The file without its faulty values; what needs one of them is cut, too, until the rest is well-formed."""
    for _ in range(_ROUNDS):
        kept: dict[Path, list[int]] = {}
        value = _without(written.value, cuts, (), kept)
        if not isinstance(value, dict):
            return None
        file, faults = _attempt({**value, **_HEADER})
        if file is not None:
            place(file, (), written, kept)
            return file
        for fault in faults:
            path = _original(_path(fault, value), kept)
            cuts.add(path[:-1] if fault["type"] == "missing" else path)
    return None


def _attempt(value: Any) -> tuple[ScenarioFile | None, list[Any]]:
    try:
        return ScenarioFile.model_validate(value, by_alias=True, by_name=False), []
    except ValidationError as error:
        return None, list(error.errors(include_url=False))


def _without(value: Any, cuts: Collection[Path], path: Path, kept: dict[Path, list[int]]) -> Any:
    """A copy without the values at some paths; ``kept`` gets the original positions of what is left of each list."""
    if isinstance(value, dict):
        return {key: _without(inner, cuts, (*path, key), kept) for key, inner in value.items() if (*path, key) not in cuts}
    if isinstance(value, list):
        kept[path] = [position for position in range(len(value)) if (*path, position) not in cuts]
        return [_without(value[position], cuts, (*path, position), kept) for position in kept[path]]
    return value


def _original(path: Path, kept: Mapping[Path, list[int]]) -> Path:
    """A path in what is left → the path in the file."""
    where: Path = ()
    for element in path:
        where = (*where, kept[where][element] if isinstance(element, int) and where in kept else element)
    return where


def problem(section: Section, field: str, message: str, hint: str = "", *inner: str | int) -> Problem:
    """A problem of one value of a section."""
    return Problem(section.mark_of(field, *inner), dotted(section.path_of(field, *inner)), message, hint)


def nearest(name: str, known: Iterable[str]) -> str:
    """Which of the known names was meant, or what there is."""
    listed = [str(one) for one in islice(known, 1000)]
    near = difflib.get_close_matches(name, listed, 1)
    return f"did you mean {near[0]}?" if near else f"there is: {', '.join(listed[:12])}" if listed else "there is none"


def place(section: Section, path: Path, written: Yaml, kept: Mapping[Path, list[int]]) -> None:
    """Tell a section and all sections inside where they were written."""
    section.put(Place(written.keys.get(path) or written.mark_of(path), path, written.marks))
    for name, key in type(section).nesting():
        if name in section.model_fields_set:
            for where, inner in _sections(getattr(section, name), (*path, key), kept):
                place(inner, where, written, kept)


def _sections(value: Any, path: Path, kept: Mapping[Path, list[int]]) -> Iterator[tuple[Path, Section]]:
    if isinstance(value, Section):
        yield path, value
    elif isinstance(value, list):
        positions = kept.get(path)
        for position, item in enumerate(value):
            if isinstance(item, Section):
                yield (*path, positions[position] if positions else position), item
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, Section):
                yield (*path, key), item


def _path(fault: Mapping[str, Any], value: Any) -> Path:
    """pydantic's location without the names of union members, which are no part of the file."""
    path: list[str | int] = []
    for position, element in enumerate(fault["loc"]):
        inside = isinstance(value, dict) and element in value or isinstance(value, list) and isinstance(element, int)
        if inside:
            value = value[element]
            path.append(element)
        elif fault["type"] == "missing" and position == len(fault["loc"]) - 1:
            path.append(element)
    return tuple(path)


def _problem(path: Path, faults: list[Mapping[str, Any]], written: Yaml, line_of: LineOf) -> Problem:
    fault = faults[0]
    kind, given = fault["type"], fault["input"]
    mark = written.mark_of(path)
    if kind == "missing":
        mark = written.keys.get(path[:-1]) or mark
        return Problem(mark, dotted(path), "this key is missing", f"add {path[-1]}: …{_meaning(path)}")
    if kind == "extra_forbidden":
        return Problem(written.keys.get(path, mark), dotted(path), "this key is unknown", _nearest_key(path))
    if kind == "value_error":
        return Problem(mark, dotted(path), *fact_and_cure(str(fault["ctx"]["error"])))
    if kind == "literal_error":
        return _not_among(mark, path, given, fault["ctx"]["expected"], line_of)
    if kind in _BOUNDS:
        bound, fact, cure = _BOUNDS[kind]
        return Problem(mark, dotted(path), f"{given} is {fact}", f"{cure} {fault['ctx'][bound]:,}")
    if kind == "too_short":
        return Problem(mark, dotted(path), "this is empty", f"at least {fault['ctx']['min_length']} is needed")
    expected = " or ".join(dict.fromkeys(_EXPECTED.get(one["type"], one["msg"]) for one in faults))
    message = f"{expected} is expected, not {_shown(given)}"
    return Problem(mark, dotted(path), message, _cure(given, expected, line_of(mark), mark))


def fact_and_cure(sentence: str) -> tuple[str, str]:
    """Quantities say what is wrong, then after a colon or semicolon what to do about it."""
    found = re.fullmatch(r"(.*?)[:;] (.*)", sentence)
    return (found[1], found[2]) if found else (sentence, "")


def _not_among(mark: Mark, path: Path, given: Any, expected: str, line_of: LineOf) -> Problem:
    choices = re.findall(r"'([^']*)'", expected)
    near = difflib.get_close_matches(str(given).lower(), choices, 1)
    listed = choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"
    hint = f"did you mean {near[0]}?" if near else f"write {listed}"
    if isinstance(given, bool):
        hint = _cure(given, "text", line_of(mark), mark)
    return Problem(mark, dotted(path), f"{_shown(given)} is not {listed}", hint)


def _nearest_key(path: Path) -> str:
    section = section_at(path[:-1])
    known = section.keys() if section else ()
    near = difflib.get_close_matches(str(path[-1]), known, 1, 0.6)
    if not near:
        folded = re.sub(r"[-_]", "", str(path[-1])).lower()
        near = [key for key in known if key.lower() == folded]
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"


def _meaning(path: Path) -> str:
    """What the schema says of a key, as a comment."""
    section = section_at(path[:-1])
    for name, field in section.model_fields.items() if section else ():
        if (field.alias or name) == path[-1] and field.description:
            return f" # {field.description}"
    return ""


def _cure(given: Any, expected: str, line: str, mark: Mark) -> str:
    word = re.match(r"[^\s,\[\]{}#\"']+", line[mark.column - 1:])
    token = word[0] if word else str(given)
    if isinstance(given, bool) and "text" in expected:
        return f'YAML reads {token} as {str(given).lower()}; write "{token}" in quotes'
    if isinstance(given, (int, float)) and "text" in expected:
        return f'write "{token}" in quotes'
    if isinstance(given, str) and expected == "a whole number" and given.isdecimal():
        return "write it without quotes"
    if expected == "a list" and isinstance(given, (str, int)):
        return f"write [{token}]"
    return f"write {expected}"


def _shown(given: Any) -> str:
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, dict):
        return "a mapping"
    if isinstance(given, list):
        return "a list"
    text = repr(given) if isinstance(given, str) else str(given)
    return text if len(text) <= 60 else f"{text[:57]}…"
