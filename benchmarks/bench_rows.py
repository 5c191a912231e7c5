"""The rows of ``calisim bench``, calisim and every rival that is installed, one benchmark each."""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks.conftest import per_second

from calisim.bench.digest import digest
from calisim.bench.rows import ROWS, Bench, rows


@pytest.mark.parametrize("name", ROWS)
def bench_row(benchmark: Any, suite: Bench, name: str) -> None:
    """calisim's own work, timed; each rival then works as often, and must give the same."""
    row = rows(suite)[name]()
    own, rounds = row.own, 0

    def begin() -> None:
        nonlocal rounds
        rounds += 1
        own.reset()

    benchmark.group = row.title
    benchmark.pedantic(own.work, setup=begin, rounds=row.rounds, warmup_rounds=1)
    per_second(benchmark, own.count, row.unit, digest(own.output()) if own.output else "")
    benchmark.extra_info |= row.facts()
    for rival in row.rivals:
        for _ in range(rounds):                          # connections remember what they have had
            rival.reset()
            rival.work()
        if rival.output is not None and row.claims is not None:
            given = rival.output()
            assert digest(row.claims(rival.count, sorted(given))) == digest(given), f"{rival.name} gives something else"
