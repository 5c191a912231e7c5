"""Whole journeys through the compiled core, and through the reference: what a packet costs from pod to pod."""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks.conftest import per_second, pod_packets

from calisim.analysis.network import Network

WAVE = 1 << 18


@pytest.mark.parametrize("nodes", [12, 300, 5000])
@pytest.mark.parametrize("outside", [0.0, 0.15], ids=["pods", "snat15"])
@pytest.mark.parametrize("threads", [1, 2])
def bench_fast(benchmark: Any, scenario: Any, nodes: int, outside: float, threads: int) -> None:
    """New connections in the first round, known ones in the others."""
    network = Network(scenario(nodes))
    engine, packets = network.engine, pod_packets(network.intent, WAVE, outside=outside)
    state = engine.new_state()
    benchmark.pedantic(engine.forward, (packets, state), {"threads": threads}, rounds=5, warmup_rounds=1)
    per_second(benchmark, WAVE)


@pytest.mark.parametrize("nodes", [12, 300])
def bench_reference(benchmark: Any, scenario: Any, nodes: int) -> None:
    """The readable twin, on few packets."""
    network = Network(scenario(nodes), engine="reference")
    engine, packets = network.engine, pod_packets(network.intent, 2000)
    benchmark.pedantic(lambda: engine.forward(packets, engine.new_state()), rounds=3, warmup_rounds=1)
    per_second(benchmark, len(packets))
