"""YAML text → values with places; its surprises; its bounds."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from calisim.errors import Mark
from calisim.scenario import reader

def value(text: str) -> object:
    documents, problems = reader.parse(text, "f")
    assert not problems
    return documents[0].value


def test_every_value_and_key_knows_its_place() -> None:
    (document,), problems = reader.parse('a: 1\nb: [x, {c: "no"}]\nd:\n  e: é f\n', "f")
    assert not problems
    assert document.value == {"a": 1, "b": ["x", {"c": "no"}], "d": {"e": "é f"}}
    assert document.marks[("b", 1, "c")] == Mark("f", 2, 12)
    assert document.keys[("b", 1, "c")] == Mark("f", 2, 9)
    assert document.marks[("d",)] == Mark("f", 4, 3) and document.keys[("d",)] == Mark("f", 3, 1)
    assert document.mark_of(("d", "e", "nowhere")) == Mark("f", 4, 6)


@pytest.mark.parametrize(("text", "expected"), [
    ("no", False), ("On", True), ("~", None), ("0x10", 16), ("0o17", 15), ("017", 15), ("1_000", 1000), ("-5", -5),
    ("1e3", 1000.0),
    (".5", 0.5), ("1.", 1.0), ("22:22", "22:22"), ("2026-01-01", "2026-01-01"), ("+", "+"), ("-", "-"), (".", "."), ("0x", "0x"),
    ("NO", False), ("nO", "nO"), ("1.2.3.4", "1.2.3.4"), ("9" * 40, "9" * 40), ("all()", "all()"), ("089", "089"),
])
def test_plain_scalars_are_read_as_kubernetes_tools_read_them(text: str, expected: object) -> None:
    found = reader.scalar(text)
    assert found == expected and type(found) is type(expected)


def test_quotes_and_tags_make_text() -> None:
    assert value("['no', \"1\", !!str 1, !!int 7, ! 5]") == ["no", "1", "1", 7, "5"]


def test_keys_are_text_whatever_they_look_like() -> None:
    assert value("{no: 1, 2: 3, ~: 4}") == {"no": 1, "2": 3, "~": 4}


def test_aliases_and_merges_keep_the_places_of_what_they_stand_for() -> None:
    (document,), problems = reader.parse("a: &x {k: [1, 2], l: 3}\nb: *x\nc: {<<: *x, l: 4}\nd: {<<: [*x, {m: 5}]}\n", "f")
    assert not problems
    assert document.value["b"] == {"k": [1, 2], "l": 3}
    assert document.value["c"] == {"k": [1, 2], "l": 4}
    assert document.value["d"] == {"k": [1, 2], "l": 3, "m": 5}
    assert document.marks[("b", "k", 1)] == document.marks[("a", "k", 1)] == Mark("f", 1, 15)
    assert document.marks[("c", "k", 0)].line == 1 and document.marks[("c", "l")].line == 3
    assert document.marks[("d", "m")].line == 4


def test_reading_goes_on_after_a_document_with_faulty_syntax() -> None:
    documents, problems = reader.parse("a: 1\n---\nb: [1\n---\nc: 3\n---\n- x: y: z\n---\nd: 4\n", "f")
    assert [document.value for document in documents] == [{"a": 1}, {"c": 3}, {"d": 4}]
    assert [problem.mark.line for problem in problems] == [4, 7]
    assert documents[2].marks[("d",)] == Mark("f", 9, 4)


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 5_000 + "x", "{a: " * 3_000, "&a [*a]", "? [a]\n: b", "*a : 1"])
def test_hostile_structure_is_one_problem(text: str) -> None:
    documents, problems = reader.parse(text, "f")
    assert not documents and len(problems) == 1


def test_aliases_count_what_they_stand_for() -> None:
    levels = (f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]\n" for n in range(1, 30))
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x]\n" + "".join(levels)
    documents, problems = reader.parse(bomb, "f")
    assert not documents
    assert [problem.message for problem in problems] == ["aliases expand the file to more than 1,000,000 values"]


def test_large_files_are_refused_before_they_are_read() -> None:
    text, problems = reader.decode(b"x" * (reader.MAX_BYTES + 1), "f")
    assert not text and "more than 67,108,864 bytes" in problems[0].message


def test_byte_order_mark_and_line_ends_of_other_systems() -> None:
    assert reader.decode("\ufeffa: 1\r\nb: 2\rc: 3\n".encode(), "f") == ("a: 1\nb: 2\nc: 3\n", [])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-10**20, 10**20) | st.text("abz019 :-#{}[]'\"!&*?|>%@`~.\n", max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abno01 :", min_size=1, max_size=4), inner, max_size=4),
    max_leaves=20)


@settings(max_examples=150)
@given(JSON)
def test_what_yaml_writes_is_read_back(written: object) -> None:
    documents, problems = reader.parse(yaml.safe_dump({"top": written}), "f")
    assert not problems
    assert documents[0].value == {"top": written}


@settings(max_examples=300)
@given(st.text("ab:-[]{}&*!|>'\"%@#, \n\t?<~=1", max_size=60))
def test_no_text_makes_it_fail(text: str) -> None:
    documents, problems = reader.parse(text, "f")
    for problem in problems:
        assert problem.message and problem.hint and problem.mark.line >= 1
    assert isinstance(documents, list)
