"""Columns that are not written out: turns, and ranges of addresses whose pods are of one router."""

from __future__ import annotations

from array import array

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calisim.fib.columns import Turning, _of_one_router, apart, ranges
from calisim.sequences import Joined, Turns

few = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(lambda numbers: array("q", numbers))


def joined(parts: list[tuple[array, int, int | None]]) -> Joined[int]:
    """Of first numbers, a size and a step; no step: any other sequence."""
    return Joined([Turns(first, size, step) if step is not None else first for first, size, step in parts])


@given(st.lists(st.tuples(few, st.integers(0, 12), st.none() | st.integers(0, 3))))
def test_turns_are_taken_as_the_sequence_takes_them(parts: list[tuple[array, int, int | None]]) -> None:
    sequence = joined(parts)
    numbers, pieces = Turning.of(sequence).at(np.arange(len(sequence)))
    assert numbers.tolist() == list(sequence)
    assert pieces.tolist() == [number for number, part in enumerate(sequence.parts) for _ in part]


@given(st.lists(few, min_size=1, max_size=3), st.lists(few, min_size=1, max_size=4), st.integers(1, 40))
def test_pods_of_a_range_are_of_its_router(routers: list[array], blocks: list[array], size: int) -> None:
    """Wherever addresses and routers begin to take turns."""
    of_routers = Joined([*(Turns(first, size // 2) for first in routers[:-1]), Turns(routers[-1], size * len(blocks))])
    addresses = Joined([
        Turns(array("q", [1000 * number + 100 * at for at in range(len(first))]), size, 1)
        for number, first in enumerate(blocks, start=1)])
    rows = _of_one_router(ranges(addresses), Turning.of(of_routers))
    wanted = {address: (position, of_routers[position]) for position, address in enumerate(addresses)}
    assert {address: (position, router) for address, _, position, _, router in apart(rows).tolist()} == wanted
    assert len(apart(rows)) == len(wanted)
