"""What can go wrong, and where: marks, problems and the exceptions that carry them.

Wrong *input* raises one of these with every problem found, each with its place and its cure.
A lost *packet* is never an exception: it is a verdict with a reason (:mod:`calisim.vocabulary.reasons`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a text: ``line`` and ``column`` count from 1; ``line`` 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of an input: where it is, which value (dotted ``path``), what is wrong, how to cure it.

    ``text`` is the line as written (shown under the message with a caret at ``mark.column``), or "".
    """

    mark: Mark
    path: str
    message: str
    hint: str = ""
    text: str = ""

    def __str__(self) -> str:
        head = f"{self.mark}: {self.path}: {self.message}" if self.path else f"{self.mark}: {self.message}"
        if not self.text:
            lines = [head, f"  {self.hint}"] if self.hint else [head]
        else:
            gutter = f"{self.mark.line:7d} | "
            caret = " " * (len(gutter) - 2) + "| " + " " * max(self.mark.column - 1, 0) + "^"
            lines = [head, gutter + self.text, f"{caret} {self.hint}".rstrip()]
        return "\n".join(map(_printable, lines))


def _printable(line: str) -> str:
    """A line that a terminal shows and does not obey: values of an input may hold escape sequences."""
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in line)


class CalisimError(Exception):
    """Base of all errors that are the user's to mend; the command line prints them and exits with 2."""


class ProblemsError(CalisimError):
    """An input with one or more :class:`Problem`; ``str()`` lists them all."""

    def __init__(self, problems: list[Problem] | tuple[Problem, ...]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class ScenarioError(ProblemsError):
    """A scenario file, an applied document or a ``--set`` that cannot be understood."""


class CompileError(CalisimError):
    """The decisions do not fit the tables of the compiled core (a limit of the layout)."""


class UsageError(CalisimError):
    """A call that names something which does not exist, or asks for what cannot be."""


class StaleBuildError(CalisimError):
    """The compiled core was built from another vocabulary than the one installed."""
