"""Pods → identities: everything that policy can see of them, once for all pods that look alike.

A pod carries its own labels, those of Calico (namespace, orchestrator, service account), and its namespace's and service
account's under the prefixes ``pcns.`` and ``pcsa.``; profiles may add more, but never instead of the pod's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...model.entities import Pod
from ...scenario.resources import PolicyResources

NAMESPACE = "projectcalico.org/namespace"
ORCHESTRATOR = "projectcalico.org/orchestrator"
SERVICE_ACCOUNT = "projectcalico.org/serviceaccount"
NAME = "projectcalico.org/name"
NAMESPACE_PREFIX = "pcns."
ACCOUNT_PREFIX = "pcsa."
PROTOCOLS = {"TCP": 6, "UDP": 17, "SCTP": 132}
_LONGEST_ACCOUNT = 63                     # a longer name is no label value

NamedPort = tuple[str, int, int]          # (name, protocol, number)


@dataclass(frozen=True, slots=True)
class Workload:
    """One identity before its programs are known."""

    namespace: str
    labels: Mapping[str, str]
    profiles: tuple[str, ...]
    ports: tuple[NamedPort, ...]


def workloads(
    pods: Iterable[Pod], namespaces: Mapping[str, Mapping[str, str]], resources: PolicyResources,
) -> tuple[list[Workload], list[int]]:
    """The distinct workloads, and for each pod the number (from 1) of its own."""
    found: dict[tuple[object, ...], int] = {}
    known: dict[tuple[object, ...], int] = {}       # by identity of the objects: pods of one group share them
    made: list[Workload] = []
    numbers = []
    applied = {profile.name: profile.labels for profile in resources.profiles if profile.labels}
    for pod in pods:
        profiles = resources.pod_profiles.get((pod.namespace, pod.name))
        quick = (id(pod.labels), id(pod.ports), pod.namespace, pod.service_account, profiles)
        number = known.get(quick)
        if number is None:
            key = (frozenset(pod.labels.items()), pod.ports, pod.namespace, pod.service_account, profiles)
            number = found.setdefault(key, len(made) + 1)
            if number > len(made):
                made.append(_workload(pod, profiles, namespaces.get(pod.namespace, {}), resources, applied))
            known[quick] = number
        numbers.append(number)
    return made, numbers


def _workload(
    pod: Pod, profiles: tuple[str, ...] | None, namespace: Mapping[str, str], resources: PolicyResources,
    applied: Mapping[str, Mapping[str, str]],
) -> Workload:
    account = pod.service_account
    if profiles is None:
        profiles = (f"kns.{pod.namespace}", f"ksa.{pod.namespace}.{account}")
    labels: dict[str, str] = {}
    for name in profiles:
        labels |= applied.get(name, {})
    labels |= {NAMESPACE_PREFIX + key: value for key, value in namespace.items()}
    labels[NAMESPACE_PREFIX + NAME] = pod.namespace
    labels |= {ACCOUNT_PREFIX + key: value for key, value in resources.accounts.get((pod.namespace, account), {}).items()}
    labels[ACCOUNT_PREFIX + NAME] = account
    labels |= pod.labels
    labels[NAMESPACE], labels[ORCHESTRATOR] = pod.namespace, "k8s"
    if len(account) < _LONGEST_ACCOUNT:
        labels[SERVICE_ACCOUNT] = account
    ports = tuple((port.name, PROTOCOLS[port.protocol], port.port) for port in pod.ports if port.name)
    return Workload(pod.namespace, labels, profiles, ports)
