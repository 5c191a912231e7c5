"""Policy from documents to programs: 1 to 10,000 policies of usual shape over 150,000 pods."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

import calisim
from calisim.control.objects import Objects
from calisim.control.policy.resolve import police
from calisim.model.topology import build

PODS, NAMESPACES, APPS = 150_000, 200, 10

HEAD = """
apiVersion: calisim/v1
kind: Scenario
metadata: {name: policies}
spec:
  provider: plain
  vpcs: {v: {cidrs: [10.0.0.0/16], subnets: {s: {zone: a, cidr: 10.0.0.0/16}}}}
  nodes: [{name: n, count: 5000, subnet: s}]
  pods:
"""
GROUP = """\
  - {{name: a{app}, namespace: ns{namespace}, labels: {{app: a{app}}}, count: {count}, ports: [{{name: http, port: 8080}}]}}
"""
POLICY = """---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: np{number}, namespace: ns{namespace}}}
spec:
  podSelector: {{matchLabels: {{app: a{app}}}}}
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - podSelector: {{matchLabels: {{app: a{peer}}}}}
    - namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: ns{other}}}}}
    ports: [{{port: http}}, {{port: 80}}]
  egress:
  - to: [{{ipBlock: {{cidr: 10.{net}.0.0/16, except: [10.{net}.1.0/24]}}}}]
"""


def write(path: Path, policies: int) -> str:
    draw = random.Random(1)
    count = PODS // NAMESPACES // APPS
    text = [HEAD]
    text += [GROUP.format(app=app, namespace=namespace, count=count) for namespace in range(NAMESPACES) for app in range(APPS)]
    text += [
        POLICY.format(number=number, namespace=number % NAMESPACES, app=draw.randrange(APPS), peer=draw.randrange(APPS),
                      other=draw.randrange(NAMESPACES), net=number % 256) for number in range(policies)]
    path.write_text("".join(text))
    return str(path)


@pytest.mark.parametrize("policies", [1, 10, 100, 1_000, 10_000])
@pytest.mark.parametrize("step", ["read", "resolve"])
def bench_policies(benchmark: Any, tmp_path: Path, policies: int, step: str) -> None:
    """``read``: the whole file to a scenario. ``resolve``: policies, identities, sets and programs alone."""
    path = write(tmp_path / "policies.yaml", policies)
    if step == "read":
        benchmark.pedantic(calisim.load, (path,), rounds=3)
        return
    topology = build(calisim.load(path))
    addresses = range(1, len(topology.entities.pods) + 1)
    made = benchmark.pedantic(
        lambda: police(topology.resources.policy, topology.entities, addresses, Objects()), rounds=3, warmup_rounds=1)
    benchmark.extra_info |= {
        "pods": len(addresses), "identities": len(made.identities), "programs": len(made.programs), "sets": len(made.sets)}
