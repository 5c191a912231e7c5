"""Policy: the stage alone over the number of policies, and what it takes to build many on a large cluster.

The shape is the usual one: every application denies what it was not told of, and allows a few others on its own port.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.conftest import per_second

import calisim
from calisim import _fastpath
from calisim.analysis.network import Network
from calisim.bench import workloads
from calisim.control.resolve import resolve
from calisim.fib.compiler import compile

WAVE = 1 << 18
POLICY = """---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: to-app-{number}, namespace: team-{team}}}
spec:
  podSelector: {{matchLabels: {{app: app-{number}}}}}
  policyTypes: [Ingress]
  ingress:
    - from: [{{podSelector: {{matchLabels: {{app: app-{first}}}}}}}, {{podSelector: {{matchLabels: {{app: app-{second}}}}}}}]
      ports: [{{protocol: TCP, port: {port}}}]
    - from: [{{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: monitoring}}}}}}]
      ports: [{{protocol: TCP, port: 9090}}]
"""
TEAM = 20                             # applications of a namespace


@pytest.fixture(scope="session")
def policed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, int], Any]:
    """A scenario with that many applications, each under a policy, and pods shared out among them."""
    folder = tmp_path_factory.mktemp("policies")
    made: dict[tuple[int, int], Any] = {}

    def make(policies: int, pods: int) -> Any:
        if (policies, pods) not in made:
            third, parts = pods // 90, max(1, 300 // policies)     # pods of an application that run on one node
            groups = "".join(
                f"    - {{name: app-{i}-{part}, namespace: team-{i // TEAM}, labels: {{app: app-{i}}}, "
                f"count: {pods // policies // parts}, node: {'abc'[(i + part) % 3]}-{(i + part) // 3 % third + 1}}}\n"
                for i in range(policies) for part in range(parts))
            path: Path = folder / f"{policies}-{pods}.yaml"
            path.write_text(
                workloads.scenario_text(3 * third, policies=0, pods=groups)
                + "".join(_policy(number, policies) for number in range(policies)))
            made[policies, pods] = calisim.load(str(path))
        return made[policies, pods]

    return make


def _policy(number: int, count: int) -> str:
    """Neighbours in the namespace may come."""
    team = number // TEAM
    first, second = (min(team * TEAM + (number + step) % TEAM, count - 1) for step in (1, 7))
    return POLICY.format(number=number, team=team, first=first, second=second, port=8000 + number % 50)


def openings(intent: Any, policies: int, count: int) -> np.ndarray:
    """Packets from anywhere; half of them to the port that the receiver has, by an application that may."""
    packets = workloads.flows(workloads.pods_of(intent), count)
    chance = np.random.default_rng(2)
    packets["protocol"] = workloads.TCP
    packets["dport"] = 8000 + chance.integers(50, size=count)
    pods = [one for one in intent.endpoints if one.name.count("/app-")]
    of_app: dict[int, list[Any]] = {}
    for pod in pods:
        of_app.setdefault(int(pod.name.split("/app-")[1].split("-")[0]), []).append(pod)
    receivers = chance.integers(len(of_app), size=count // 2)
    for row, app in enumerate(receivers.tolist()):
        team = app // TEAM
        sender = of_app[min(team * TEAM + (app + 1) % TEAM, policies - 1)]
        one, other = sender[row % len(sender)], of_app[app][row % len(of_app[app])]
        packets[row]["ingress"], packets[row]["src"], packets[row]["dst"] = one.id, one.address, other.address
        packets[row]["dport"] = 8000 + app % 50
    return packets[chance.permutation(count)]


@pytest.mark.parametrize("policies", [1, 10, 100, 1_000, 10_000])
def bench_stage(benchmark: Any, policed: Any, policies: int) -> None:
    """Both sides of packets that open connections."""
    network = Network(policed(policies, 15_000))
    packets = openings(network.intent, policies, WAVE)
    image = network.image
    tables = _fastpath.Tables(**image.arrays, places=image.places, objects=image.objects)
    reasons, deciders = np.zeros(WAVE, np.uint8), np.zeros(WAVE, np.uint32)
    benchmark.pedantic(_fastpath.police, (tables, packets, reasons, deciders), rounds=20, warmup_rounds=2)
    per_second(benchmark, WAVE)
    benchmark.extra_info["denied"] = round(np.count_nonzero(reasons) / WAVE, 3)
    benchmark.extra_info["bytes"] = sum(image.arrays[name].nbytes for name in (
        "peers", "atoms", "tiers", "steps", "matches", "terms", "indexes", "maps", "bits"))


@pytest.mark.parametrize("step", ["intent", "image"])
def bench_build(benchmark: Any, policed: Any, step: str) -> None:
    """10,000 policies on 150,000 pods: the control plane, then the tables."""
    network = Network(policed(10_000, 150_000))
    if step == "image":
        assert network.intent                            # made before the clock runs
    work = {"intent": lambda: resolve(network.topology), "image": lambda: compile(network.intent)}[step]
    benchmark.pedantic(work, rounds=1)
    if step == "image":
        benchmark.extra_info["bytes"] = network.image.nbytes
