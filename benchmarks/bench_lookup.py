"""Longest-prefix match alone over the size of the table; against rivals: ``bench_rivals.py``."""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks.conftest import per_second

from calisim.bench.digest import digest
from calisim.bench.rows import FULL, Bench, Lookup


@pytest.mark.parametrize("nodes", [12, 300, 5000])
@pytest.mark.parametrize("zipf", [False, True], ids=["uniform", "zipf"])
def bench_compiled(benchmark: Any, networks: Any, tmp_path: Any, nodes: int, zipf: bool) -> None:
    bench = Bench(FULL, tmp_path)
    bench.__dict__["network"] = networks(nodes)
    lookup = Lookup(bench, zipf=zipf)
    benchmark.pedantic(lookup.work, rounds=15, warmup_rounds=1)
    per_second(benchmark, len(lookup.addresses), "lookups", digest(lookup.output()))
