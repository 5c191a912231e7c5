"""One case's cluster and policies as the files that a user would write, read by the reader that reads users' files.

``cluster.yaml`` becomes a scenario with Kubernetes' own documents (Pod, Namespace, and Calico's WorkloadEndpoint where a pod
has profiles of its own); ``policies.yaml`` is applied as it stands. Names that no API server would take are put into lower
case: a name decides nothing. Felix' own tests hand policies to its data plane that Calico's API would refuse (port 0, ICMP
types without a protocol); those are read past the validation, and the case says so. What is expected is not known here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from ...control.intent import Intent
from ...control.resolve import resolve
from ...errors import ScenarioError
from ...model.topology import build
from ...scenario.calico import policies as rules
from ...scenario.documents import Document
from ...scenario.load import load
from ...scenario.policy_documents import PolicyDocuments
from ...scenario.scenario import Scenario
from ...scenario.sources import Sources
from ..files import read_bytes

MAX_BYTES = 16 << 20
_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CALICO = "projectcalico.org/v3"


@dataclass(frozen=True, slots=True)
class Model:
    """How pods' packets travel between nodes."""

    name: str
    ipip: str

    def tunnels(self, one_subnet: bool) -> bool:
        return self.ipip == "Always" or (self.ipip == "CrossSubnet" and not one_subnet)


MODELS = (Model("overlay-ipip", "Always"), Model("calico-cross-subnet", "CrossSubnet"), Model("calico-no-encap", "Never"))


@dataclass(frozen=True, slots=True)
class Case:
    """A cluster that is ready to be asked; ``addresses`` of its pods by NAMESPACE/NAME, as the case writes them.

    ``unlawful`` names the policies that Calico's API would refuse.
    """

    intent: Intent
    addresses: Mapping[str, str]
    model: Model
    unlawful: tuple[str, ...] = ()


def read(folder: Path, model: Model, outside: Sequence[str] = ()) -> Case:
    """``outside``: addresses beyond the cluster that packets will come from or go to."""
    cluster = yaml.load(read_bytes(folder / "cluster.yaml", MAX_BYTES), _LOADER)
    with TemporaryDirectory() as made:
        written = Path(made, "cluster.yaml")
        written.write_text("\n---\n".join(map(json.dumps, documents(cluster, model, outside))))
        policies = _lawfully_named(folder / "policies.yaml", Path(made, "policies.yaml"))
        unlawful = [document for path in policies for document in _refused(path)]
        scenario = load(written, apply=[] if unlawful else policies)
        if unlawful:
            scenario = _past_validation(scenario, policies)
    addresses = {f"{pod['namespace']}/{pod['name']}": pod["ip"] for pod in cluster["pods"]}
    return Case(resolve(build(scenario)), addresses, model, tuple(document.name for document in unlawful))


def _documents(path: str) -> tuple[Document, ...]:
    found, problems = Sources(Path()).applied(path)
    if problems:
        raise ScenarioError(problems)
    return found


def _refused(path: str) -> list[Document]:
    """Calico policies that only its validation is against."""
    kinds = rules.RULES
    return [
        document for document in _documents(path)
        if document.api_version == _CALICO and document.kind in kinds and any(kinds[document.kind](document.value))]


def _past_validation(scenario: Scenario, paths: Sequence[str]) -> Scenario:
    found = PolicyDocuments(note=lambda document, meaning: None)
    for path in paths:
        for document in _documents(path):
            found.read(document)
    return replace(scenario, resources=replace(scenario.resources, policy=found.resources()))


def documents(cluster: Mapping[str, Any], model: Model, outside: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The scenario, then everything in the cluster. No two pods share a node: of a node's pods the first stays, the others get
    nodes of their own in two subnets of their own. Pools are as small as pods, so that no address beside theirs is Calico's."""
    pods = [pod for pod in cluster["pods"] if not pod.get("hostNetwork")]
    taken = {thing["ip"] for thing in (*pods, *cluster["nodes"])}
    hosts = [address for address in dict.fromkeys(outside) if address not in taken]
    spare = _spare({*taken, *outside}, 3)
    nodes, homes = _apart(cluster["nodes"], pods, spare[:2])
    subnets = sorted({_around(node["ip"]) for node in nodes})
    yield {
        "apiVersion": "calisim/v1", "kind": "Scenario", "metadata": {"name": "case"}, "spec": {
            "provider": "plain",
            "vpcs": {"vpc": {"cidrs": subnets, "subnets": {f"s{number}": {"zone": "a", "cidr": cidr}
                                                            for number, cidr in enumerate(subnets)}}},
            "nodes": [
                {"name": node["name"], "address": node["ip"], "subnet": f"s{subnets.index(_around(node['ip']))}",
                 "labels": _texts(node.get("labels"))} for node in nodes],
            "hosts": [{"name": f"outside-{number}", "ip": address} for number, address in enumerate(hosts)]}}
    yield _pool("tunnels", spare[2], 32, model, ["Tunnel"])
    for number, pod in enumerate(pods):
        yield _pool(f"pod-{number}", f"{pod['ip']}/32", 32, model, ["Workload"])
    for namespace in cluster["namespaces"]:
        yield _document("v1", "Namespace", {"name": namespace["name"], "labels": _texts(namespace.get("labels"))})
    for pod, home in zip(pods, homes, strict=True):
        yield from _pod({**pod, "node": home})


def _apart(
    nodes: Sequence[Mapping[str, Any]], pods: Sequence[Mapping[str, Any]], subnets: Sequence[str],
) -> tuple[list[Mapping[str, Any]], list[str]]:
    """All nodes, and the node of each pod."""
    made, homes = list(nodes), list[str]()
    free = [islice(ip_network(subnet).hosts(), 10, None) for subnet in subnets]
    for number, pod in enumerate(pods):
        home = pod["node"]
        if home in homes:
            home = f"spare-{number}"
            made.append({"name": home, "ip": str(next(free[number % len(free)]))})
        homes.append(home)
    return made, homes


def _spare(taken: Iterable[str], count: int) -> list[str]:
    """Networks in which nothing of the case lies."""
    used = {int(ip_address(address)) >> 12 for address in taken if ":" not in address}
    candidates = (network for network in ip_network("198.18.0.0/15").subnets(new_prefix=20))
    return [str(network) for network in candidates if int(network.network_address) >> 12 not in used][:count]


def _pool(name: str, cidr: str, block: int, model: Model, uses: list[str]) -> dict[str, Any]:
    return _document(_CALICO, "IPPool", {"name": name}, {
        "cidr": cidr, "blockSize": block, "ipipMode": model.ipip, "natOutgoing": False, "allowedUses": uses})


def _pod(pod: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    place = {"name": pod["name"].lower(), "namespace": pod["namespace"]}
    account = {"serviceAccountName": pod["serviceAccount"]} if pod.get("serviceAccount") else {}
    yield _document("v1", "Pod", {
        **place, "labels": _texts(pod.get("labels")),
        "annotations": {"cni.projectcalico.org/ipAddrs": json.dumps([pod["ip"]])},
    }, {"nodeName": pod["node"], **account, "containers": [{"ports": pod.get("ports") or []}]})
    if pod.get("profiles") is not None:
        yield _document(_CALICO, "WorkloadEndpoint", place, {
            "node": pod["node"], "pod": place["name"], "interfaceName": "eth0", "profiles": pod["profiles"]})


def _document(version: str, kind: str, metadata: dict[str, Any], spec: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **({} if spec is None else {"spec": spec})}


def _texts(labels: Mapping[str, Any] | None) -> dict[str, str]:
    """Labels, where YAML may have made something else of a text."""
    return {name: value if isinstance(value, str) else "" if value is None else json.dumps(value)
            for name, value in (labels or {}).items()}


def _around(address: str) -> str:
    return str(ip_network(f"{address}/24", strict=False))


def _lawfully_named(policies: Path, rewritten: Path) -> list[str]:
    """The file itself, or a copy with names in lower case; none where it holds nothing."""
    found = [document for document in yaml.load_all(read_bytes(policies, MAX_BYTES), _LOADER) if document]
    resources = [one for document in found for one in (document.get("items", [document]))]
    unlawful = [one["metadata"] for one in resources if one["metadata"]["name"] != one["metadata"]["name"].lower()]
    if not unlawful:
        return [str(policies)] if found else []
    for metadata in unlawful:
        metadata["name"] = metadata["name"].lower()
    rewritten.write_text(yaml.safe_dump_all(found))
    return [str(rewritten)]
