"""The scenario file against its shape: what pydantic finds, said in the words of somebody who writes scenarios.

Takes the raw value with its places, gives the typed file (each section knows its place) and all problems.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from ..errors import Mark, Problem
from .documents import Path
from .reader import Yaml, dotted
from .schema import ScenarioFile, Section, section_at

LineOf = Callable[[Mark], str]

_EXPECTED = {
    "string_type": "text", "int_type": "a whole number", "int_from_float": "a whole number", "bool_type": "true or false",
    "list_type": "a list", "dict_type": "a mapping", "model_type": "a mapping", "model_attributes_type": "a mapping",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "less than {}, the smallest value allowed"),
    "less_than_equal": ("le", "more than {}, the largest value allowed"),
}


def validate(written: Yaml, line_of: LineOf) -> tuple[ScenarioFile | None, list[Problem], list[Path]]:
    """The typed file, or None with the problems and the paths of the faulty values."""
    try:
        file = ScenarioFile.model_validate(written.value, by_alias=True, by_name=False)
    except ValidationError as error:
        faults: dict[Path, list[Mapping[str, Any]]] = {}
        for fault in error.errors(include_url=False):
            faults.setdefault(_path(fault, written.value), []).append(fault)
        return None, [_problem(path, group, written, line_of) for path, group in faults.items()], list(faults)
    place(file, (), written)
    return file, [], []


def place(section: Section, path: Path, written: Yaml) -> None:
    """Tell a section and all sections inside where they were written."""
    section._path, section._marks = path, written.marks
    section._mark = written.keys.get(path) or written.mark_of(path)
    for name, field in type(section).model_fields.items():
        if name in section.model_fields_set:
            for where, inner in _sections(getattr(section, name), (*path, field.alias or name)):
                place(inner, where, written)


def _sections(value: Any, path: Path) -> Iterator[tuple[Path, Section]]:
    if isinstance(value, Section):
        yield path, value
    elif isinstance(value, list):
        for position, item in enumerate(value):
            if isinstance(item, Section):
                yield (*path, position), item
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
        return Problem(written.keys.get(path[:-1]) or mark, dotted(path), "this key is missing", f"add {path[-1]}:{_meaning(path)}")
    if kind == "extra_forbidden":
        return Problem(written.keys.get(path, mark), dotted(path), "this key is unknown", _nearest_key(path))
    if kind == "value_error":
        return Problem(mark, dotted(path), *_fact_and_cure(str(fault["ctx"]["error"])))
    if kind == "literal_error":
        return _not_among(mark, path, given, fault["ctx"]["expected"])
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return Problem(mark, dotted(path), f"{given} is {words.format(format(fault['ctx'][bound], ','))}", _meaning(path).strip(" #"))
    if kind == "too_short":
        return Problem(mark, dotted(path), "this is empty", f"at least {fault['ctx']['min_length']} is needed")
    expected = " or ".join(dict.fromkeys(_EXPECTED.get(one["type"], one["msg"]) for one in faults))
    return Problem(mark, dotted(path), f"{expected} is expected, not {_shown(given)}", _cure(given, expected, line_of(mark), mark))


def _fact_and_cure(sentence: str) -> tuple[str, str]:
    """Quantities say what is wrong, then after a colon or semicolon what to do about it."""
    found = re.fullmatch(r"(.*?)[:;] (.*)", sentence)
    return (found[1], found[2]) if found else (sentence, "")


def _not_among(mark: Mark, path: Path, given: Any, expected: str) -> Problem:
    choices = re.findall(r"'([^']*)'", expected)
    near = difflib.get_close_matches(str(given).lower(), choices, 1)
    listed = choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"
    return Problem(mark, dotted(path), f"{_shown(given)} is not {listed}", f"did you mean {near[0]}?" if near else f"write {listed}")


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
    return ""


def _shown(given: Any) -> str:
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, dict):
        return "a mapping"
    if isinstance(given, list):
        return "a list"
    text = repr(given) if isinstance(given, str) else str(given)
    return text if len(text) <= 60 else f"{text[:57]}…"
