"""Small clusters under policy: a scenario with one node, pods as given, and documents as somebody would write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from calisim.analysis.network import Network
from calisim.scenario.load import load

SCENARIO = {
    "apiVersion": "calisim/v1", "kind": "Scenario", "metadata": {"name": "small"}, "spec": {
        "vpcs": {"v": {"cidrs": ["172.20.0.0/16"], "subnets": {"a": {"cidr": "172.20.0.0/24"}}}},
        "nodes": [{"name": "n", "subnet": "a", "count": 2, "sourceDestCheck": False}]}}
POOL = """
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pods}
spec: {cidr: 10.0.0.0/16}
"""


def pod(name: str, *, labels: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """``pod("shop/web", count=2)`` has the label app: web."""
    namespace, _, own = name.rpartition("/")
    return {"name": own, "namespace": namespace, "labels": {"app": own} if labels is None else labels, **more}


SHOP = [pod("shop/web"), pod("shop/db", ports=[{"name": "pg", "port": 5432}]), pod("other/web"), pod("kube-system/dns")]


def written(folder: Path, policies: str = "", pods: list[dict[str, Any]] | None = None, **spec: Any) -> str:
    """A scenario file; policies begin on line 3."""
    scenario = {**SCENARIO, "spec": {**SCENARIO["spec"], "pods": SHOP if pods is None else pods, **spec}}  # type: ignore[dict-item]
    path = folder / "small.yaml"
    path.write_text(f"{json.dumps(scenario)}\n---\n{policies.strip().removeprefix('---')}{POOL}")
    return str(path)


def small(folder: Path, policies: str = "", pods: list[dict[str, Any]] | None = None, **spec: Any) -> Network:
    return Network(load(written(folder, policies, pods, **spec)), engine="reference")


def kubernetes(name: str, spec: str, namespace: str = "shop") -> str:
    metadata = f"{{name: {name}, namespace: {namespace}}}"
    return f"---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {metadata}\nspec: {spec}\n"


def calico(name: str, spec: str, kind: str = "GlobalNetworkPolicy", namespace: str = "") -> str:
    where = f", namespace: {namespace}" if namespace else ""
    return f"---\napiVersion: projectcalico.org/v3\nkind: {kind}\nmetadata: {{name: {name}{where}}}\nspec: {spec}\n"


def admin(name: str, priority: int, rules: str, kind: str = "AdminNetworkPolicy") -> str:
    rank = f"priority: {priority}, " if kind == "AdminNetworkPolicy" else ""
    return (f"---\napiVersion: policy.networking.k8s.io/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\n"
            f"spec: {{{rank}subject: {{namespaces: {{}}}}, {rules}}}\n")
