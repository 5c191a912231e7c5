"""Services → what kube-proxy (iptables mode) programs: frontends, and behind them endpoints in its order.

Endpoints are those of EndpointSlices (or v1 Endpoints), else the pods that the selector chooses. ClusterIPs and node
ports that no document says are given out here, by the service's name, so that another service changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..errors import Problem, ScenarioError
from ..model.topology import Topology
from ..quantities import Prefix, format_address
from ..scenario.resources import ServicePort as WrittenPort
from ..scenario.resources import ServiceResource
from ..scenario.services import DEFAULT_RANGE, NODE_PORTS, protocol_of
from ..vocabulary.chance import fnv1a_32
from .endpoints import Station
from .intent import Backend, Frontend, ServiceName, ServicePort, Services
from .objects import Objects

_PORTED = ("TCP", "UDP")                      # SCTP's ports are not tracked
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pod that a selector may choose, or what a slice lists."""

    address: int
    router: int
    ready: bool
    leaving: bool                             # terminating, but serving
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[tuple[str, str, int], ...] = ()

    def port(self, wanted: int | str, protocol: str) -> int:
        """The number of a target port; 0: this pod has no port of that name."""
        if isinstance(wanted, int):
            return wanted
        return next((number for name, kind, number in self.ports if (name, kind) == (wanted, protocol)), 0)


@dataclass(frozen=True, slots=True)
class Balanced:
    """The services of a cluster, the names under which they are addressed, and what had to be supposed."""

    services: Services
    names: Mapping[str, ServiceName]
    assumptions: tuple[str, ...] = ()

    @property
    def backends(self) -> dict[tuple[str, str], list[tuple[int, int, int]]]:
        """By namespace and name of each service the address, protocol and port of all that may serve it."""
        found: dict[tuple[str, str], dict[tuple[int, int, int], None]] = {}
        for name in self.names:
            _, namespace, own = name.split("/")
            found[namespace, own] = {}
        for port in self.services.ports:
            namespace, _, own = port.name.rpartition(":")[0].partition("/")
            found[namespace, own] |= {(one.address, port.protocol, one.port): None for one in (*port.backends, *port.own)}
        return {service: list(backends) for service, backends in found.items()}


def balance(
    topology: Topology, stations: Sequence[Station], addresses: Sequence[int], objects: Objects,
    keys_of: Callable[[Sequence[str]], list[int]],
) -> Balanced:
    """All services; ``addresses`` are the pods'. Raises ScenarioError where two of them want one address and port, or a range
    is used up."""
    written = [service for service in topology.resources.services if service.type != "ExternalName"]
    if not written:
        return Balanced(Services(), {})
    given = _Given(written, topology.resources.service_ranges)
    behind = _Behind(topology, stations, addresses)
    ports: list[ServicePort] = []
    frontends: list[Frontend] = []
    names: dict[str, ServiceName] = {}
    keys = iter(keys_of([
        f"{_name(service, port)}/{port.protocol}" for service in written for port in service.ports if port.protocol in _PORTED]))
    for service in written:
        number = objects.add("Service", f"{service.namespace}/{service.name}", service.mark)
        spoken = [port for port in service.ports if port.protocol in _PORTED]
        for port in spoken:
            chosen = behind.backends(service, port)
            ports.append(ServicePort(
                _name(service, port), next(keys), protocol_of(port.protocol), *chosen, service.affinity * _SECOND, number))
            frontends += given.frontends(service, port, len(ports))
        addresses = behind.addresses(service) if service.headless else (given.cluster_ips[id(service)],)
        names[f"svc/{service.namespace}/{service.name}"] = ServiceName(
            addresses, tuple((port.name, protocol_of(port.protocol), port.port) for port in spoken))
    given.refuse()
    proxy = topology.resources.kube_proxy
    services = Services(
        tuple(ports), tuple(frontends), proxy.pods, proxy.by_interface, proxy.masquerade_all, proxy.node_addresses)
    return Balanced(services, names, tuple(_assumptions(topology, given)))


def _name(service: ServiceResource, port: WrittenPort) -> str:
    return f"{service.namespace}/{service.name}:{port.name or port.port}"


def _assumptions(topology: Topology, given: _Given) -> Iterator[str]:
    proxy = topology.resources.kube_proxy
    if proxy.pods is None and not proxy.by_interface:
        yield "kube-proxy is told no clusterCIDR (KubeProxyConfiguration), so it takes no traffic to a ClusterIP for foreign."
    if given.chosen:
        yield f"{given.chosen} ClusterIPs and node ports that no document says were chosen from {given.range} and 30000-32767."


# --- frontends ------------------------------------------------------------------------------------------------------


class _Given:
    """Addresses and node ports: those that are said first, then the others by name."""

    def __init__(self, services: Sequence[ServiceResource], ranges: Sequence[Prefix]) -> None:
        self.range = ranges[0] if ranges else DEFAULT_RANGE
        self.chosen = 0
        self._problems: list[Problem] = []
        self._taken: dict[tuple[int, int, int], ServiceResource] = {}
        self.cluster_ips = {id(service): service.cluster_ip or 0 for service in services}
        self._ports = {(port.protocol, port.node_port) for service in services for port in service.ports}
        self._addresses = {service.cluster_ip: service for service in services if service.cluster_ip}
        for service in services:
            if service.cluster_ip and ranges and not any(service.cluster_ip in prefix for prefix in ranges):
                self._complain(
                    service, f"{format_address(service.cluster_ip)} lies in no ServiceCIDR", "choose an address of the range")
            if service.cluster_ip is None and not service.headless:
                self.cluster_ips[id(service)] = self._address(service)

    def frontends(self, service: ServiceResource, port: WrittenPort, number: int) -> Iterator[Frontend]:
        """Everything under which a port is found: ClusterIP, external addresses, the balancer's, the nodes'."""
        protocol = protocol_of(port.protocol)
        places: list[tuple[int, int, bool]] = []
        if address := self.cluster_ips[id(service)]:
            places.append((address, port.port, False))
        places += [(address, port.port, True) for address in (*service.external_ips, *service.load_balancer_ips)]
        if node_port := port.node_port or (self._node_port(service, port) if service.node_ports else 0):
            places.append((0, node_port, True))
        for address, at, external in dict.fromkeys(places):
            first = self._taken.setdefault((address, protocol, at), service)
            if first is not service:
                where = f"{format_address(address)} port {at}" if address else f"node port {at}"
                self._complain(
                    service, f"{where} belongs to the service {first.namespace}/{first.name} ({first.mark})",
                    "choose another one")
                continue
            ranged = service.source_ranges if address in service.load_balancer_ips else ()
            local = service.external_local if external else service.internal_local
            yield Frontend(address, protocol, at, number, external, local, ranged or None)

    def refuse(self) -> None:
        if self._problems:
            raise ScenarioError(self._problems)

    def _address(self, service: ServiceResource) -> int:
        """An address by the service's name: not the first two (the network's, kubernetes' own) nor the last."""
        room = (1 << 32 - self.range.length) - 3
        start = fnv1a_32(f"{service.namespace}/{service.name}") % max(room, 1)
        for step in range(max(room, 0)):
            address = self.range.network + 2 + (start + step) % room
            if address not in self._addresses:
                self._addresses[address] = service
                self.chosen += 1
                return address
        self._complain(service, f"no address of {self.range} is free", "choose a larger ServiceCIDR")
        return 0

    def _node_port(self, service: ServiceResource, port: WrittenPort) -> int:
        start = fnv1a_32(f"{_name(service, port)}/{port.protocol}")
        for step in range(len(NODE_PORTS)):
            number = NODE_PORTS[(start + step) % len(NODE_PORTS)]
            if (port.protocol, number) not in self._ports:
                self._ports.add((port.protocol, number))
                self.chosen += 1
                return number
        self._complain(service, "no node port is free", "leave some services without: type: ClusterIP")
        return 0

    def _complain(self, service: ServiceResource, message: str, cure: str) -> None:
        self._problems.append(Problem(service.mark, f"service {service.namespace}/{service.name}", message, cure))


# --- endpoints ------------------------------------------------------------------------------------------------------


class _Behind:
    """Who stands behind a service, as its slices say or its selector chooses."""

    def __init__(self, topology: Topology, stations: Sequence[Station], addresses: Sequence[int]) -> None:
        self._routers = {station.name: station for station in stations}
        self._addresses = addresses
        self._pods = dict(zip(topology.entities.pods.ids, addresses, strict=True))
        self._listed: dict[tuple[str, str], list[tuple[tuple[str, str, int], Candidate]]] = {}
        self._sliced: dict[tuple[str, str], list[Candidate]] = {}
        for found in topology.resources.service_endpoints:
            key = found.namespace, found.service
            candidates = [
                Candidate(self._address(one.pod, one.address), self._router(one.node), one.ready, one.leaving)
                for one in found.endpoints]
            self._sliced.setdefault(key, []).extend(candidates)
            self._listed.setdefault(key, []).extend((port, one) for port in found.ports for one in candidates)
        self._alike: dict[str, dict[frozenset[tuple[str, str]], list[Candidate]]] = {}       # namespace: labels: pods
        for namespace, candidate in self._running(topology):
            groups = self._alike.setdefault(namespace, {})
            groups.setdefault(frozenset(candidate.labels.items()), []).append(candidate)

    def backends(self, service: ServiceResource, port: WrittenPort) -> tuple[tuple[Backend, ...], tuple[Backend, ...]]:
        """For the cluster, and for each node's own traffic. Leaving ones only where no other is left (CategorizeEndpoints)."""
        found: dict[tuple[int, int], Candidate] = {}
        for number, one in self._of_port(service, port):
            at = one.address, number
            if number and one.address and (at not in found or one.ready):
                found[at] = one
        order = sorted(found, key=_text)                                     # as kube-proxy sorts them
        usable = [(found[at], Backend(*at, found[at].router)) for at in order]
        if all(one.ready for one in found.values()):
            everywhere = tuple(backend for _, backend in usable)
            return everywhere, everywhere
        by_router: dict[int, list[tuple[Candidate, Backend]]] = {}
        for one, backend in usable:
            by_router.setdefault(backend.router, []).append((one, backend))
        own = (backend for pairs in by_router.values() for backend in _usable(pairs))
        return tuple(_usable(usable)), tuple(own)

    def addresses(self, service: ServiceResource) -> tuple[int, ...]:
        """What the name of a headless service resolves to."""
        key = service.namespace, service.name
        chosen = self._sliced.get(key) or list(self._chosen(service))
        return tuple(dict.fromkeys(one.address for one in chosen if one.address and (one.ready or service.publish_not_ready)))

    def _of_port(self, service: ServiceResource, port: WrittenPort) -> Iterator[tuple[int, Candidate]]:
        key = service.namespace, service.name
        if key in self._listed:
            for (name, protocol, number), one in self._listed[key]:
                if (name, protocol) == (port.name, port.protocol):
                    yield number, one
        else:
            for one in self._chosen(service):
                yield one.port(port.target, port.protocol), one

    def _chosen(self, service: ServiceResource) -> Iterable[Candidate]:
        """The pods of a selector. A service without one has only what slices say."""
        if service.selector is None or (service.namespace, service.name) in self._sliced:
            return
        wanted = frozenset(service.selector.items())
        for labels, pods in self._alike.get(service.namespace, {}).items():
            if wanted <= labels:
                yield from (replace(one, ready=True) for one in pods) if service.publish_not_ready else pods

    def _running(self, topology: Topology) -> Iterator[tuple[str, Candidate]]:
        documents = {(pod.namespace, pod.name): pod for pod in topology.resources.pods}
        for pod, address in zip(topology.entities.pods, self._addresses, strict=True):
            document = documents.get((pod.namespace, pod.name))
            ready, leaving = (document.ready, document.leaving) if document else (True, False)
            ports = tuple((port.name, port.protocol, port.port) for port in pod.ports)
            yield pod.namespace, Candidate(
                address, self._router(pod.node), ready and not leaving, ready and leaving, pod.labels, ports)
        for on_host in topology.resources.host_pods:
            router = self._routers.get(on_host.node)
            if router is not None:
                yield on_host.namespace, Candidate(
                    router.address, router.id, on_host.ready and not on_host.leaving, on_host.ready and on_host.leaving,
                    on_host.labels, on_host.ports)

    def _router(self, node: str) -> int:
        router = self._routers.get(node)
        return router.id if router else 0

    def _address(self, pod: str, said: int) -> int:
        """The address of the pod that a slice names: here, not in the cluster that the document comes from."""
        return self._pods.get(pod, said)


def _text(at: tuple[int, int]) -> str:
    """An endpoint's address and port as kube-proxy writes them."""
    return f"{format_address(at[0])}:{at[1]}"


def _usable(found: Iterable[tuple[Candidate, Backend]]) -> list[Backend]:
    """The ready ones; if there are none, those that are leaving but still serve."""
    pairs = list(found)
    return [backend for one, backend in pairs if one.ready] or [backend for one, backend in pairs if one.leaving]
