"""Pods → identities: everything that policy can see of them, once for all pods that look alike.

A pod carries its own labels, those of Calico (namespace, orchestrator, service account), and its namespace's and service
account's under the prefixes ``pcns.`` and ``pcsa.``; profiles may add more, but never instead of the pod's own. Labels that
no selector mentions and ports that no rule names are not seen: pods that differ in nothing else are one identity.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ...model.entities import Pod, Pods
from ...scenario.resources import Profile
from ...sequences import Joined, Turns, go_on
from .sight import ACCOUNT_PREFIX, NAME, NAMESPACE, NAMESPACE_PREFIX, ORCHESTRATOR, SERVICE_ACCOUNT, Sight

PROTOCOLS = {"TCP": 6, "UDP": 17, "SCTP": 132}
_LONGEST_ACCOUNT = 63                     # a longer name is no label value

NamedPort = tuple[str, int, int]          # (name, protocol, number)
LabelsOf = Mapping[str, Mapping[str, str]]  # by name of the profile


@dataclass(frozen=True, slots=True)
class Workload:
    """One identity before its programs are known; ``profiles`` None: those of its namespace and service account."""

    labels: Mapping[str, str]
    ports: tuple[NamedPort, ...] = ()
    profiles: tuple[str, ...] | None = None


def workloads(
    pods: Pods, namespaces: Mapping[str, Mapping[str, str]], accounts: Mapping[tuple[str, str], Mapping[str, str]],
    of_profiles: LabelsOf, seen: Sight, pod_profiles: Mapping[tuple[str, str], tuple[str, ...]],
) -> tuple[list[Workload], Joined[int]]:
    """The distinct workloads, and for each pod the number (from 1) of its own."""
    look = _Look(namespaces, accounts, of_profiles, seen)
    found: dict[tuple[object, ...], int] = {}
    known: dict[tuple[object, ...], int] = {}       # by identity of the objects: pods of one group share them
    made: list[Workload] = []
    numbers: list[Turns] = []
    known_turns: dict[int, array[int]] = {}
    alike: Iterable[tuple[Pod, int]] = ((group.pattern, len(group)) for group in pods.parts)
    for pod, count in ((pod, 1) for pod in pods) if pod_profiles else alike:
        profiles = pod_profiles.get((pod.namespace, pod.name))
        quick = (id(pod.labels), id(pod.ports), pod.namespace, pod.service_account, profiles)
        number = known.get(quick)
        if number is None:
            workload = look.at(pod, profiles)
            key = (frozenset(workload.labels.items()), frozenset(workload.ports), profiles)
            number = known[quick] = found.setdefault(key, len(made) + 1)
            if number > len(made):
                made.append(workload)
        go_on(numbers, known_turns.setdefault(number, array("q", [number])), count)
    return made, Joined(numbers)


@dataclass(slots=True)
class _Look:
    """How pods look to policy; what they inherit is put together once for each namespace, account and list of profiles."""

    namespaces: Mapping[str, Mapping[str, str]]
    accounts: Mapping[tuple[str, str], Mapping[str, str]]
    of_profiles: LabelsOf
    sight: Sight
    inherited: dict[tuple[object, ...], dict[str, str]] = field(default_factory=dict)

    def at(self, pod: Pod, profiles: tuple[str, ...] | None) -> Workload:
        key = (pod.namespace, pod.service_account, profiles)
        if key not in self.inherited:
            self.inherited[key] = self.inherit(pod.namespace, pod.service_account, profiles or ())
        seen = self.sight.labels
        own = {label: value for label, value in pod.labels.items() if label in seen}
        calico = {label: value for label, value in _of_calico(pod).items() if label in seen}
        ports = ((port.name, PROTOCOLS[port.protocol], port.port) for port in pod.ports)
        return Workload(
            {**self.inherited[key], **own, **calico}, tuple(port for port in ports if port[0] in self.sight.ports), profiles)

    def inherit(self, namespace: str, account: str, profiles: tuple[str, ...]) -> dict[str, str]:
        labels = applied(self.of_profiles, profiles)
        of_namespace = {**self.namespaces.get(namespace, {}), NAME: namespace}
        of_account = {**self.accounts.get((namespace, account), {}), NAME: account}
        labels |= {NAMESPACE_PREFIX + key: value for key, value in of_namespace.items()}
        labels |= {ACCOUNT_PREFIX + key: value for key, value in of_account.items()}
        return {label: value for label, value in labels.items() if label in self.sight.labels}


def labels_of(profiles: Iterable[Profile]) -> LabelsOf:
    return {profile.name: profile.labels for profile in profiles}


def applied(labels: LabelsOf, profiles: Sequence[str]) -> dict[str, str]:
    """What profiles apply to who lists them; of two that say the same label the first in the list counts (Felix)."""
    found: dict[str, str] = {}
    for name in reversed(profiles):
        found |= labels.get(name, {})
    return found


def _of_calico(pod: Pod) -> dict[str, str]:
    labels = {NAMESPACE: pod.namespace, ORCHESTRATOR: "k8s"}
    if len(pod.service_account) < _LONGEST_ACCOUNT:
        labels[SERVICE_ACCOUNT] = pod.service_account
    return labels
