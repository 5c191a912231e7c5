"""The rivals of ``calisim bench`` at the same work, each a benchmark of its own."""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks.conftest import per_second

from calisim.bench.digest import digest
from calisim.bench.rows import Bench, rows

RIVALED = {
    "lookup-uniform": ("numpy", "Python", "numba", "pytricia", "py-radix"), "path-pods-uniform": ("numpy", "numba"),
    "path-uniform": ("numpy", "numba"), "snat-established": ("numba",), "snat-new": ("numba",), "bytes": ("scapy",)}


@pytest.mark.parametrize(("name", "rival"), [(name, rival) for name, rivals in RIVALED.items() for rival in rivals])
def bench_rival(benchmark: Any, suite: Bench, name: str, rival: str) -> None:
    row = rows(suite)[name]()
    skipped = dict(row.skipped)
    if rival in skipped:
        pytest.skip(skipped[rival])
    one = next(one for one in row.rivals if one.name == rival)
    benchmark.group = row.title
    benchmark.pedantic(one.work, setup=lambda: one.reset() and None, rounds=row.rounds, warmup_rounds=1)
    per_second(benchmark, one.count, row.unit, digest(one.output()) if one.output else "")
    benchmark.extra_info["version"] = one.version
