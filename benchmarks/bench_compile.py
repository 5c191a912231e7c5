"""From a scenario to tables: reading, topology, control plane, compilation."""

from __future__ import annotations

from typing import Any

import pytest

from calisim.analysis.network import Network
from calisim.control.resolve import resolve
from calisim.fib.compiler import compile
from calisim.model.topology import build


@pytest.mark.parametrize("nodes", [12, 300, 5000])
@pytest.mark.parametrize("floor", ["topology", "intent", "image"])
def bench_floor(benchmark: Any, scenario: Any, nodes: int, floor: str) -> None:
    """One floor alone, what lies below it made before."""
    made = scenario(nodes)
    network = Network(made)
    step = {
        "topology": lambda: build(made), "intent": lambda: resolve(network.topology), "image": lambda: compile(network.intent),
    }[floor]
    if floor == "image":
        assert network.intent                            # made before the clock runs
    benchmark.pedantic(step, rounds=3 if nodes == 5000 else 5, warmup_rounds=1)
    benchmark.extra_info["pods"] = nodes // 3 * 3 * 30
    if floor == "image":
        benchmark.extra_info["bytes"] = network.image.nbytes
