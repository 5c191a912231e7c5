"""``calisim check`` for people: a table a file, then for each failure what happened instead and how to see it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..quantities import plural
from .text import paragraph, table

if TYPE_CHECKING:
    from ..analysis.expectations import Checked


def parts(files: Sequence[tuple[str, Sequence[Checked]]], *, quiet: bool = False) -> Iterator[Any]:
    """Tables (all expectations, or with ``quiet`` the failed ones), failures, the sum."""
    for path, checked in files:
        shown = [one for one in checked if not (quiet and one.passed)]
        if shown:
            yield table(
                path, ["", "Expectation", "#Line"],
                (["passed" if one.passed else "FAILED", one.text, one.mark.line] for one in shown))
        for one in checked:
            if not one.passed:
                yield _failure(one)
    yield paragraph(_sum(files), "bold")


def _failure(one: Checked) -> Any:
    see = f"\n  see: {one.command}" if one.command else ""
    return paragraph(f"{one.mark}: expected {one.text}\n  instead: {one.instead}{see}")


def _sum(files: Sequence[tuple[str, Sequence[Checked]]]) -> str:
    every = [one for _, checked in files for one in checked]
    failed = sum(not one.passed for one in every)
    asked = f"{plural(len(every), 'expectation')} in {plural(len(files), 'file')}"
    return f"{asked}: {len(every) - failed:,} passed, {failed:,} failed"
