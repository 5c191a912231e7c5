"""One case's cluster and policies as the files that a user would write, read by the reader that reads users' files.

``cluster.yaml`` becomes a scenario with Kubernetes' own documents (Pod, Namespace, and Calico's WorkloadEndpoint where a pod
has profiles of its own); ``policies.yaml`` is applied as it stands. Names that no API server would take are put into lower
case: a name decides nothing. Felix' own tests hand policies to its data plane that Calico's API would refuse (port 0, ICMP
types without a protocol); those are read past the validation, and the case says so. What is expected is not known here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network
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

_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CALICO = "projectcalico.org/v3"
_POOL = {"blockSize": 26, "ipipMode": "Never", "natOutgoing": False}


@dataclass(frozen=True, slots=True)
class Case:
    """A cluster that is ready to be asked; ``addresses`` of its pods by NAMESPACE/NAME, as the case writes them.

    ``unlawful`` names the policies that Calico's API would refuse.
    """

    intent: Intent
    addresses: Mapping[str, str]
    unlawful: tuple[str, ...] = ()


def read(folder: Path, outside: Sequence[str] = ()) -> Case:
    """``outside``: addresses beyond the cluster that packets will come from or go to."""
    cluster = yaml.load((folder / "cluster.yaml").read_text(), _LOADER)
    with TemporaryDirectory() as made:
        written = Path(made, "cluster.yaml")
        written.write_text("\n---\n".join(map(json.dumps, documents(cluster, outside))))
        policies = _lawfully_named(folder / "policies.yaml", Path(made, "policies.yaml"))
        unlawful = [document for path in policies for document in _refused(path)]
        scenario = load(written, apply=[] if unlawful else policies)
        if unlawful:
            scenario = _past_validation(scenario, policies)
    addresses = {f"{pod['namespace']}/{pod['name']}": pod["ip"] for pod in cluster["pods"]}
    return Case(resolve(build(scenario)), addresses, tuple(document.name for document in unlawful))


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


def documents(cluster: Mapping[str, Any], outside: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The scenario, then everything in the cluster."""
    pods = [pod for pod in cluster["pods"] if not pod.get("hostNetwork")]
    taken = {thing["ip"] for thing in (*pods, *cluster["nodes"])}
    hosts = [address for address in dict.fromkeys(outside) if address not in taken]
    subnets = sorted({_around(node["ip"]) for node in cluster["nodes"]})
    yield {
        "apiVersion": "calisim/v1", "kind": "Scenario", "metadata": {"name": "case"}, "spec": {
            "provider": "plain",
            "vpcs": {"vpc": {"cidrs": subnets, "subnets": {f"s{number}": {"zone": "a", "cidr": cidr}
                                                            for number, cidr in enumerate(subnets)}}},
            "nodes": [
                {"name": node["name"], "address": node["ip"], "subnet": f"s{subnets.index(_around(node['ip']))}",
                 "labels": _texts(node.get("labels"))} for node in cluster["nodes"]],
            "hosts": [{"name": f"outside-{number}", "ip": address} for number, address in enumerate(hosts)]}}
    for cidr in sorted({_around(pod["ip"]) for pod in pods}):
        name = "pool-" + cidr.replace(".", "-").replace("/", "-")
        yield _document(_CALICO, "IPPool", {"name": name}, {"cidr": cidr, **_POOL})
    for namespace in cluster["namespaces"]:
        yield _document("v1", "Namespace", {"name": namespace["name"], "labels": _texts(namespace.get("labels"))})
    for pod in pods:
        yield from _pod(pod)


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
    found = [document for document in yaml.load_all(policies.read_text(), _LOADER) if document]
    resources = [one for document in found for one in (document.get("items", [document]))]
    unlawful = [one["metadata"] for one in resources if one["metadata"]["name"] != one["metadata"]["name"].lower()]
    if not unlawful:
        return [str(policies)] if found else []
    for metadata in unlawful:
        metadata["name"] = metadata["name"].lower()
    rewritten.write_text(yaml.safe_dump_all(found))
    return [str(rewritten)]
