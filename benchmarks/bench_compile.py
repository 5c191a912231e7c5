"""From a scenario to tables: topology, control plane, compilation. (From YAML, and its memory: ``bench_rows.py``.)"""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks.conftest import per_second

from calisim.control.resolve import resolve
from calisim.fib.compiler import compile
from calisim.model.topology import build


@pytest.mark.parametrize("nodes", [12, 300, 5000])
@pytest.mark.parametrize("floor", ["topology", "intent", "image"])
def bench_floor(benchmark: Any, networks: Any, nodes: int, floor: str) -> None:
    """One floor alone, what lies below it made before."""
    network = networks(nodes)
    assert network.image                                 # all floors made before the clock runs
    step = {
        "topology": lambda: build(network.scenario), "intent": lambda: resolve(network.topology),
        "image": lambda: compile(network.intent),
    }[floor]
    benchmark.pedantic(step, rounds=3 if nodes == 5000 else 5, warmup_rounds=1)
    per_second(benchmark, 1, "builds", network.image.digest[:16])
    benchmark.extra_info |= {"pods": 30 * nodes, "bytes": network.image.nbytes}
