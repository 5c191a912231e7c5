"""What exists: Scenario → Topology. Names, addresses and places of everything; nothing that a control plane decides.

Node groups are counted out and given addresses, pods are spread over the nodes, Kubernetes' and Calico's Node
documents are laid over the nodes of the same name. The networkx graph is drawn when it is first asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from ..errors import Problem, ScenarioError, UsageError
from . import clouds, nodes, pods
from .entities import Entities, Host
from .providers import Provider, provider

if TYPE_CHECKING:
    import networkx

    from ..scenario.resources import Resources
    from ..scenario.scenario import Scenario
    from ..scenario.schema import Limits, Settings, Spec


@dataclass(frozen=True)
class Topology:
    """Everything that exists, with the documents and settings that the control plane will read."""

    name: str
    seed: int
    entities: Entities
    provider: Provider
    resources: Resources
    settings: Settings
    limits: Limits
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @cached_property
    def graph(self) -> networkx.Graph:
        """vpc/V – router/V – subnet/S – node/N – pod/NS/P; igw/V and host/H at the router of their VPC."""
        from .drawing import draw

        return draw(self.entities)


def build(scenario: Scenario) -> Topology:
    """The topology of a scenario. Raises ScenarioError with every problem found."""
    spec, resources = scenario.spec, scenario.resources
    problems: list[Problem] = []
    try:
        profile = provider(spec.provider)
    except UsageError as error:
        raise ScenarioError([Problem(spec.mark_of("provider"), "spec.provider", str(error))]) from None
    warnings: list[str] = []
    vpcs, subnets = clouds.vpcs(spec, profile, problems, warnings)
    hosts = _hosts(spec, problems)
    placed = nodes.nodes(spec, resources, profile, vpcs, subnets, hosts, problems, warnings)
    if problems:
        raise ScenarioError(problems)
    vpcs = {name: replace(vpc, groups=clouds.with_default_group(vpc, placed)) for name, vpc in vpcs.items()}
    running = pods.pods(spec, resources, placed, problems)
    if problems:
        raise ScenarioError(problems)
    namespaces = pods.namespaces(resources, running)
    return Topology(
        scenario.name, spec.seed, Entities(vpcs, subnets, placed, running, hosts, namespaces), profile, resources,
        spec.settings, spec.limits, scenario.assumptions, tuple(warnings),
    )


def _hosts(spec: Spec, problems: list[Problem]) -> tuple[Host, ...]:
    hosts: dict[str, Host] = {}
    for number, host in enumerate(spec.hosts):
        if host.name in hosts:
            problems.append(Problem(
                host.mark_of("name"), f"spec.hosts[{number}].name", f"there are two hosts called {host.name}", "give each its own name"))
        hosts[host.name] = Host(host.name, host.ip, host.mark)
    return tuple(hosts.values())
