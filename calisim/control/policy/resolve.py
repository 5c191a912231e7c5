"""The door of policy: topology and endpoints → :class:`~calisim.control.policing.Policing`."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from ...model.entities import Entities
from ...parts import Parts
from ...scenario.resources import FelixConfiguration, PolicyResources
from ..endpoints import addresses_of
from ..intent import Endpoint, Router
from ..objects import Objects
from ..policing import Failsafes, Identified, Policing
from .guards import Guards, failsafes, labelled
from .labels import labels_of, workloads
from .programs import Programs
from .rules import Chains
from .sets import Services, Sets
from .sight import sight

NO_FELIX = FelixConfiguration()


def police(
    resources: PolicyResources, entities: Entities, endpoints: Sequence[Endpoint], objects: Objects,
    services: Services | None = None, routers: Sequence[Router] = (), felix: FelixConfiguration = NO_FELIX, *, cuts: bool = False,
    parts: Parts | None = None,
) -> Policing:
    """All of policy. The pods are the last of the endpoints, in the order of the entities; ``services`` are their backends."""
    pods, parts = entities.pods, parts or Parts()
    made, numbers = parts.of(
        "workloads", workloads, pods, entities.namespaces, resources.accounts, labels_of(resources.profiles),
        sight(resources), resources.pod_profiles)
    hosts = labelled(resources)
    sets = Sets(made, resources.network_sets, hosts, entities.nodes, entities.namespaces)
    chains = Chains(sets, objects, services or {})
    programs = Programs(resources, chains, objects)
    identities = programs.identities(made)
    guards = Guards(programs, hosts, routers)
    guards.place()
    safe = failsafes(programs, felix) if guards.all else Failsafes()
    whole = array("q", [0]) * (len(endpoints) - len(numbers)) + numbers
    addresses = parts.of("identified", Identified, addresses_of(endpoints, len(numbers)), numbers)
    return Policing(
        identities, whole, addresses, tuple(programs.known), tuple(chains.all),
        tuple(one for _, one in sets.address_sets.values()), tuple(one for _, one in sets.port_sets.values()),
        tuple(guards.all), guards.interfaces, safe, cuts, (*_warnings(programs, chains, entities), *guards.warnings))


def _warnings(programs: Programs, chains: Chains, entities: Entities) -> tuple[str, ...]:
    said = [
        f"Profile {name} is not described anywhere: Felix drops what comes to it." for name in programs.undescribed]
    if programs.resources.pod_profiles:
        strangers = programs.resources.pod_profiles.keys() - {(pod.namespace, pod.name) for pod in entities.pods}
        said += [f"A WorkloadEndpoint gives profiles to {'/'.join(one)}, but there is no such pod." for one in sorted(strangers)]
    if programs.resources.host_endpoints:
        nodes = {node.name for node in entities.nodes}
        said += [
            f"HostEndpoint {host.name} is on {host.node}, but there is no such node."
            for host in programs.resources.host_endpoints if host.node not in nodes]
    said += [f"{title.capitalize()} is not known: rules that name it match nobody." for title in chains.unknown_services]
    return tuple(said)
