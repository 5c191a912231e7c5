"""The texts of a scenario: which files it may read, each read once, and the line that a mark points at."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath

from ..errors import Mark, Problem
from .documents import Document
from .reader import MAX_BYTES, Yaml, decode, parse
from .unpack import unpack

STDIN = "-"
_LARGEST_SHOWN = 16 << 20         # characters of a file whose lines are shown
_WIDEST = 160                     # characters of a shown line


@dataclass(slots=True)
class Sources:
    """Files read so far, by the name under which they were asked for; ``folder`` bounds what a scenario may name."""

    folder: FilePath
    texts: dict[str, str] = field(default_factory=dict)
    _lines: dict[str, list[str]] = field(default_factory=dict)
    documents: dict[str, tuple[Document, ...]] = field(default_factory=dict)

    def yaml(self, file: str, content: bytes) -> tuple[list[Yaml], list[Problem]]:
        """The YAML documents of a content; its lines are kept to show them."""
        text, problems = decode(content, file)
        self._lines.pop(file, None)
        self.texts[file] = text or content[:_LARGEST_SHOWN].decode("utf-8", "replace")
        if problems:
            return [], problems
        return parse(text, file)

    def applied(self, name: str) -> tuple[tuple[Document, ...], list[Problem]]:
        """Resources of a file that the caller names (``-`` is standard input); any path is allowed."""
        shown = "(standard input)" if name == STDIN else name
        content, problem = (sys.stdin.buffer.read(MAX_BYTES + 1), None) if name == STDIN else read(FilePath(name), shown)
        if problem is not None:
            return (), [problem]
        return self._resources(shown, content)

    def named(self, name: str, mark: Mark, path: str) -> tuple[tuple[Document, ...], list[Problem]]:
        """Resources of a file that the scenario names, relative to and inside its own folder."""
        if name in self.documents:
            return self.documents[name], []
        self.documents[name] = ()
        where, fault = self._inside(name)
        if where is None:
            return (), [Problem(mark, path, fault, "name a file beside the scenario or below it")]
        content, problem = read(where, name, regular=True)
        if problem is not None:
            return (), [replace(problem, mark=mark, path=path)]
        resources, problems = self._resources(str(self.folder / name), content)
        self.documents[name] = resources
        return resources, problems

    def line_of(self, mark: Mark) -> str:
        """The line as written, "" where there is none."""
        if mark.file not in self._lines:
            text = self.texts.get(mark.file, "")
            self._lines[mark.file] = text.split("\n") if len(text) <= _LARGEST_SHOWN else []
        lines = self._lines[mark.file]
        return lines[mark.line - 1] if 0 < mark.line <= len(lines) else ""

    def illustrate(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Each problem once, in the order of the files, with its line."""
        unique = dict.fromkeys(problems)
        order = {file: number for number, file in enumerate(self.texts)}
        ranked = sorted(unique, key=lambda one: (order.get(one.mark.file, len(order)), one.mark))
        return tuple(one if one.text else _with_line(one, self.line_of(one.mark)) for one in ranked)

    def _inside(self, name: str) -> tuple[FilePath | None, str]:
        try:
            root = self.folder.resolve()
            where = (root / name).resolve()
        except (OSError, ValueError, RuntimeError):
            return None, f"{name!r} is not a file name"
        if os.path.isabs(name) or not where.is_relative_to(root):
            return None, f"{name} is outside the scenario's folder"
        return where, ""

    def _resources(self, file: str, content: bytes) -> tuple[tuple[Document, ...], list[Problem]]:
        written, problems = self.yaml(file, content)
        resources, more = unpack(written)
        if not written and not problems:
            problems = [Problem(Mark(file), "", "the file has no documents", "give it Calico or Kubernetes resources")]
        return tuple(resources), [*problems, *more]


def read(path: FilePath, shown: str, *, regular: bool = False) -> tuple[bytes, Problem | None]:
    """Content of a file, never more than a little over what is allowed; or the problem."""
    try:
        if path.is_dir():
            return b"", Problem(Mark(shown), "", "this is a directory, not a file", "name the file in it")
        if regular and path.exists() and not path.is_file():
            return b"", Problem(Mark(shown), "", f"{shown} is not a regular file", "name a YAML file")
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1), None
    except FileNotFoundError:
        return b"", Problem(Mark(shown), "", f"there is no file {shown}", _neighbour(path, shown))
    except (OSError, ValueError) as error:
        return b"", Problem(Mark(shown), "", f"{shown} cannot be read: {getattr(error, 'strerror', None) or error}", "")


def _neighbour(path: FilePath, shown: str) -> str:
    """The file of the same folder whose name is nearest."""
    try:
        names = [entry.name for entry in path.parent.iterdir()][:1000]
    except OSError:
        return "check the path"
    near = difflib.get_close_matches(path.name, names, 1, 0.75)
    return f"did you mean {FilePath(shown).with_name(near[0])}?" if near else "check the path"


def _with_line(problem: Problem, line: str) -> Problem:
    """Show the line, except where it is so long that the place lies beyond what fits a screen."""
    return replace(problem, text=line[:_WIDEST].replace("\t", "→")) if problem.mark.column <= _WIDEST else problem
