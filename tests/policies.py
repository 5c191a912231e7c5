"""Small worlds under policy: documents as a user writes them, pods with fixed addresses, and the evaluator on top."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from calisim.control.objects import Objects
from calisim.control.policing import Policing
from calisim.control.policy.resolve import police
from calisim.control.policy.sets import Services
from calisim.datapath.reference.police import Flow, Judgement, Police
from calisim.errors import Mark
from calisim.model.entities import Entities, NamedPort, Node, Pod, Pods, Replicas
from calisim.quantities import parse_address
from calisim.scenario import manifests
from calisim.scenario.reader import parse
from calisim.scenario.resources import Resources
from calisim.scenario.unpack import unpack

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "sctp": 132}


def read(text: str) -> tuple[Resources, list[str]]:
    """Documents that must be right: their resources and warnings."""
    written, faults = parse(text, "policies.yaml")
    documents, more = unpack(written)
    resources, warnings, problems = manifests.convert(documents)
    assert not [*faults, *more, *problems], [str(one) for one in (*faults, *more, *problems)]
    return resources, warnings


def problems(text: str) -> list[str]:
    """What is wrong with documents."""
    written, faults = parse(text, "policies.yaml")
    documents, more = unpack(written)
    return [str(problem) for problem in (*faults, *more, *manifests.convert(documents)[2])]


def pod(name: str, *, account: str = "default", ports: Iterable[tuple[str, str, int]] = (), **labels: str) -> Pod:
    """``pod("shop/web", app="web")``."""
    namespace, _, own = name.rpartition("/")
    return Pod(own, namespace or "default", "n", labels, tuple(NamedPort(*port) for port in ports), service_account=account)


@dataclass(frozen=True)
class World:
    """Pods in the order given have 10.0.0.1, 10.0.0.2 …; anything that is no pod's name is an address."""

    policing: Policing
    objects: Objects
    addresses: Mapping[str, int]

    def flow(self, src: str, dst: str, protocol: str = "tcp", port: int = 80, **more: object) -> Flow:
        ends = [self.addresses[end] if end in self.addresses else parse_address(end) for end in (src, dst)]
        return Flow(ends[0], ends[1], PROTOCOLS.get(protocol) or int(protocol), more.pop("sport", 40000), port, **more)  # type: ignore[arg-type]

    def ingress(self, *flow: object, staged: bool = False, **more: object) -> Judgement:
        return Police(self.policing).ingress(self.flow(*flow, **more), staged=staged)  # type: ignore[arg-type]

    def egress(self, *flow: object, staged: bool = False, **more: object) -> Judgement:
        return Police(self.policing).egress(self.flow(*flow, **more), staged=staged)  # type: ignore[arg-type]

    def allows(self, *flow: object, **more: object) -> bool:
        """Both sides."""
        return self.egress(*flow, **more).allowed and self.ingress(*flow, **more).allowed

    def said(self, judgement: Judgement) -> str:
        """Kind, name and line of what decided."""
        if not judgement.decided_by:
            return ""
        found = self.objects.all[judgement.decided_by - 1]
        return f"{found.kind} {found.name} line {found.mark.line}"


def world(
    documents: str, pods: Iterable[Pod], *, nodes: Iterable[Node] = (), services: Services | None = None,
) -> World:
    resources, _ = read(documents)
    pods = tuple(pods)
    names = dict.fromkeys([*resources.namespaces, *(one.namespace for one in pods)])
    namespaces = {name: {"kubernetes.io/metadata.name": name, **resources.namespaces.get(name, {})} for name in names}
    base = parse_address("10.0.0.0")
    addresses = {one.id: base + number for number, one in enumerate(pods, start=1)}
    objects = Objects()
    entities = Entities({}, {}, tuple(nodes), Pods(map(Replicas.of, pods)), (), namespaces)
    policing = police(resources.policy, entities, list(addresses.values()), objects, services)
    return World(policing, objects, addresses)


def node(name: str, address: str, **labels: str) -> Node:
    return Node(name, "v", "s", "z", parse_address(address), None, False, (), labels, 1500, None, mark=Mark("nodes.yaml"))
