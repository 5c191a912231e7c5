"""A node's ports for one destination run out: the last tenth of them is given away, and what comes after that is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from benchmarks.conftest import per_second

from calisim.bench import workloads
from calisim.bench.digest import columns_of, digest

TENTH = workloads.NAT_PORTS // 10


@pytest.mark.parametrize(("taken", "count"), [(0.9, TENTH), (3.0, 1 << 16)], ids=["last-tenth", "none-left"])
@pytest.mark.parametrize("wave", [1000, workloads.WAVE])
def bench_exhaustion(benchmark: Any, networks: Any, taken: float, count: int, wave: int) -> None:
    """``taken``: connections tried before, of the 64,512 that there are ports for."""
    network = networks(12)
    before = round(taken * workloads.NAT_PORTS)
    packets = workloads.crowd(network.intent, before + count)
    waves, states = workloads.waves(packets[before:], wave), []

    def fill() -> None:
        states[:] = [network.engine.new_state()]
        network.engine.forward(packets[:before], states[0])

    def forward() -> list[np.ndarray]:
        return [network.engine.forward(part, states[0]).results for part in waves]

    results = benchmark.pedantic(forward, setup=fill, rounds=5, warmup_rounds=1)
    per_second(benchmark, count, "attempts", digest(columns_of(np.concatenate(results))))
