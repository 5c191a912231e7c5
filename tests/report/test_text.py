"""Tables for people: units, widths, no blanks at the ends; never colour outside a terminal."""

from __future__ import annotations

from io import StringIO

import pytest

from calisim.report.text import paragraph, share, show, table


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def shown(*parts):
    text = StringIO()
    show(parts, text)
    return text.getvalue()


def test_numbers_to_the_right_words_whole():
    text = shown(table("Title", ["!Reason", "#Lost (pkt)"], [["IGW_NO_PUBLIC_ADDRESS", "5"], ["RPF", "1,000"]]))
    assert text.splitlines() == [
        "Title", " " * 23 + "Lost", "Reason                (pkt)", "─" * 27,
        "IGW_NO_PUBLIC_ADDRESS     5", "RPF                   1,000"]


def test_an_empty_line_between_parts():
    assert shown(paragraph("one"), paragraph("two")) == "one\n\ntwo\n"


@pytest.mark.parametrize("columns", ["1", "0", "nonsense", "60", "200"])
def test_any_width_works(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    text = shown(paragraph("word " * 100))
    assert max(map(len, text.splitlines())) <= max(int(columns) if columns.isdecimal() and int(columns) else 120, 60)


def test_markup_in_names_is_text():
    assert "[bold]x[/bold]" in shown(table("t", ["a"], [["[bold]x[/bold]"]]))


def test_shares_never_hide_a_few():
    assert [share(0, 10), share(1, 1_000_000), share(1, 3), share(0, 0)] == ["0.0", "<0.1", "33.3", "–"]
