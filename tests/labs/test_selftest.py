"""Every lab holds what it promises, with more than one seed."""

from __future__ import annotations

import pytest

from calisim.labs.lab import folders, load
from calisim.labs.selftest import selftest


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("lab", folders())
def test_fails_as_handed_out_passes_as_solved_and_every_hint_is_reached(lab: str, seed: int):
    assert selftest(load(lab, seed)).faults == ()


@pytest.mark.parametrize("lab", folders())
def test_seeds_make_variants(lab: str):
    assert len({load(lab, seed).start for seed in range(1, 21)}) > 3
