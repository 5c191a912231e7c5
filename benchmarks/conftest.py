"""Shared by the benchmarks: clusters of a given size, and packets per second beside every timing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import calisim

CLUSTER = """
apiVersion: calisim/v1
kind: Scenario
metadata: {{name: bench}}
spec:
  vpcs:
    v:
      cidrs: [172.20.0.0/16]
      internetGateway: true
      subnets:
        a: {{zone: a, cidr: 172.20.0.0/18}}
        b: {{zone: b, cidr: 172.20.64.0/18}}
        c: {{zone: c, cidr: 172.20.128.0/18}}
      securityGroups: {{nodes: {{ingress: [{{from: nodes}}]}}}}
  nodes:
    - {{name: a, count: {third}, subnet: a, securityGroups: [nodes], sourceDestCheck: false, publicIP: true}}
    - {{name: b, count: {third}, subnet: b, securityGroups: [nodes], sourceDestCheck: false, publicIP: true}}
    - {{name: c, count: {third}, subnet: c, securityGroups: [nodes], sourceDestCheck: false, publicIP: true}}
  pods:
    - {{name: web, labels: {{app: web}}, perNode: 30}}
  hosts:
    - {{name: api, ip: 203.0.113.10}}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {{name: pods}}
spec: {{cidr: 100.96.0.0/11, ipipMode: CrossSubnet, natOutgoing: true}}
"""


@pytest.fixture(scope="session")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Any]:
    """A scenario with that many nodes (rounded down to threes), 30 pods each."""
    folder = tmp_path_factory.mktemp("scenarios")

    def make(nodes: int) -> Any:
        path: Path = folder / f"{nodes}.yaml"
        path.write_text(CLUSTER.format(third=nodes // 3))
        return calisim.load(str(path))

    return make


def pod_packets(intent: Any, count: int, *, seed: int = 1, outside: float = 0.0) -> np.ndarray:
    """Random pod pairs; a share of the packets goes to the host outside instead."""
    from calisim.vocabulary import EndpointKind, PacketFlag

    chance = np.random.default_rng(seed)
    pods = np.array([(one.id, one.address) for one in intent.endpoints if one.kind is EndpointKind.POD], np.uint32)
    host = next(one.address for one in intent.endpoints if one.kind is EndpointKind.HOST)
    sender, receiver = chance.integers(len(pods), size=count), chance.integers(len(pods), size=count)
    packets = np.zeros(count, calisim.PACKET)
    packets["ingress"], packets["src"] = pods[sender].T
    packets["dst"] = np.where(chance.random(count) < outside, host, pods[receiver, 1])
    packets["sport"] = chance.integers(1024, 65536, size=count)
    packets["dport"], packets["protocol"], packets["tcp_flags"], packets["ttl"] = 80, 6, 2, 64
    packets["length"], packets["fragment"] = 1000, PacketFlag.DF
    return packets


def per_second(benchmark: Any, count: int, what: str = "packets") -> None:
    """Notes the rate of the median round."""
    if benchmark.stats:                                  # None under --benchmark-disable
        benchmark.extra_info[f"{what}_per_second"] = round(count / benchmark.stats["median"])
