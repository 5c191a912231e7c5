"""The 16-8-8 table against a linear scan over the prefixes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from calisim.fib import lpm
from calisim.quantities import Prefix, mask_of

LENGTHS = st.one_of(st.integers(0, 32), st.sampled_from([0, 8, 15, 16, 17, 23, 24, 25, 31, 32]))
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


@settings(max_examples=60)
@given(PREFIXES, st.lists(NEAR, max_size=8))
def test_lookup_agrees(prefixes: list[Prefix], addresses: list[int]) -> None:
    table = table_of(prefixes)
    edges = [edge + step for p in prefixes for edge in (p.network, p.last) for step in (-1, 0, 1) if 0 <= edge + step < 2**32]
    for address in [*edges, *addresses, 0, 2**32 - 1]:
        assert lpm.lookup(table, address) == longest(prefixes, address)


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
    assert len(table_of([])) == lpm.ROOT                                        # nothing deeper than the root
    assert len(table_of([Prefix(0x0A000000, 16)])) == lpm.ROOT
    assert len(table_of([Prefix(0x0A000000, 24)])) == lpm.ROOT + 256            # one chunk
    assert len(table_of([Prefix(0x0A000000, 26), Prefix(0x0A000040, 26)])) == lpm.ROOT + 512
