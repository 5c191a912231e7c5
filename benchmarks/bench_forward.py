"""Whole journeys over size, traffic, wave and threads, and through the reference: what a packet costs from pod to pod."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from benchmarks.conftest import per_second, pod_packets

from calisim.analysis.network import Network
from calisim.bench import workloads
from calisim.bench.digest import columns_of, digest

PACKETS, FLOWS = 1 << 18, 50_000


@pytest.mark.parametrize("nodes", [12, 300, 5000])
@pytest.mark.parametrize("outside", [0.0, 0.15, 1.0], ids=["pods", "snat15", "snat100"])
@pytest.mark.parametrize("zipf", [False, True], ids=["uniform", "zipf"])
@pytest.mark.parametrize("wave", [1000, workloads.WAVE])
@pytest.mark.parametrize("threads", [1, 2])
def bench_fast(benchmark: Any, networks: Any, nodes: int, outside: float, zipf: bool, wave: int, threads: int) -> None:
    """New connections in the first round, known ones in the others."""
    network = networks(nodes)
    engine, flows = network.engine, pod_packets(network, FLOWS, outside=outside, lost=0.0 if outside == 1 else 0.06)
    state, waves = engine.new_state(), workloads.waves(workloads.packets_of(flows, PACKETS, zipf=zipf), wave)

    def forward() -> list[np.ndarray]:
        return [engine.forward(packets, state, threads=threads).results for packets in waves]

    results = benchmark.pedantic(forward, rounds=5, warmup_rounds=1)
    per_second(benchmark, PACKETS, digest=digest(columns_of(np.concatenate(results))))


@pytest.mark.parametrize("nodes", [12, 300])
def bench_reference(benchmark: Any, networks: Any, nodes: int) -> None:
    """The readable twin, on few packets."""
    network = Network(networks(nodes).scenario, engine="reference")
    engine, packets = network.engine, pod_packets(network, 2000)
    done = benchmark.pedantic(lambda: engine.forward(packets, engine.new_state()), rounds=3, warmup_rounds=1)
    per_second(benchmark, len(packets), digest=digest(columns_of(done.results)))
