"""Parts of a build: made once for equal inputs, and nothing of a branch is seen by its trunk."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from calisim.parts import Parts, collector_paused


def test_a_part_is_made_again_only_of_other_inputs() -> None:
    parts, made = Parts(), []

    def make(*inputs: object) -> list[object]:
        made.append(inputs)
        return [*inputs]

    first = parts.of("x", make, 1, (2, 3))
    assert parts.of("x", make, 1, (2, 3)) is first and made == [(1, (2, 3))]
    assert parts.of("x", make, 1, (2, 4)) == [1, (2, 4)] and parts.of("y", make, 1, (2, 4)) == [1, (2, 4)]
    assert parts.of("x", make, 1, (2, 3)) is not first and len(made) == 4          # only the latest is known


def test_a_part_that_could_not_be_made_is_tried_again() -> None:
    parts, answers = Parts(), iter([ValueError("no"), None])

    def make() -> str:
        if (error := next(answers)) is not None:
            raise error
        return "made"

    with pytest.raises(ValueError, match="no"):
        parts.of("x", make)
    assert parts.of("x", make) == "made"


def test_items_at_both_ends_are_taken_over() -> None:
    parts, made = Parts(), []

    def make(item: str, suffix: str) -> str:
        made.append(item)
        return item + suffix

    for items, new in (
        ("abc", "abc"), ("abc", ""), ("abxc", "x"), ("abxcy", "y"), ("zabxcy", "z"), ("ab", "ab"), ("", ""), ("aa", "aa"),
        ("aaa", "a"), ("bac", "bac"), ("bbac", "b"), ("bc", ""),
    ):
        made.clear()
        assert parts.each("x", make, list(items), "!") == [f"{item}!" for item in items]
        assert made == [*new], items
    made.clear()
    assert parts.each("x", make, ["b", "c"], "?") == ["b?", "c?"] and made == ["b", "c"]         # other inputs
    branch = parts.branch()
    assert branch.each("x", make, ["c"], "?") == ["c?"] and parts.each("x", make, ["b", "c"], "?") == ["b?", "c?"]
    assert made == ["b", "c"]


def test_what_depends_on_all_before_is_taken_over_up_to_the_first_change() -> None:
    parts, made = Parts(), []

    def sums(items: list[int], before: list[int], start: int) -> Iterator[int]:
        total = before[-1] if before else start
        for item in items:
            made.append(item)
            yield (total := total + item)

    for items, start, new, wanted in (
        ([1, 2, 3], 0, [1, 2, 3], [1, 3, 6]), ([1, 2, 3, 4], 0, [4], [1, 3, 6, 10]), ([1, 5, 3, 4], 0, [5, 3, 4], [1, 6, 9, 13]),
        ([1, 5], 0, [], [1, 6]), ([], 0, [], []), ([1, 5], 0, [1, 5], [1, 6]), ([1, 5], 7, [1, 5], [8, 13]),
    ):
        made.clear()
        branch = parts.branch()
        assert parts.onward("x", sums, items, start) == wanted and made == new
        assert branch.onward("x", sums, items, start) == wanted


def test_branches_do_not_see_each_other() -> None:
    trunk = Parts()
    first = trunk.of("x", list, "a")
    one, other = trunk.branch(), trunk.branch()
    assert one.of("x", list, "a") is first
    one.of("x", list, "b")
    assert other.of("x", list, "a") is first and trunk.of("x", list, "a") is first


def test_the_collector_is_as_it_was_afterwards() -> None:
    assert gc.isenabled()
    with pytest.raises(KeyError), collector_paused():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()
    gc.disable()
    try:
        with collector_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
