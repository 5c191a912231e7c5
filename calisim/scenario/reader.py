"""YAML text → plain values, every one with its line and column; what is wrong with the text, all at once.

Reads libyaml's events with a stack of its own, so neither depth nor aliases nor the size of a file are
unbounded, and duplicate keys are seen. Knows YAML and its surprises; does not know what a value means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from ..errors import Mark, Problem
from .documents import Path

MAX_BYTES = 64 << 20
MAX_VALUES = 1_000_000
MAX_DEPTH = 100
_MAX_FAULTS = 20                  # of one kind; the rest only repeat it

_Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ILLEGAL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    spelled: value
    for words, value in ((("true", "yes", "on"), True), (("false", "no", "off"), False))
    for word in words for spelled in (word, word.capitalize(), word.upper())
}
_INT = re.compile(r"[-+]?(0|[1-9][0-9_]{0,30}|0x[0-9a-fA-F_]{1,30}|0o?[0-7_]{1,30}|0b[01_]{1,70})")
_FLOAT = re.compile(r"[-+]?(\d[\d_]{0,30}\.\d{0,30}|\.\d{1,30}|\d{1,30}(?=[eE]))([eE][-+]?\d{1,3})?")
_DOCUMENT_START = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Yaml:
    """One YAML document: its value and the places of all values and keys by path."""

    value: Any
    mark: Mark
    marks: Mapping[Path, Mark] = field(repr=False)
    keys: Mapping[Path, Mark] = field(repr=False)

    def mark_of(self, path: Path) -> Mark:
        """Where the value stands, or its nearest ancestor."""
        for length in range(len(path), 0, -1):
            if (mark := self.marks.get(path[:length])) is not None:
                return mark
        return self.mark


def decode(content: bytes, file: str) -> tuple[str, list[Problem]]:
    """Bytes → text; a file that is not UTF-8 text is told by its place. A UTF-8 byte order mark is skipped."""
    if len(content) > MAX_BYTES:
        return "", [Problem(Mark(file), "", f"the file has more than {MAX_BYTES:,} bytes, the most that calisim reads",
                            "split it, or describe many nodes and pods by count:")]
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "", [Problem(Mark(file), "", "the file is UTF-16, not UTF-8", "save it as UTF-8")]
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[:error.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        message = f"byte 0x{content[error.start]:02x} is not UTF-8 text"
        return "", [Problem(Mark(file, line, column), "", message, "save the file as UTF-8")]
    return text.replace("\r\n", "\n").replace("\r", "\n"), _control_characters(text, file)


def parse(text: str, file: str) -> tuple[list[Yaml], list[Problem]]:
    """All documents of a text, empty ones left out. After a fault of syntax reading goes on at the next ``---``."""
    found: list[Yaml] = []
    problems: list[Problem] = []
    first_line = 0
    while True:
        builder = _Builder(file, first_line, problems)
        try:
            for document in builder.documents(text):
                found.append(document)
        except yaml.MarkedYAMLError as error:
            problems += _syntax(error, text, file, first_line)
            mark = error.problem_mark or error.context_mark
            rest = _next_document(text, mark.line if mark else 0)
            if rest is None or len(problems) >= _MAX_FAULTS:
                break
            text, first_line = text[rest:], first_line + text.count("\n", 0, rest)
            continue
        except _TooMuch as error:
            problems.append(Problem(error.mark, "", error.message, error.hint))
        break
    return [document for document in found if document.value is not None], problems


def scalar(text: str) -> Any:
    """The value of a plain (unquoted) scalar: YAML 1.1 as Kubernetes' tools read it; dates and 1:30 stay text."""
    if len(text) <= 5 and text in _WORDS:
        return _WORDS[text]
    if text[0] in "0123456789+-.":
        if _INT.fullmatch(text):
            return _integer(text.replace("_", ""))
        if _FLOAT.fullmatch(text):
            return float(text.replace("_", ""))
    return text


def dotted(path: Path) -> str:
    """``("spec", "nodes", 0, "name")`` → ``spec.nodes[0].name``, the form in which messages name a value."""
    text = ""
    for element in path:
        text += f"[{element}]" if isinstance(element, int) else f".{element}" if text else element
    return text


class _TooMuch(Exception):
    """The text asks for more than calisim is willing to build."""

    def __init__(self, mark: Mark, message: str, hint: str) -> None:
        self.mark, self.message, self.hint = mark, message, hint


@dataclass(slots=True)
class _Frame:
    """A mapping or sequence that is being read; ``key`` is the one whose value comes next (None: a key comes)."""

    container: Any
    path: Path
    anchor: str | None
    size_before: int
    key: str | None = None
    merges: list[tuple[Path, dict[str, Any]]] = field(default_factory=list)


@dataclass(slots=True)
class _Builder:
    """Events → values. One builder reads one stretch of text; anchors live as long as their document."""

    file: str
    first_line: int
    problems: list[Problem]
    size: int = 0
    marks: dict[Path, Mark] = field(default_factory=dict)
    keys: dict[Path, Mark] = field(default_factory=dict)
    anchors: dict[str, tuple[Any, Path, int]] = field(default_factory=dict)
    stack: list[_Frame] = field(default_factory=list)
    root: Any = None

    def documents(self, text: str) -> Iterator[Yaml]:
        for event in yaml.parse(text, Loader=_Loader):
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event)
            elif kind is yaml.MappingStartEvent:
                self._open(event, {})
            elif kind is yaml.SequenceStartEvent:
                self._open(event, [])
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._close()
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentStartEvent:
                self.marks, self.keys, self.anchors, self.root = {}, {}, {}, None
            elif kind is yaml.DocumentEndEvent:
                mark = self.marks.pop((), Mark(self.file))
                yield Yaml(self.root, mark, self.marks, self.keys)

    def _mark(self, event: Any) -> Mark:
        place = event.start_mark
        return Mark(self.file, place.line + 1 + self.first_line, place.column + 1)

    def _complain(self, mark: Mark, path: Path, message: str, hint: str) -> None:
        self.problems.append(Problem(mark, dotted(path), message, hint))

    def _place(self) -> Path:
        """Path of the value that comes next."""
        if not self.stack:
            return ()
        frame = self.stack[-1]
        if type(frame.container) is list:
            return (*frame.path, len(frame.container))
        return (*frame.path, frame.key or "")

    def _put(self, value: Any) -> None:
        if not self.stack:
            self.root = value
            return
        frame = self.stack[-1]
        if type(frame.container) is list:
            frame.container.append(value)
        else:
            frame.container[frame.key] = value
            frame.key = None

    def _grow(self, event: Any, by: int) -> None:
        self.size += by
        if self.size > MAX_VALUES:
            what = "aliases expand the file to" if by > 1 else "the file has"
            raise _TooMuch(self._mark(event), f"{what} more than {MAX_VALUES:,} values", "describe many alike things with count")

    def _scalar(self, event: Any) -> None:
        self._grow(event, 1)
        frame = self.stack[-1] if self.stack else None
        if frame is not None and type(frame.container) is dict and frame.key is None:
            self._key(frame, event)
            return
        path = self._place()
        self.marks[path] = self._mark(event)
        text, tag = event.value, event.tag
        value = text
        if event.implicit[0] and tag is None or tag in (_TAG + "int", _TAG + "float", _TAG + "bool", _TAG + "null"):
            value = scalar(text) if text else None
        elif tag not in (None, "!", _TAG + "str"):
            self._complain(self.marks[path], path, f"the tag {_shown(tag)} is not understood", "write the plain value")
        if event.anchor:
            self.anchors[event.anchor] = (value, path, 1)
        self._put(value)

    def _key(self, frame: _Frame, event: Any) -> None:
        key = event.value
        frame.key = key
        mark = self._mark(event)
        if key == "<<" and event.implicit[0]:
            return
        path = (*frame.path, key)
        if key in frame.container:
            self._complain(mark, path, f"{key} is said twice (first in line {self.keys[path].line})", "keep one of the two")
        else:
            self.keys[path] = mark

    def _open(self, event: Any, container: Any) -> None:
        self._grow(event, 1)
        mark = self._mark(event)
        if len(self.stack) >= MAX_DEPTH:
            raise _TooMuch(mark, f"the file is nested more than {MAX_DEPTH} levels deep", "no section of a scenario is that deep")
        frame = self.stack[-1] if self.stack else None
        if frame is not None and type(frame.container) is dict and frame.key is None:
            raise _TooMuch(mark, "a mapping or list cannot be a key", "write text before the colon; quote {{ templates }}")
        if event.tag not in (None, "!", _TAG + "map", _TAG + "seq"):
            self._complain(mark, self._place(), f"the tag {_shown(event.tag)} is not understood", "write a plain mapping or list")
        path = self._place()
        self.marks[path] = mark
        self.stack.append(_Frame(container, path, event.anchor, self.size))

    def _close(self) -> None:
        frame = self.stack.pop()
        for source, merged in frame.merges:
            for key, value in merged.items():
                if key not in frame.container:
                    frame.container[key] = value
                    self._copy_marks((*source, key), (*frame.path, key), value)
        if frame.anchor:
            self.anchors[frame.anchor] = (frame.container, frame.path, self.size - frame.size_before + 1)
        parent = self.stack[-1] if self.stack else None
        if parent is not None and parent.key == "<<" and type(parent.container) is dict:
            self._merge(parent, frame.container, frame.path)
        else:
            self._put(frame.container)

    def _alias(self, event: Any) -> None:
        mark = self._mark(event)
        if event.anchor not in self.anchors:
            raise _TooMuch(mark, f"there is no anchor &{event.anchor} before this place",
                           f"put &{event.anchor} on a value further up; a value cannot hold itself")
        value, source, size = self.anchors[event.anchor]
        self._grow(event, size)
        parent = self.stack[-1] if self.stack else None
        if parent is not None and type(parent.container) is dict and parent.key is None:
            raise _TooMuch(mark, "an alias cannot be a key", "write the key itself")
        if parent is not None and parent.key == "<<":
            self._merge(parent, value, source)
            return
        path = self._place()
        self._copy_marks(source, path, value)
        self._put(value)

    def _merge(self, frame: _Frame, value: Any, source: Path) -> None:
        """``<<: *defaults`` or a list of them: keys that the mapping does not say itself come from there."""
        frame.key = None
        for position, part in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(part, dict):
                frame.merges.append(((*source, position) if isinstance(value, list) else source, part))

    def _copy_marks(self, source: Path, target: Path, value: Any) -> None:
        """What an alias stands for keeps the places where it was written."""
        pending = [(source, target, value)]
        while pending:
            source, target, value = pending.pop()
            for places in (self.marks, self.keys):
                if (mark := places.get(source)) is not None:
                    places[target] = mark
            inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
            pending += [((*source, key), (*target, key), item) for key, item in inner]


def _integer(text: str) -> int:
    digits = text.lstrip("+-")
    base = {"0x": 16, "0o": 8, "0b": 2}.get(digits[:2], 8 if digits[0] == "0" and len(digits) > 1 else 10)
    return int(text, base)


def _shown(tag: str) -> str:
    return tag.replace(_TAG, "!!")


def _control_characters(text: str, file: str) -> list[Problem]:
    problems = []
    for found in _ILLEGAL.finditer(text):
        start = text.rfind("\n", 0, found.start()) + 1
        mark = Mark(file, text.count("\n", 0, start) + 1, found.start() - start + 1)
        name = "a NUL character" if found[0] == "\0" else f"the control character U+{ord(found[0]):04X}"
        problems.append(Problem(mark, "", f"{name} is not text", "remove it; is this really a YAML file?"))
        if len(problems) == _MAX_FAULTS:
            break
    return problems


def _next_document(text: str, line: int) -> int | None:
    """Offset of the first ``---`` from that line on (counted from 0) that does not begin the text."""
    position = 0
    for _ in range(line):
        position = text.find("\n", position) + 1
        if not position:
            return None
    found = _DOCUMENT_START.search(text, max(position, 1))
    return found.start() if found else None


_CURES = (
    ("mapping values are not allowed", "quote text that has a colon in it, or mend the indentation"),
    ("unexpected end of stream", "close the quote"),
    ("did not find expected ',' or ']'", "close the list with ]"),
    ("did not find expected ',' or '}'", "close the mapping with }"),
    ("could not find expected ':'", "write a key, a colon and a space"),
    ("did not find expected key", "the line's indentation fits no line above"),
    ("did not find expected '-' indicator", "the line's indentation fits no item of the list"),
    ("did not find expected node content", "quote the value: it begins with a character that means something in YAML"),
    ("cannot start any token", "quote text that begins with @, ` or %"),
)


def _syntax(error: yaml.MarkedYAMLError, text: str, file: str, first_line: int) -> list[Problem]:
    """libyaml's complaint in our words; where tabs indent lines, they are the cause and all are shown."""
    problem = error.problem or "this is not YAML"
    at_start = error.context_mark is not None and "unexpected end of stream" in problem
    place = error.context_mark if at_start else error.problem_mark or error.context_mark
    line, column = (place.line, place.column) if place else (0, 0)
    if "tab" in problem or "cannot start any token" in problem:
        stretch = text[:_next_document(text, line)].split("\n")
        tabs = [(number, row.index("\t")) for number, row in enumerate(stretch)
                if number >= line and "\t" in row[:len(row) - len(row.lstrip())]]
        if tabs and tabs[0][0] == line:
            return [Problem(Mark(file, first_line + number + 1, column + 1), "", "a tab indents this line",
                            "YAML takes spaces only") for number, column in tabs[:_MAX_FAULTS]]
    if error.context and error.context_mark and error.context_mark.line < line:
        problem = f"{problem} {error.context} that begins in line {error.context_mark.line + first_line + 1}"
    hint = next((cure for sign, cure in _CURES if sign in problem), "mend the syntax here")
    return [Problem(Mark(file, first_line + line + 1, column + 1), "", f"not YAML: {problem}", hint)]
