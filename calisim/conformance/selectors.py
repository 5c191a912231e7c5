"""Judges of Calico's selector language."""

from __future__ import annotations

from typing import Any

from .. import selector
from .resources import different

Case = dict[str, Any]


def match(case: Case) -> str | None:
    """A selector chooses a label set or not."""
    return different(selector.parse(case["selector"]).matches(case["labels"]), case["match"])


def validity(case: Case) -> str | None:
    """A text is a selector or not."""
    try:
        selector.parse(case["selector"])
    except selector.SelectorError as error:
        return f"rejected, but Calico accepts it: {error}" if case["valid"] else None
    return None if case["valid"] else "accepted, but Calico rejects it"


def canonical(case: Case) -> str | None:
    """Canonical text, and the identifier made of it."""
    found = selector.parse(case["selector"])
    return different(found.canonical, case["canonical"]) or (different(found.uid, case["uid"]) if "uid" in case else None)


def prefixed(case: Case) -> str | None:
    """Every label of a selector gets a prefix."""
    return different(selector.parse(case["selector"]).with_prefix(case["prefix"]).canonical, case["expected"])


TOPICS = {
    "selector_match": match,
    "selector_invalid": validity,
    "selector_canonical": canonical,
    "selector_prefix_labels": prefixed,
}
