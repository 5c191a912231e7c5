"""The typical cluster: 100,000 known flows between pods, 15 % of them masqueraded, 6 % lost, wave by wave."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from benchmarks.conftest import per_second, pod_packets

from calisim.analysis.network import Network

FLOWS, PACKETS = 100_000, 1 << 18
LOST = 0.06                                              # half to addresses that nobody has, half with a TTL of 1


def known_flows(intent: Any) -> np.ndarray:
    """UDP, so that what is known of a flow does not depend on how often it is asked for."""
    chance, flows = np.random.default_rng(2), pod_packets(intent, FLOWS, outside=0.15)
    flows["protocol"], flows["tcp_flags"] = 17, 0
    fate = chance.random(FLOWS)
    nobody = fate < LOST / 2
    flows["dst"][nobody] = flows["dst"][nobody] & 0xFFFFFFC0 | 63
    flows["ttl"][(fate >= LOST / 2) & (fate < LOST)] = 1
    return flows


def drawn(flows: np.ndarray, traffic: str) -> np.ndarray:
    """Packets of the flows: each alike, or few of them most."""
    chance = np.random.default_rng(3)
    if traffic == "uniform":
        return flows[chance.integers(FLOWS, size=PACKETS)]
    return flows[chance.permutation(FLOWS)[np.minimum(chance.zipf(1.1, size=PACKETS), FLOWS) - 1]]


def digest(results: list[Any], state: Any) -> str:
    """Of all that was told: equal work, equal digest."""
    total = hashlib.blake2b(digest_size=8)
    for array in [*(one.results for one in results), state.links, state.drops, state.verdicts, state.connections()]:
        total.update(array.tobytes())
    return total.hexdigest()


@pytest.mark.parametrize("wave", [1000, 1 << 16])
@pytest.mark.parametrize("traffic", ["uniform", "zipf"])
@pytest.mark.parametrize("nodes", [12, 5000])
def bench_typical(benchmark: Any, scenario: Any, nodes: int, traffic: str, wave: int) -> None:
    """All flows are known when the clock starts; the digest is that of a run of its own."""
    network = Network(scenario(nodes))
    engine, flows = network.engine, known_flows(network.intent)
    packets, state = drawn(flows, traffic), engine.new_state()

    def run(waves: np.ndarray = packets) -> list[Any]:
        return [engine.forward(waves[first:first + wave], state) for first in range(0, len(waves), wave)]

    run(flows)
    benchmark.extra_info["digest"] = digest(run(), state)
    benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    per_second(benchmark, PACKETS)
