"""Where the peer of addresses changes, against asking every address."""

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calisim.fib.lpm import Intervals
from calisim.fib.peers import _changes
from calisim.quantities import Prefix

TOP = 0xFFFFFFC0                      # the last /26
STRETCHES = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 6), st.integers(1, 3)), max_size=8)   # gap, size, peer


@given(st.sampled_from([0, TOP]), STRETCHES, st.sets(st.integers(0, 7)), st.randoms())
def test_stretches_lie_over_what_is_around_them(
    base: int, drawn: list[tuple[int, int, int]], eighths: set[int], chance: Random,
) -> None:
    intervals = Intervals([Prefix(base + 8 * eighth, 29) for eighth in sorted(eighths)])
    around = intervals.matches % 2 + 1
    asked = np.arange(base, base + 64)
    wanted = dict(zip(asked.tolist(), around[np.searchsorted(intervals.starts, asked, "right") - 1].tolist(), strict=True))
    rows, here = [], base
    for gap, size, peer in drawn:
        here += gap
        size = min(size, 8 - here % 8, base + 64 - here)          # none spans two intervals
        if size > 0:
            rows.append((here, size, peer))
            wanted |= dict.fromkeys(range(here, here + size), peer)
            here += size
    chance.shuffle(rows)
    starts, values = _changes(np.array(rows, np.int64).reshape(-1, 3), intervals, around)
    assert starts[0] == 0 and (np.diff(starts) > 0).all() and (np.diff(values) != 0).all()
    found = values[np.searchsorted(starts, asked, "right") - 1]
    assert found.tolist() == list(wanted.values())
