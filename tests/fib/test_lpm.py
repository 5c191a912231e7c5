"""The 16-10-6 table against a linear scan over the prefixes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calisim import _fastpath
from calisim.fib import lpm
from calisim.fib.compiler import compile
from calisim.quantities import Prefix, mask_of
from tests.intents import three_zones

LENGTHS = st.one_of(st.integers(0, 32), st.sampled_from([0, 8, 15, 16, 17, 24, 25, 26, 27, 31, 32]))
NEAR = st.one_of(st.integers(0, 2**32 - 1), st.integers(0x0A000000, 0x0A0200FF), st.just(0xFFFFFFFF))
PREFIXES = st.lists(
    st.builds(lambda address, length: Prefix(address & mask_of(length), length), NEAR, LENGTHS), max_size=24)


def table_of(prefixes: list[Prefix]) -> np.ndarray:
    """Class of a prefix = its position + 1; 0 where none matches."""
    intervals = lpm.Intervals(prefixes)
    return lpm.build(intervals.starts, intervals.matches + 1)


def longest(prefixes: list[Prefix], address: int) -> int:
    """Position + 1 of the longest prefix; of equal ones the first."""
    fitting = [i for i, prefix in enumerate(prefixes) if address in prefix]
    return 1 + min(fitting, key=lambda i: (-prefixes[i].length, i)) if fitting else 0


def around(prefixes: list[Prefix]) -> list[int]:
    """Addresses at the edges of prefixes, and of all there are."""
    edges = [edge + step for p in prefixes for edge in (p.network, p.last) for step in (-1, 0, 1)]
    return [*(edge for edge in edges if 0 <= edge < 2**32), 0, 2**32 - 1]


@settings(max_examples=60)
@given(PREFIXES, st.lists(NEAR, max_size=8))
def test_lookup_agrees(prefixes: list[Prefix], addresses: list[int]) -> None:
    table = table_of(prefixes)
    for address in [*around(prefixes), *addresses]:
        assert lpm.lookup(table, address) == longest(prefixes, address)


@pytest.fixture(scope="module")
def image() -> dict[str, np.ndarray]:
    found = compile(three_zones().build())
    return {**found.arrays, "places": found.places, "objects": found.objects}


@settings(max_examples=60)
@given(prefixes=PREFIXES, more=st.lists(NEAR, max_size=8))
def test_compiled_lookup_agrees(image: dict[str, np.ndarray], prefixes: list[Prefix], more: list[int]) -> None:
    addresses = np.array([*around(prefixes), *more], np.uint32)          # of any length: they are looked up four at a time
    found = np.full(len(addresses), 77, np.uint32)
    _fastpath.lookup(_fastpath.Tables(**{**image, "lpm": table_of(prefixes)}), addresses, found)
    assert found.tolist() == (lpm.Intervals(prefixes).match(addresses) + 1).tolist()


@settings(max_examples=60)
@given(PREFIXES)
def test_the_most_that_a_lookup_finds_is_known(prefixes: list[Prefix]) -> None:
    assert lpm.most(table_of(prefixes)) == max(lpm.Intervals(prefixes).matches) + 1


@settings(max_examples=60)
@given(PREFIXES, st.data())
def test_no_lookup_leaves_a_table_that_is_found_sound(prefixes: list[Prefix], data: st.DataObject) -> None:
    table = table_of([*prefixes, Prefix(0x0A000008, 32)])
    cell = data.draw(st.sampled_from([0x0A00, lpm.ROOT, len(table) - 1]) | st.integers(0, len(table) - 1))
    place = data.draw(st.sampled_from([0, lpm.ROOT, len(table) - lpm.LEAF, len(table) - lpm.BRANCH, int(table.argmax())]))
    table[cell] = place + data.draw(st.integers(0, 1)) + data.draw(st.sampled_from([0, lpm.DEEPER]))
    most = lpm.most(table)
    if most < lpm.DEEPER:
        found = [lpm.lookup(table, address) for address in [*around(prefixes), *range(0x0A000000, 0x0A010000, 61), cell << 16]
                 if address < 2**32]
        assert max(found) <= most


@given(st.sets(st.integers(0, 40), max_size=12), st.sampled_from([0, 0xFFFFFFFF - 40]))
def test_prefixes_in_order_and_apart_are_cut_as_any_others(addresses: set[int], base: int) -> None:
    prefixes = [Prefix(base + address, 32) for address in sorted(addresses)]
    asked = np.arange(base, base + 41)
    ordered, turned = lpm.Intervals(prefixes), lpm.Intervals([*prefixes[::-1], Prefix(0, 0)])
    assert np.array_equal(ordered.starts, turned.starts) and (ordered.parents == -1).all()
    wanted = [prefixes.index(Prefix(address, 32)) if Prefix(address, 32) in prefixes else -1 for address in asked.tolist()]
    assert ordered.match(asked).tolist() == ordered.match_ascending(asked).tolist() == wanted


def test_match_agrees() -> None:
    prefixes = [Prefix(0x0A000000, 8), Prefix(0x0A000000, 26), Prefix(0x0A000010, 32), Prefix(0x0A000000, 26)]
    addresses = np.array([0x0A000000, 0x0A000010, 0x0A000040, 0x0B000000])
    assert lpm.Intervals(prefixes).match(addresses).tolist() == [1, 2, 0, -1]


def test_parents_are_the_next_shorter_prefixes() -> None:
    prefixes = [Prefix(0, 0), Prefix(0x0A000000, 26), Prefix(0x0A000000, 8), Prefix(0x0A000010, 32), Prefix(0x0B000000, 8)]
    assert lpm.Intervals(prefixes).parents.tolist() == [-1, 2, 0, 1, 0]


def test_size_edges() -> None:
    root, branch, leaf = lpm.ROOT, lpm.BRANCH, lpm.LEAF
    assert len(table_of([])) == root + branch                                   # all /16s share one
    assert len(table_of([Prefix(0, 0)])) == root + branch
    assert len(table_of([Prefix(0x0A000000, 16), Prefix(0x0B000000, 8)])) == root + 3 * branch     # one for each class
    assert len(table_of([Prefix(0x0A000000, 17)])) == root + 2 * branch
    assert len(table_of([Prefix(0x0A000000, 26), Prefix(0x0A000040, 26)])) == root + 2 * branch    # blocks need no leaf
    assert len(table_of([Prefix(0x0A000000, 27), Prefix(0x0A000008, 32)])) == root + 2 * branch + leaf


def test_classes_may_be_integers_of_any_kind() -> None:
    intervals = lpm.Intervals([Prefix(0x0A000000, 8), Prefix(0x0A010000, 26)])
    wide = lpm.build(intervals.starts, intervals.matches + 1)
    assert np.array_equal(wide, lpm.build(intervals.starts, (intervals.matches + 1).astype(np.uint32)))
