"""Combinators for tables of validation rules.

A rule takes a value and yields the :class:`Fault`\\ s it finds, each with the path below that value. A field that
is absent, null or an empty text counts as not said, as in Calico's own JSON (``omitempty``); its rule is not asked.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ..documents import Path


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a value: where (below the value judged), what, and how to cure it."""

    message: str
    hint: str = ""
    path: Path = ()
    at_key: bool = False             # point at the key, not at its value

    def below(self, *path: str | int) -> Fault:
        return replace(self, path=(*path, *self.path))

    def __str__(self) -> str:
        where = ".".join(map(str, self.path))
        return f"{where}: {self.message}" if where else self.message


MAX_STRANGERS = 20                # unknown fields told in one place

Faults = Iterator[Fault]
Rule = Callable[[Any], Faults]
Relation = Callable[[Mapping[str, Any]], Faults]


def shown(value: Any) -> str:
    """The value as a message names it, short."""
    text = {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def suggestion(word: str, known: Iterable[str]) -> str:
    """``did you mean …?`` or "" where nothing is near. Of names that differ in case only, the last one wins."""
    return _suggestion(word[:80], tuple(known))


@lru_cache(maxsize=4096)
def _suggestion(word: str, known: tuple[str, ...]) -> str:
    by_folded = {name.casefold(): name for name in known}
    near = by_folded.get(word.casefold()) or next(iter(difflib.get_close_matches(word, known, 1, 0.6)), "")
    return f"did you mean {near}?" if near else ""


def anything(value: Any) -> Faults:
    """Known to Calico, without a rule here."""
    yield from ()


def boolean(value: Any) -> Faults:
    if not isinstance(value, bool):
        yield Fault(f"{shown(value)} is neither true nor false")


def integer(low: int, high: int) -> Rule:
    def rule(value: Any) -> Faults:
        if isinstance(value, bool) or not isinstance(value, int):
            yield Fault(f"{shown(value)} is not an integer")
        elif not low <= value <= high:
            yield Fault(f"{value} lies outside {low}..{high}")
    return rule


def text(pattern: str = "", says: str = "", *, at_most: int = 0) -> Rule:
    """Any text, or one that a regular expression matches whole; ``says`` ends the sentence "X is not …"."""
    compiled = re.compile(pattern, re.DOTALL)

    def rule(value: Any) -> Faults:
        if not isinstance(value, str):
            yield Fault(f"{shown(value)} is not text", "put it in quotes")
        elif at_most and len(value) > at_most:
            yield Fault(f"the text has {len(value):,} characters; at most {at_most:,} are allowed")
        elif pattern and not compiled.fullmatch(value):
            yield Fault(f"{shown(value)} is not {says}")
    return rule


def parsed(parse: Callable[[str], Any], *, at_most: int = 0) -> Rule:
    """Text that ``parse`` takes; its ValueError is the message."""
    is_text = text(at_most=at_most)

    def rule(value: Any) -> Faults:
        faults = list(is_text(value))
        if not faults:
            try:
                parse(value)
            except ValueError as error:
                faults.append(Fault(str(error)))
        yield from faults
    return rule


def one_of(*words: str, ignore_case: bool = False) -> Rule:
    def rule(value: Any) -> Faults:
        folded = value.casefold() if ignore_case and isinstance(value, str) else value
        if folded not in ([word.casefold() for word in words] if ignore_case else words):
            hint = suggestion(value, words) if isinstance(value, str) else f'write it in quotes: "{words[0]}"'
            yield Fault(f"{shown(value)} is not one of {', '.join(words)}", hint)
    return rule


def absent(why: str) -> Rule:
    """A field that must not be said (false passes: that is its zero value)."""
    def rule(value: Any) -> Faults:
        if value is not False:
            yield Fault(why, at_key=True)
    return rule


def either(first: Rule, second: Rule) -> Rule:
    """The second rule for mappings, the first for everything else."""
    def rule(value: Any) -> Faults:
        yield from second(value) if isinstance(value, Mapping) else first(value)
    return rule


def many(each: Rule, *, at_least: int = 0, at_most: int = 0, unique: bool = False) -> Rule:
    def rule(value: Any) -> Faults:
        if not isinstance(value, list):
            yield Fault(f"{shown(value)} is not a list")
            return
        if len(value) < at_least:
            yield Fault(f"the list has {len(value)} entries; at least {at_least} needed")
        if at_most and len(value) > at_most:
            yield Fault(f"the list has {len(value)} entries; at most {at_most} are allowed")
            return
        seen: set[str] = set()
        for position, item in enumerate(value):
            for fault in each(item):
                yield fault.below(position)
            if unique:
                if repr(item) in seen:
                    yield Fault(f"{shown(item)} is said twice").below(position)
                seen.add(repr(item))
    return rule


def table(key: Rule, each: Rule) -> Rule:
    """A mapping with free keys, such as labels."""
    def rule(value: Any) -> Faults:
        if not isinstance(value, Mapping):
            yield Fault(f"{shown(value)} is not a mapping")
            return
        for name, item in value.items():
            for fault in key(name):
                yield replace(fault.below(name), at_key=True)
            for fault in each(item):
                yield fault.below(name)
    return rule


def record(fields: Mapping[str, Rule], *, required: tuple[str, ...] = (), relations: tuple[Relation, ...] = ()) -> Rule:
    """A mapping with known fields; ``relations`` between fields are asked once every field is right by itself."""
    def rule(value: Any) -> Faults:
        if value is None:
            value = {}
        if not isinstance(value, Mapping):
            yield Fault(f"{shown(value)} is not a mapping")
            return
        faults = [Fault(f"{name} is missing", f"add {name}:") for name in required if not said(value, name)]
        strangers = [name for name in value if name not in fields]
        for name in strangers[:MAX_STRANGERS]:
            near = suggestion(str(name), fields)
            faults.append(Fault(f"{shown(name)} is not a field of this place", near or "remove it", (name,), at_key=True))
        for name, field in fields.items():
            if said(value, name):
                faults += [fault.below(name) for fault in field(value[name])]
        yield from faults
        if not any(not fault.at_key for fault in faults):
            for relation in relations:
                yield from relation(value)
    return rule


def said(mapping: Mapping[str, Any], name: str) -> bool:
    """True where the field has a value other than nothing."""
    return mapping.get(name) not in (None, "")


_FREE_TEXT = frozenset({"annotations", "labels", "labelsToApply", "matchLabels"})    # whose empty values say something


def without_blanks(value: Any) -> Any:
    """The value without the fields that say nothing, at any depth."""
    if isinstance(value, Mapping):
        return {
            name: inner if name in _FREE_TEXT else without_blanks(inner) for name, inner in value.items() if said(value, name)}
    return [without_blanks(item) for item in value] if isinstance(value, list) else value


def blank_free(rule: Rule) -> Rule:
    """The rule, asked of the value without the fields that say nothing."""
    def judge(value: Any) -> Faults:
        yield from rule(without_blanks(value))
    return judge
