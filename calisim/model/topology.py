"""What exists: Scenario → Topology. Names, addresses and places of everything; nothing that a control plane decides.

Node groups are counted out and given addresses, pods are spread over the nodes, Kubernetes' and Calico's Node
documents are laid over the nodes of the same name. The networkx graph is drawn when it is first asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from ..errors import Problem, ScenarioError
from ..parts import Parts, collector_paused
from . import clouds, nodes, pods
from .entities import Entities, Host
from .providers import Provider, provider

if TYPE_CHECKING:
    import networkx

    from ..scenario.resources import Resources
    from ..scenario.scenario import Scenario
    from ..scenario.schema import Limits, Settings


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


@collector_paused()
def build(scenario: Scenario, parts: Parts | None = None) -> Topology:
    """The topology of a scenario. Raises ScenarioError with every problem that only the counting out could show.

    ``parts`` are those of an earlier build (:mod:`calisim.parts`): what is made of the same is taken over.
    """
    parts = parts or Parts()
    spec, resources = scenario.spec, scenario.resources
    profile = provider(spec.provider)
    problems: list[Problem] = []
    vpcs, subnets = clouds.vpcs(spec, profile)
    hosts = tuple(Host(host.name, host.ip, host.mark, pods.answers(host.stack)) for host in spec.hosts)
    groups = nodes.groups(spec, profile, vpcs, subnets, resources.felix)
    placed, faults = parts.of(
        "placed", partial(nodes.nodes, parts), groups, [group.count for group in spec.nodes], resources.nodes, profile, subnets,
        hosts)
    problems += faults
    running = pods.pods(spec, resources, placed, problems, parts)
    if problems:
        raise ScenarioError(problems)
    members = [(one.subnet.vpc, one.groups) for one, written in zip(groups, spec.nodes, strict=True) if written.count != 0]
    vpcs = {name: replace(vpc, groups=clouds.with_default_group(vpc, members)) for name, vpc in vpcs.items()}
    namespaces = parts.of("namespaces", pods.namespaces, resources.namespaces, running)
    assumptions = (*scenario.assumptions, *nodes.supposed(spec, vpcs, subnets, profile))
    return Topology(
        scenario.name, spec.seed, Entities(vpcs, subnets, placed, running, hosts, namespaces), profile,
        resources, spec.settings, spec.limits, assumptions, tuple(nodes.superfluous(resources, placed)))
