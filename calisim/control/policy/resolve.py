"""The door of policy: topology and addresses → :class:`~calisim.control.policing.Policing`.

What follows from the documents is made apart from who the pods are: a pod more changes no program.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ...model.entities import Entities, Node
from ...parts import Parts
from ...scenario.resources import FelixConfiguration, PolicyResources
from ...sequences import Joined, Turns
from ..endpoints import Station
from ..intent import Object
from ..objects import Objects
from ..policing import Failsafes, Identified, Policing
from .guards import Guards, failsafes, labelled
from .labels import Workload, labels_of, workloads
from .programs import Programs
from .rules import Chains
from .sets import Services, Sets
from .sight import asks_of_nodes, sight

NO_FELIX = FelixConfiguration()


def police(
    resources: PolicyResources, entities: Entities, addresses: Sequence[int], objects: Objects, services: Services | None = None,
    stations: Sequence[Station] = (), felix: FelixConfiguration = NO_FELIX, *, cuts: bool = False, parts: Parts | None = None,
) -> Policing:
    """All of policy. ``addresses`` are the pods', ``services`` their backends; ``stations`` the nodes, if there are host
    endpoints."""
    pods, parts = entities.pods, parts or Parts()
    made, numbers = parts.of(
        "workloads", workloads, pods, entities.namespaces, resources.accounts, labels_of(resources.profiles),
        parts.of("sight", sight, resources), resources.pod_profiles)
    nodes = entities.nodes if parts.of("nodes asked", asks_of_nodes, resources) else ()
    programs = parts.of(
        "policing", _programs, resources, made, nodes, entities.namespaces, services or {}, stations, felix, cuts,
        objects.next - 1)
    objects.extend(programs.objects)
    others = Turns(array("q", [0]), len(entities.nodes) + len(entities.hosts))
    warnings = *_warnings(programs, resources, entities), *programs.policing.warnings
    return replace(
        programs.policing, endpoints=Joined([others, *numbers.parts]),
        addresses=parts.of("identified", Identified, addresses, numbers), warnings=warnings)


@dataclass(frozen=True, slots=True)
class _Made:
    """All that does not depend on who the pods are."""

    policing: Policing
    objects: Sequence[Object]
    undescribed: tuple[str, ...]              # profiles
    unknown_services: tuple[str, ...]


def _programs(
    resources: PolicyResources, made: Sequence[Workload], nodes: Sequence[Node], namespaces: Mapping[str, Mapping[str, str]],
    services: Services, stations: Sequence[Station], felix: FelixConfiguration, cuts: bool, before: int,
) -> _Made:
    """``before``: how many objects there are."""
    objects, hosts = Objects(before), labelled(resources)
    sets = Sets(made, resources.network_sets, hosts, nodes, namespaces)
    chains = Chains(sets, objects, services)
    programs = Programs(resources, chains, objects)
    identities = programs.identities(made)
    guards = Guards(programs, hosts, stations)
    guards.place()
    safe = failsafes(programs, felix) if guards.all else Failsafes()
    policing = Policing(
        identities, (), {}, tuple(programs.known), tuple(chains.all),
        tuple(one for _, one in sets.address_sets.values()), tuple(one for _, one in sets.port_sets.values()),
        tuple(guards.all), guards.interfaces, safe, cuts, tuple(guards.warnings))
    return _Made(policing, objects.all, tuple(programs.undescribed), tuple(chains.unknown_services))


def _warnings(programs: _Made, resources: PolicyResources, entities: Entities) -> tuple[str, ...]:
    said = [f"Profile {name} is not described anywhere: Felix drops what comes to it." for name in programs.undescribed]
    if resources.pod_profiles:
        strangers = resources.pod_profiles.keys() - {(pod.namespace, pod.name) for pod in entities.pods}
        said += [f"A WorkloadEndpoint gives profiles to {'/'.join(one)}, but there is no such pod." for one in sorted(strangers)]
    if resources.host_endpoints:
        nodes = {node.name for node in entities.nodes}
        said += [
            f"HostEndpoint {host.name} is on {host.node}, but there is no such node."
            for host in resources.host_endpoints if host.node not in nodes]
    said += [f"{title.capitalize()} is not known: rules that name it match nobody." for title in programs.unknown_services]
    return tuple(said)
