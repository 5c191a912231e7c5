"""Shared by the benchmarks: the clusters and packets of :mod:`calisim.bench.workloads`, and what stands beside every timing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import calisim
from calisim.analysis.network import Network
from calisim.bench import workloads
from calisim.bench.machine import commit, machine
from calisim.bench.rows import FULL, Bench


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Network]:
    """The cluster with that many nodes (30 pods each, a hundred policies), built once for each size and mode."""
    folder = tmp_path_factory.mktemp("scenarios")
    made: dict[tuple[int, str], Network] = {}

    def make(nodes: int, variant: str = "as-is") -> Network:
        key = nodes, variant
        if key not in made:
            made[key] = Network(calisim.load(workloads.write_scenario(folder, nodes)), variant)
        return made[key]

    return make


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The cluster of ``calisim bench``."""
    yield Bench(FULL, tmp_path_factory.mktemp("bench"))


def pod_packets(network: Network, count: int, *, outside: float = 0.0, lost: float = 0.0) -> np.ndarray:
    """One packet of each of that many flows."""
    return workloads.flows(workloads.pods_of(network.intent), count, outside=outside, lost=lost)


def per_second(benchmark: Any, count: int, what: str = "packets", digest: str = "") -> None:
    """Notes the rate and the time of each at the median round, the machine and the commit, and the digest of what came out."""
    if benchmark.stats:                                  # None under --benchmark-disable
        median = benchmark.stats["median"]
        benchmark.extra_info[f"{what}_per_second"] = round(count / median)
        benchmark.extra_info["nanoseconds_each"] = round(1e9 * median / count, 2)
    benchmark.extra_info |= {"machine": machine(), "commit": commit(), **({"digest": digest} if digest else {})}
