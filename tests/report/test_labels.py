"""A name on one line, of a bounded length, with nothing that acts."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from calisim.report.labels import LONGEST, clean, columns, label, wrapped


@given(st.text())
def test_a_label_is_one_line_of_what_can_be_seen(text):
    shown = label(text)
    assert columns(shown) <= LONGEST and len(shown.splitlines()) <= 1
    kinds = {unicodedata.category(char) for char in shown if char not in "\u200c\u200d"}
    assert not kinds & {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}


@given(st.text(st.characters(whitelist_categories=["L", "N", "P"])))
def test_what_can_be_seen_stays(text):
    assert clean(text) == text


def test_what_cannot_be_seen_is_marked_not_dropped():
    assert clean("a\u202eb\x00c\nd") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c d"


def test_of_a_long_name_beginning_and_end_are_kept():
    shown = label("checkout-frontend-deployment-7c9d8b6f5-x7k2p", 20)
    assert shown == "checkout-fro…5-x7k2p" and len(shown) == 20


def test_wide_letters_count_twice():
    assert columns("あa") == 3 and label("あ" * 22) == "あ" * 22
    shown = label("あ" * 40)
    assert columns(shown) in (LONGEST - 1, LONGEST) and "…" in shown


def test_a_long_sentence_ends_in_an_ellipsis():
    lines = wrapped("word " * 200, 20, 3)
    assert len(lines) == 3 and lines[-1].endswith("…") and max(map(len, lines)) <= 20
