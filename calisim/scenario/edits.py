"""Changes of a scenario for one call: ``--set PATH=VALUE`` and the ``set:`` of steps and variants.

A path is dotted and starts at ``spec``; an element is a key, the ``name`` of a list's item, its position,
or ``*`` for all; a key with dots in it stands in double quotes. Values are never changed in place: what is on the
way to a changed value is copied.
"""

from __future__ import annotations

import difflib
import re
from typing import Any

from ..errors import Mark, Problem
from . import reader
from .documents import Path
from .schema import section_at

_KEY = r'(?:"[^"]+"|[^."\[\]]+)'
_PATH = re.compile(rf"{_KEY}(?:\.{_KEY}|\[{_KEY}\])*")            # nodes.a.count, and nodes[0].count as messages write it
_ELEMENT = re.compile(r'"([^"]+)"|([^."\[\]]+)')
_ROOTS = ("spec", "metadata")


def parse_assignment(text: str) -> tuple[str, Any, list[Problem]]:
    """``nodes.*.count=4`` → path, value (read as YAML), problems."""
    mark = Mark("--set")
    path, equals, written = text.partition("=")
    if not equals or not path:
        return path, None, [Problem(mark, "", f"{text!r} is not PATH=VALUE", "for example --set nodes.*.sourceDestCheck=true")]
    content, problems = reader.decode(written.encode("utf-8", "surrogateescape"), f"--set {path}")
    documents, faults = reader.parse(content, f"--set {path}") if not problems else ([], problems)
    problems = faults
    if len(documents) > 1:
        problems.append(Problem(mark, path, "the value is more than one YAML document", "give one value"))
    return path, documents[0].value if documents else None, problems


class Assigner:
    """Carries out assignments on a scenario's raw value; :meth:`written` gives the changed one."""

    def __init__(self, written: reader.Yaml) -> None:
        self.problems: list[Problem] = []
        self._before = written
        self._marks: dict[Path, Mark] = {}
        self._own: dict[int, Any] = {}         # copies made here, by id: they may be changed
        self._value = self._copy(written.value)

    def written(self) -> reader.Yaml:
        """The value after all assignments; what was set has the place of its assignment."""
        before = self._before
        return reader.Yaml(self._value, before.mark, {**before.marks, **self._marks}, {**before.keys, **self._marks})

    def assign(self, path: str, value: Any, mark: Mark) -> None:
        """Set every place that the path names. ``mark`` is where the assignment itself was written."""
        elements = [quoted or plain for quoted, plain in _ELEMENT.findall(path)]
        if not _PATH.fullmatch(path) or elements == ["spec"]:
            unclosed = "close the quote" if path.count('"') % 2 else "write keys with dots between"
            self._complain(mark, path, f"{path!r} is not a path", f'{unclosed}, for example nodes.a.labels."example.com/rack"')
            return
        if elements[0] not in _ROOTS:
            elements = ["spec", *elements]
        places: list[tuple[Path, Any]] = [((), self._value)]
        for element in elements[:-1]:
            places = [((*where, key), self._descend(where, container, key, mark))
                      for where, container in places for key in self._named(where, container, element, mark, last=False)]
        for where, container in places:
            for key in self._named(where, container, elements[-1], mark, last=True):
                container[key] = value
                self._mark_all((*where, key), value, mark)

    def _named(self, where: Path, container: Any, element: str, mark: Mark, *, last: bool) -> list[Any]:
        """The keys or positions of the container that the element means; none and a problem if there is no such thing."""
        if isinstance(container, list):
            known = [_name(item) for item in container]
            chosen: list[Any] = [i for i, name in enumerate(known) if element in ("*", name)]
            if not chosen and re.fullmatch("[0-9]{1,9}", element) and int(element) < len(known):
                chosen = [int(element)]
        elif isinstance(container, dict):
            section = section_at(where)
            known = list(section.keys()) if section and element != "*" else list(container)
            named = section is None and last                # a new entry of a mapping of names may be made whole
            chosen = known if element == "*" else [element] if element in known or named else []
        else:
            self._complain(mark, reader.dotted(where), "this is a plain value; nothing can be set inside it", "shorten the path")
            return []
        if not chosen:
            near = difflib.get_close_matches(element, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there is: {', '.join(known[:12])}" if known else "it is empty"
            message = "there is nothing here" if element == "*" else f"there is no {element} here"
            self._complain(mark, reader.dotted(where), message, hint)
        return chosen

    def _descend(self, where: Path, container: Any, key: Any, mark: Mark) -> Any:
        """The value one level down, as a copy that may be changed; a section that was not written begins empty."""
        inner = container.get(key) if isinstance(container, dict) else container[key]
        if inner is None:
            inner = {}
            self._marks[(*where, key)] = mark
        container[key] = inner = self._copy(inner)
        return inner

    def _copy(self, value: Any) -> Any:
        if not isinstance(value, (dict, list)) or id(value) in self._own:
            return value
        copy = value.copy()
        self._own[id(copy)] = copy
        return copy

    def _mark_all(self, path: Path, value: Any, mark: Mark) -> None:
        """The value and all inside it come from the assignment now."""
        pending: list[tuple[Path, Any]] = [(path, value)]
        while pending:
            path, value = pending.pop()
            self._marks[path] = mark
            inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
            pending += [((*path, key), item) for key, item in inner]

    def _complain(self, mark: Mark, path: str, message: str, hint: str) -> None:
        self.problems.append(Problem(mark, path, message, hint))


def _name(item: Any) -> str:
    return str(item.get("name", item.get("title", ""))) if isinstance(item, dict) else str(item)
