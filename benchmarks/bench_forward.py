"""Whole journeys through the compiled core, and through the reference: what a packet costs from pod to pod."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from benchmarks.conftest import CLUSTER, per_second, pod_packets

import calisim
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


SERVICES = """
---
apiVersion: v1
kind: Service
metadata: {{name: s{number}}}
spec: {{clusterIP: 10.96.{third}.{fourth}, selector: {{app: web}}, ports: [{{port: 80}}]}}
"""


@pytest.mark.parametrize("services", [1, 1000])
@pytest.mark.parametrize("known", [True, False], ids=["established", "new"])
def bench_services(benchmark: Any, tmp_path: Any, services: int, known: bool) -> None:
    """All packets go to services that every pod of 360 serves; each new one is balanced, known ones keep their endpoint."""
    path = tmp_path / "services.yaml"
    path.write_text(CLUSTER.format(third=4) + "".join(
        SERVICES.format(number=number, third=1 + number // 250, fourth=1 + number % 250) for number in range(services)))
    network = Network(calisim.load(str(path)))
    engine, packets = network.engine, pod_packets(network.intent, 1 << 16)
    addresses = np.array([frontend.address for frontend in network.intent.services.frontends], np.uint32)
    packets["dst"] = addresses[np.random.default_rng(2).integers(len(addresses), size=len(packets))]
    state = engine.new_state()
    engine.forward(packets, state)
    benchmark.pedantic(lambda: engine.forward(packets, state if known else engine.new_state()), rounds=5, warmup_rounds=1)
    per_second(benchmark, len(packets))
