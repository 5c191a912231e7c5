"""The register of address sets and port sets: what selectors and port names stand for, each content once.

Takes the identities, the network sets and host endpoints, whose addresses stand in a set as nets, and the nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from ...model.entities import Node
from ...quantities import Prefix
from ...scenario.resources import HostEndpoint, NetworkSet
from ...selector import Selector, parse
from ..policing import AddressSet, PortSet
from .index import LabelIndex
from .labels import Workload
from .sight import NAMESPACE, NAMESPACE_PREFIX

Backend = tuple[int, int, int]                     # address, protocol, port
Services = Mapping[tuple[str, str], Sequence[Backend]]     # by namespace and name


class Sets:
    """Ids of sets by what they hold, in the order in which they are asked for."""

    def __init__(
        self, workloads: Sequence[Workload], network_sets: Iterable[NetworkSet], hosts: Iterable[HostEndpoint],
        nodes: Sequence[Node], namespaces: Mapping[str, Mapping[str, str]],
    ) -> None:
        hosts = tuple(hosts)
        self._nets: list[tuple[Prefix, ...]] = []
        labelled: list[Mapping[str, str]] = [workload.labels for workload in workloads]
        self._identities = len(labelled)
        for one in network_sets:
            labelled.append(_of_network_set(one, namespaces))
            self._nets.append(one.nets)
        for host in hosts:
            labelled.append(host.labels)
            self._nets.append(tuple(Prefix(address, 32) for address in host.expected_addresses))
        self.index = LabelIndex(labelled)
        self._hosts = len(labelled) - len(hosts)
        self._nodes = nodes
        self._chosen: dict[Selector, int] = {}
        self.address_sets: dict[tuple[frozenset[int], tuple[Prefix, ...]], tuple[int, AddressSet]] = {}
        self.port_sets: dict[tuple[str, int], tuple[int, PortSet]] = {}
        self._ports = _named_ports(workloads)
        self._host_ports = _host_ports(hosts)

    def identities(self, selector: Selector) -> list[int]:
        """Identities (from 1) of the pods that the selector chooses."""
        return sorted(position + 1 for position in self.index.select(selector) if position < self._identities)

    def hosts(self, selector: Selector) -> frozenset[int]:
        """Positions (from 0) of the host endpoints that the selector chooses."""
        return frozenset(position - self._hosts for position in self.index.select(selector) if position >= self._hosts)

    def chosen(self, selector: Selector) -> int:
        """The set of all whom the selector chooses."""
        if selector not in self._chosen:
            self._chosen[selector] = self._choose(selector)
        return self._chosen[selector]

    def _choose(self, selector: Selector) -> int:
        found = self.index.select(selector)
        identities = frozenset(position + 1 for position in found if position < self._identities)
        nets = {net for position in found if position >= self._identities for net in self._nets[position - self._identities]}
        return self._intern(str(selector), identities, tuple(sorted(nets)))

    def nodes(self, text: str) -> int:
        """The set of the addresses of the nodes that the selector chooses."""
        found = (self._nodes[position].address for position in self._index_of_nodes.select(parse(text)))
        return self.listed(f"nodes: {text}", found)

    @cached_property
    def _index_of_nodes(self) -> LabelIndex:
        return LabelIndex([node.labels for node in self._nodes])

    def nobody(self, name: str) -> int:
        return self._intern(name, frozenset(), ())

    def listed(self, name: str, addresses: Iterable[int]) -> int:
        return self._intern(name, frozenset(), tuple(Prefix(address, 32) for address in sorted(set(addresses))))

    def listed_ports(self, name: str, backends: Iterable[Backend]) -> list[int]:
        """A set for each protocol."""
        members: dict[int, set[tuple[int, int]]] = {}
        for address, protocol, port in backends:
            members.setdefault(protocol, set()).add((address, port))
        for protocol, ports in members.items():
            made = PortSet(name, protocol, {}, frozenset(ports))
            self.port_sets.setdefault((name, protocol), (len(self.port_sets) + 1, made))
        return [self.port_sets[name, protocol][0] for protocol in sorted(members)]

    def ports(self, name: str, protocol: int) -> int:
        """Whoever has a port of this name and protocol."""
        key = (name, protocol)
        if key not in self.port_sets:
            made = PortSet(name, protocol, self._ports.get(key, {}), self._host_ports.get(key, frozenset()))
            self.port_sets[key] = (len(self.port_sets) + 1, made)
        return self.port_sets[key][0]

    def _intern(self, name: str, identities: frozenset[int], nets: tuple[Prefix, ...]) -> int:
        key = (identities, nets)
        if key not in self.address_sets:
            self.address_sets[key] = (len(self.address_sets) + 1, AddressSet(name, identities, nets))
        return self.address_sets[key][0]


def _of_network_set(one: NetworkSet, namespaces: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
    """A namespaced set carries its namespace and the namespace's labels, as a pod does."""
    if not one.namespace:
        return one.labels
    inherited = {NAMESPACE_PREFIX + key: value for key, value in namespaces.get(one.namespace, {}).items()}
    return {**inherited, **one.labels, NAMESPACE: one.namespace}


def _named_ports(workloads: Sequence[Workload]) -> dict[tuple[str, int], dict[int, frozenset[int]]]:
    found: dict[tuple[str, int], dict[int, frozenset[int]]] = {}
    for identity, workload in enumerate(workloads, start=1):
        for name, protocol, number in workload.ports:
            numbers = found.setdefault((name, protocol), {})
            numbers[identity] = numbers.get(identity, frozenset()) | {number}
    return found


def _host_ports(hosts: Iterable[HostEndpoint]) -> dict[tuple[str, int], frozenset[tuple[int, int]]]:
    found: dict[tuple[str, int], frozenset[tuple[int, int]]] = {}
    for host in hosts:
        for name, protocol, number in host.ports:
            members = {(address, number) for address in host.expected_addresses}
            found[name, protocol] = found.get((name, protocol), frozenset()) | members
    return found
