"""Calico's selector language: text to a :class:`Selector` that judges label sets.

    or    := and ( "||" and )*          and := op ( "&&" op )*
    op    := "!"* ( has(LABEL) | all() | global() | "(" or ")" | LABEL comparison )

``&&`` binds tighter than ``||``; ``!`` negates one operation only. An absent label fails ``==``, ``in``, ``contains``,
``starts with`` and ``ends with`` and satisfies ``!=`` and ``not in``. ``global()`` accepts any labels: its scope is the
business of whoever puts it into a namespace selector. Hostile text is bounded in length and in nesting.

Sources: Calico docs, "Selectors" of the NetworkPolicy reference; libcalico-go's selector tokenizer and parser.
"""

from __future__ import annotations

import operator
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha224
from typing import Any, Protocol

MAX_LENGTH = 65_536
MAX_DEPTH = 100
MAX_LABEL = 512

Labels = Mapping[str, str]


class SelectorError(ValueError):
    """A text that is no selector; ``column`` counts from 1."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(f"{message} (column {column} of the selector)")
        self.column = column


class Node(Protocol):
    """One node of the syntax tree; ``str()`` is its canonical text."""

    def matches(self, labels: Labels) -> bool: ...

    def with_prefix(self, prefix: str) -> Node: ...


@dataclass(frozen=True, slots=True)
class Everything:
    """``all()`` or ``global()``."""

    word: str

    def matches(self, labels: Labels) -> bool:
        return True

    def with_prefix(self, prefix: str) -> Node:
        return self

    def __str__(self) -> str:
        return f"{self.word}()"


@dataclass(frozen=True, slots=True)
class Has:
    """``has(label)``."""

    label: str

    def matches(self, labels: Labels) -> bool:
        return self.label in labels

    def with_prefix(self, prefix: str) -> Node:
        return Has(prefix + self.label)

    def __str__(self) -> str:
        return f"has({self.label})"


@dataclass(frozen=True, slots=True)
class Comparison:
    """``label operator operand``; the operand is one text or a sorted tuple of texts."""

    label: str
    symbol: str
    operand: Any
    test: Callable[[str | None, Any], bool]

    def matches(self, labels: Labels) -> bool:
        return self.test(labels.get(self.label), self.operand)

    def with_prefix(self, prefix: str) -> Node:
        return Comparison(prefix + self.label, self.symbol, self.operand, self.test)

    def __str__(self) -> str:
        if isinstance(self.operand, str):
            return f"{self.label} {self.symbol} {_quoted(self.operand)}"
        return f"{self.label} {self.symbol} {{{', '.join(map(_quoted, self.operand))}}}"


@dataclass(frozen=True, slots=True)
class Not:
    """``!operation``."""

    inner: Node

    def matches(self, labels: Labels) -> bool:
        return not self.inner.matches(labels)

    def with_prefix(self, prefix: str) -> Node:
        return Not(self.inner.with_prefix(prefix))

    def __str__(self) -> str:
        return f"!{self.inner}"


@dataclass(frozen=True, slots=True)
class And:
    """Two or more terms joined by ``&&``."""

    terms: tuple[Node, ...]

    def matches(self, labels: Labels) -> bool:
        for term in self.terms:
            if not term.matches(labels):
                return False
        return True

    def with_prefix(self, prefix: str) -> Node:
        return And(tuple(term.with_prefix(prefix) for term in self.terms))

    def __str__(self) -> str:
        return f"({' && '.join(map(str, self.terms))})"


@dataclass(frozen=True, slots=True)
class Or:
    """Two or more terms joined by ``||``."""

    terms: tuple[Node, ...]

    def matches(self, labels: Labels) -> bool:
        for term in self.terms:
            if term.matches(labels):
                return True
        return False

    def with_prefix(self, prefix: str) -> Node:
        return Or(tuple(term.with_prefix(prefix) for term in self.terms))

    def __str__(self) -> str:
        return f"({' || '.join(map(str, self.terms))})"


@dataclass(frozen=True)
class Selector:
    """A parsed selector; two selectors are equal when their trees are."""

    root: Node

    def matches(self, labels: Labels) -> bool:
        return self.root.matches(labels)

    @cached_property
    def canonical(self) -> str:
        """The text as Calico stores it: double quotes, sorted sets, groups in parentheses."""
        return str(self.root)

    @cached_property
    def uid(self) -> str:
        """Calico's identifier of the selector: a SHA-224 of the canonical text."""
        digest = sha224(f"s:{self.canonical}".encode()).digest()
        return "s:" + urlsafe_b64encode(digest).rstrip(b"=").decode()

    def with_prefix(self, prefix: str) -> Selector:
        """The same selector over labels that all carry a prefix (namespace labels: ``pcns.``)."""
        return Selector(self.root.with_prefix(prefix))

    def __str__(self) -> str:
        return self.canonical


@lru_cache(maxsize=4096)
def parse(text: str) -> Selector:
    """Text to selector; blank text is ``all()``. Raises :class:`SelectorError`."""
    if len(text) > MAX_LENGTH:
        raise SelectorError(f"a selector of {len(text):,} characters is longer than {MAX_LENGTH:,}", MAX_LENGTH + 1)
    return _Parser(text).selector()


def _quoted(value: str) -> str:
    return f"'{value}'" if '"' in value else f'"{value}"'


def _is_in(value: str | None, operand: tuple[str, ...]) -> bool:
    return value in operand


def _is_not_in(value: str | None, operand: tuple[str, ...]) -> bool:
    return value not in operand


def _contains(value: str | None, operand: str) -> bool:
    return value is not None and operand in value


def _starts_with(value: str | None, operand: str) -> bool:
    return value is not None and value.startswith(operand)


def _ends_with(value: str | None, operand: str) -> bool:
    return value is not None and value.endswith(operand)


# Canonical spelling → (test, takes a set). In the text, the blanks inside a spelling may be left out or repeated.
_COMPARISONS: dict[str, tuple[Callable[[str | None, Any], bool], bool]] = {
    "==": (operator.eq, False),
    "!=": (operator.ne, False),
    "not in": (_is_not_in, True),
    "in": (_is_in, True),
    "contains": (_contains, False),
    "starts with": (_starts_with, False),
    "ends with": (_ends_with, False),
}
_SPELLINGS = [
    (re.compile(symbol.replace(" ", "[ \t]*") + (r"\b" if symbol[0].isalpha() else "")), symbol) for symbol in _COMPARISONS]
_BLANKS = re.compile("[ \t]*")
_LABEL = re.compile(r"[A-Za-z0-9_./-]+")
_STRING = re.compile(r"'[^']*'|\"[^\"]*\"")
_CALL = re.compile(r"(has|all|global)\(")


class _Parser:
    """Recursive descent over one text; ``at`` is the next character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def selector(self) -> Selector:
        self.skip_blanks()
        if self.at == len(self.text):
            return Selector(Everything("all"))
        root = self.alternatives()
        if self.at < len(self.text):
            raise self.error("expected && or || or the end")
        return Selector(root)

    def alternatives(self) -> Node:
        terms = self.joined("||", self.conjunction)
        return terms[0] if len(terms) == 1 else Or(terms)

    def conjunction(self) -> Node:
        terms = self.joined("&&", self.operation)
        return terms[0] if len(terms) == 1 else And(terms)

    def joined(self, symbol: str, term: Callable[[], Node]) -> tuple[Node, ...]:
        terms = [term()]
        while self.accept(symbol):
            terms.append(term())
        return tuple(terms)

    def operation(self) -> Node:
        negated = False
        while self.accept("!"):
            negated = not negated
        node = self.positive_operation()
        return Not(node) if negated else node

    def positive_operation(self) -> Node:
        if self.accept("("):
            return self.group()
        call = self.take(_CALL)
        if call:
            return self.call(call[:-1])
        return self.comparison(self.label())

    def group(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"parentheses nest deeper than {MAX_DEPTH}")
        node = self.alternatives()
        self.expect(")")
        self.depth -= 1
        return node

    def call(self, word: str) -> Node:
        node: Node = Has(self.label()) if word == "has" else Everything(word)
        self.expect(")")
        return node

    def comparison(self, label: str) -> Node:
        for spelling, symbol in _SPELLINGS:
            if self.take(spelling):
                test, takes_set = _COMPARISONS[symbol]
                return Comparison(label, symbol, self.string_set() if takes_set else self.string(), test)
        raise self.error(f"expected ==, !=, in, not in, contains, starts with or ends with after the label {label}")

    def string_set(self) -> tuple[str, ...]:
        self.expect("{")
        values = set()
        while not self.accept("}"):
            values.add(self.string())
            if not self.accept(","):
                self.expect("}")
                break
        return tuple(sorted(values))

    def string(self) -> str:
        found = self.take(_STRING)
        if not found:
            raise self.error("expected a text in quotes")
        return found[1:-1]

    def label(self) -> str:
        start = self.at
        found = self.take(_LABEL)
        if not found:
            raise self.error("expected a label, has(), all(), global() or a group in parentheses")
        if len(found) > MAX_LABEL:
            self.at = start
            raise self.error(f"a label has at most {MAX_LABEL} characters")
        return found

    def accept(self, symbol: str) -> bool:
        if not self.text.startswith(symbol, self.at):
            return False
        self.at += len(symbol)
        self.skip_blanks()
        return True

    def expect(self, symbol: str) -> None:
        if not self.accept(symbol):
            raise self.error(f"expected {symbol}")

    def take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        if not found:
            return ""
        self.at = found.end()
        self.skip_blanks()
        return found.group()

    def skip_blanks(self) -> None:
        found = _BLANKS.match(self.text, self.at)
        assert found is not None
        self.at = found.end()

    def error(self, message: str) -> SelectorError:
        return SelectorError(message, self.at + 1)
