"""The selector language: grammar, meaning, canonical text, bounds."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from calisim.selector import MAX_DEPTH, MAX_LENGTH, SelectorError, parse

LABELS = st.sampled_from(["a", "b", "k8s.io/app", "x_y-z"])
TEXTS = st.sampled_from(["", "1", "12", "2", "web", "we'b", 'we"b'])
LABEL_SETS = st.dictionaries(LABELS, TEXTS, max_size=4)

OPERATORS = {
    "==": lambda value, operand: value == operand,
    "!=": lambda value, operand: value != operand,
    "contains": lambda value, operand: value is not None and operand in value,
    "starts with": lambda value, operand: value is not None and value[:len(operand)] == operand,
    "ends with": lambda value, operand: value is not None and value[::-1][:len(operand)] == operand[::-1],
}


def quoted(text):
    return f"'{text}'" if '"' in text else f'"{text}"'


# Expressions as (text, predicate): what they mean is said here a second time, by Python itself.
COMPARISONS = st.builds(
    lambda label, symbol, operand: (
        f"{label} {symbol} {quoted(operand)}", lambda labels: OPERATORS[symbol](labels.get(label), operand)),
    LABELS, st.sampled_from(sorted(OPERATORS)), TEXTS)
SETS = st.builds(
    lambda label, word, members: (
        f"{label} {word} {{{','.join(map(quoted, members))}}}",
        lambda labels: (labels.get(label) in members) == (word == "in")),
    LABELS, st.sampled_from(["in", "not in"]), st.lists(TEXTS, max_size=3))
ATOMS = st.one_of(
    COMPARISONS, SETS,
    LABELS.map(lambda label: (f"has({label})", lambda labels: label in labels)),
    st.sampled_from(["all()", "global()"]).map(lambda text: (text, lambda labels: True)))


def combined(inner):
    return st.one_of(
        inner.map(lambda one: (f"!({one[0]})", lambda labels: not one[1](labels))),
        st.builds(lambda one, two: (f"({one[0]} && {two[0]})", lambda labels: one[1](labels) and two[1](labels)), inner, inner),
        st.builds(lambda one, two: (f"({one[0]} || {two[0]})", lambda labels: one[1](labels) or two[1](labels)), inner, inner))


EXPRESSIONS = st.recursive(ATOMS, combined, max_leaves=8)


@given(EXPRESSIONS, LABEL_SETS)
def test_a_selector_means_what_its_operators_say(expression, labels):
    text, predicate = expression
    assert parse(text).matches(labels) == predicate(labels)


@given(EXPRESSIONS, LABEL_SETS)
def test_the_canonical_text_is_the_same_selector_inverse(expression, labels):
    selector = parse(expression[0])
    again = parse(selector.canonical)
    assert again.matches(labels) == selector.matches(labels)
    assert parse(again.canonical) == again          # the first round may still fold the !! of a group in a group


@given(EXPRESSIONS, LABEL_SETS)
def test_a_prefix_on_selector_and_labels_changes_nothing(expression, labels):
    selector = parse(expression[0])
    prefixed = {f"pcns.{name}": value for name, value in labels.items()}
    assert selector.with_prefix("pcns.").matches(prefixed) == selector.matches(labels)


@given(EXPRESSIONS, LABEL_SETS, st.integers(0, 9))
def test_negations_collapse_by_parity(expression, labels, count):
    plain = parse(f"({expression[0]})")
    assert parse("! " * count + f"({expression[0]})").matches(labels) == (plain.matches(labels) ^ (count % 2 == 1))


@given(st.text(alphabet="ab()!&|='\"{}, \tin", max_size=30))
def test_any_text_is_a_selector_or_a_selector_error_rejects(text):
    try:
        parse(text)
    except SelectorError as error:
        assert 1 <= error.column <= len(text) + 1


@pytest.mark.parametrize(("text", "labels", "expected"), [
    ("a == '1' && b == '1' || c == '1'", {"c": "1"}, True),
    ("a == '1' || b == '1' && c == '1'", {"b": "1"}, False),
    ("!a == '1' && b == '1'", {"a": "2", "b": "1"}, True),
    ("!a == '1' && b == '1'", {"a": "2"}, False),
    ("a!='1'", {}, True),
    ("a notin {'1'}", {}, True),
    ("a in {}", {"a": ""}, False),
    ("a in{'x',}", {"a": "x"}, True),
    ("a startswith 'x'", {"a": "xy"}, True),
    ("a\tends   with'y'", {"a": "xy"}, True),
    ("has == 'x'", {"has": "x"}, True),
    ("has( a )", {"a": ""}, True),
    ("in in {'in'}", {"in": "in"}, True),
])
def test_corners_of_the_grammar_edges(text, labels, expected):
    assert parse(text).matches(labels) is expected


@pytest.mark.parametrize(("text", "column"), [
    ("a = 'b'", 3), ("a == b", 6), ("has (a)", 5), ("all ()", 5), ("a in {,}", 7), ("a in {'b' 'c'}", 11), ("a == 'b' c", 10),
    ("a == 'b' &", 10), ("a == 'b", 6), ("a\n== 'b'", 2), ("a startswithx 'b'", 3), ("a innn {'b'}", 3),
    ("x" * 513 + " == 'a'", 1), ("é == 'a'", 1),
])
def test_faults_point_at_their_column_rejects(text, column):
    with pytest.raises(SelectorError) as caught:
        parse(text)
    assert caught.value.column == column


def test_hostile_texts_are_bounded():
    assert parse("(" * MAX_DEPTH + "has(a)" + ")" * MAX_DEPTH).canonical == "has(a)"
    for text in ("(" * (MAX_DEPTH + 1) + "has(a)" + ")" * (MAX_DEPTH + 1), "(" * 60_000, "a" * (MAX_LENGTH + 1)):
        with pytest.raises(SelectorError):
            parse(text)
    assert parse("!" * 60_001 + "has(a)").canonical == "!has(a)"
    assert parse("||".join(["has(a)"] * 5_000)).matches({"a": ""})
