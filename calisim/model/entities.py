"""The things of a topology. All frozen; names are unique per kind; every thing knows where it was written.

Nothing here is decided by a control plane: pods have no address yet (unless the user fixed one),
security groups are as written, routes are those that the user put into the cloud's tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, repeat
from typing import NamedTuple

from ..errors import Mark
from ..parts import rows
from ..quantities import Prefix
from ..sequences import Computed, Joined

NOWHERE = Mark("(built-in)")


@dataclass(frozen=True, slots=True)
class TrafficRule:
    """One line of a security group: allow ``protocol`` (None = all) to or from ``prefix`` or ``group``.

    ``low``..``high`` are destination ports (for ICMP the type); 0..65535 means any.
    """

    protocol: int | None
    low: int = 0
    high: int = 65535
    prefix: Prefix | None = None
    group: str | None = None
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A stateful, allow-only filter on a node's interface."""

    name: str
    ingress: tuple[TrafficRule, ...]
    egress: tuple[TrafficRule, ...]
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True)
class AclRule:
    """One line of a NACL; the lowest number that matches decides, 32767 denies the rest."""

    number: int
    allow: bool
    protocol: int | None
    prefix: Prefix
    low: int = 0
    high: int = 65535
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True)
class NetworkAcl:
    """A stateless, ordered filter at a subnet's edge (never inside it)."""

    name: str
    ingress: tuple[AclRule, ...]
    egress: tuple[AclRule, ...]
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True)
class VpcRoute:
    """An entry of a cloud route table: ``via`` is ``node``, ``igw``, ``nat`` or ``blackhole`` with a target name."""

    prefix: Prefix
    via: str
    target: str = ""
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True)
class RouteTable:
    """A cloud route table without its implicit local routes; those count against ``quota``, too."""

    name: str
    routes: tuple[VpcRoute, ...]
    quota: int
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet of one zone; ``gateway`` is the cloud router's address in it, ``mtu`` in bytes."""

    name: str
    vpc: str
    zone: str
    prefix: Prefix
    gateway: int
    mtu: int
    table: str
    acl: str = ""
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True)
class Vpc:
    """A VPC with its address ranges and everything that hangs on it by name."""

    name: str
    prefixes: tuple[Prefix, ...]
    internet_gateway: bool
    groups: Mapping[str, SecurityGroup]
    tables: Mapping[str, RouteTable]
    acls: Mapping[str, NetworkAcl]
    mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True)
class Node:
    """A node with one interface. ``recorded`` is what Calico holds as its address (IP with prefix length)."""

    name: str
    vpc: str
    subnet: str
    zone: str
    address: int
    recorded: tuple[int, int] | None      # (address, prefix length); None: Calico does not know it
    source_dest_check: bool
    groups: tuple[str, ...]
    labels: Mapping[str, str]
    mtu: int
    public_address: int | None            # None: no mapping at the gateway; 0: mapped, address not known
    instance_type: str = ""
    group: str = ""                       # the scenario's node group it was counted from
    down: bool = False
    ipip_address: int | None = None       # fixed by a Node document
    vxlan_address: int | None = None
    cluster_id: str = ""                  # routeReflectorClusterID
    mark: Mark = NOWHERE
    check_mark: Mark = NOWHERE            # where the source/destination check is said


@dataclass(frozen=True, slots=True)
class NamedPort:
    name: str
    protocol: str
    port: int


class Pod(NamedTuple):
    """A pod on a node; ``address`` only where the user fixed one, ``pools`` where he asked for some.

    There may be hundreds of thousands: a named tuple is made several times as fast as a frozen dataclass.
    """

    name: str
    namespace: str
    node: str
    labels: Mapping[str, str]
    ports: tuple[NamedPort, ...] = ()
    address: int | None = None
    pools: tuple[str, ...] = ()
    mtu: int = 0                          # 0: what Calico gives it
    group: str = ""
    mark: Mark = NOWHERE
    answers: bool | None = None           # None: as the settings say
    service_account: str = "default"

    @property
    def id(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Replicas(Computed[Pod]):
    """Pods that differ in nothing but name and node: ``size`` of them on ``nodes`` in turn.

    ``pattern`` is what they have in common, with the group's name. A number from 0 on is added to it, or (``per_node``: so many
    of a node follow each other) the node and a number; ``numbered`` False: the one pod of the group has the name itself.
    """

    pattern: Pod
    nodes: tuple[str, ...]
    size: int
    per_node: int = 0
    numbered: bool = True

    @classmethod
    def of(cls, pod: Pod) -> Replicas:
        """One pod alone."""
        return cls(pod, (pod.node,), 1, numbered=False)

    def __len__(self) -> int:
        return self.size

    def at(self, position: int) -> Pod:
        name, node = self.pattern.name, self.nodes[position % len(self.nodes)]
        if self.per_node:
            name = f"{name}-{node}-{position % self.per_node}"
        elif self.numbered:
            name = f"{name}-{position}"
        return self.pattern._replace(name=name, node=node)

    def __iter__(self) -> Iterator[Pod]:
        _, *same = self.pattern
        return rows(Pod, self.names, repeat(same[0]), cycle(self.nodes), *map(repeat, same[2:]))

    @property
    def names(self) -> list[str]:
        name = self.pattern.name
        if self.per_node:
            return [f"{name}-{node}-{number % self.per_node}" for number, node in enumerate(self.nodes)]
        return [f"{name}-{number}" for number in range(self.size)] if self.numbered else [name] * self.size


class Pods(Joined[Pod]):
    """All pods, group by group."""

    parts: tuple[Replicas, ...]

    @property
    def ids(self) -> Iterator[str]:
        """Of each, as :attr:`Pod.id` says it."""
        for group in self.parts:
            space = group.pattern.namespace
            yield from (f"{space}/{name}" for name in group.names)


@dataclass(frozen=True, slots=True)
class Host:
    """Something with an address that is no node: outside the VPC, or a machine in one of its subnets."""

    name: str
    address: int
    mark: Mark = NOWHERE
    answers: bool | None = None           # None: as the settings say


@dataclass(frozen=True, slots=True)
class Entities:
    """Everything that exists, in the order in which it was written; the graph is drawn from it."""

    vpcs: Mapping[str, Vpc]
    subnets: Mapping[str, Subnet]
    nodes: Sequence[Node]
    pods: Pods
    hosts: tuple[Host, ...]
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
