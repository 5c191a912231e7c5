"""Packets to services: each new one is balanced over 360 pods, known ones keep their endpoint."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from benchmarks.conftest import per_second, pod_packets

import calisim
from calisim.analysis.network import Network
from calisim.bench import workloads
from calisim.bench.digest import columns_of, digest

PODS = "    - {name: app-0, labels: {app: web}, perNode: 30}"
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
    path = tmp_path / "services.yaml"
    path.write_text(workloads.scenario_text(12, policies=0, pods=PODS) + "".join(
        SERVICES.format(number=number, third=1 + number // 250, fourth=1 + number % 250) for number in range(services)))
    network = Network(calisim.load(str(path)))
    engine, packets = network.engine, pod_packets(network, 1 << 16)
    addresses = np.array([frontend.address for frontend in network.intent.services.frontends], np.uint32)
    packets["dst"] = addresses[np.random.default_rng(2).integers(len(addresses), size=len(packets))]
    packets["dport"], packets["protocol"], packets["tcp_flags"] = 80, 6, 2
    state = engine.new_state()
    engine.forward(packets, state)
    done = benchmark.pedantic(
        lambda: engine.forward(packets, state if known else engine.new_state()), rounds=5, warmup_rounds=1)
    per_second(benchmark, len(packets), digest=digest(columns_of(done.results)))
