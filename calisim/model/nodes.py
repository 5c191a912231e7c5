"""Node groups counted out: names, addresses, interfaces, and what Node documents add to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count as count_from
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING

from ..errors import Mark, Problem
from ..parts import Parts
from ..quantities import format_address
from ..scenario.faults import problem
from ..sequences import Joined, runs
from .clouds import DEFAULT_GROUP
from .entities import Host, Node, Subnet, Vpc
from .providers import Provider

if TYPE_CHECKING:
    from ..scenario.resources import FelixConfiguration, NodeResource, Resources
    from ..scenario.schema import NodeGroup, Spec

HOSTNAME_LABEL, ZONE_LABEL = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
REGION_LABEL = "topology.kubernetes.io/region"
MOST_LISTED = 8          # names in one sentence
RUN = 64                 # nodes that are made together: a node that joins or changes costs its run, and a look at each other one


@dataclass(frozen=True, slots=True)
class Alike:
    """A group of nodes: what they have in common, whatever their number."""

    name: str
    subnet: Subnet
    address: tuple[int, Mark] | None
    first_address: tuple[int, Mark] | None
    length: int
    mtu: int
    check: bool
    check_mark: Mark
    groups: tuple[str, ...]
    public_address: int | None
    labels: Mapping[str, str]
    instance_type: str
    down: bool | frozenset[str]                   # all of them, or these
    mark: Mark
    written: NodeGroup = field(compare=False)


def groups(
    spec: Spec, profile: Provider, vpcs: Mapping[str, Vpc], subnets: Mapping[str, Subnet], felix: FelixConfiguration,
) -> list[Alike]:
    """The node groups with what the provider, the subnet and Felix make of them."""
    return [_alike(group, profile, vpcs, subnets[group.subnet], felix) for group in spec.nodes]


def _alike(
    group: NodeGroup, profile: Provider, vpcs: Mapping[str, Vpc], subnet: Subnet, felix: FelixConfiguration,
) -> Alike:
    check = profile.source_dest_check if group.source_dest_check is None else group.source_dest_check
    check_mark = group.mark_of("source_dest_check")
    if profile.source_dest_check and felix.aws_src_dst_check != "DoNothing":
        # awsSrcDstCheck: Felix changes the flag of every node it runs on (felix/aws), where the cloud has such a flag
        check, check_mark = felix.aws_src_dst_check == "Enable", felix.mark
    return Alike(
        group.name, subnet, None if group.address is None else (group.address, group.mark_of("address")),
        None if group.first_address is None else (group.first_address, group.mark_of("first_address")),
        subnet.prefix.length if group.prefix_length is None else group.prefix_length, group.mtu or subnet.mtu, check, check_mark,
        tuple(dict.fromkeys(group.security_groups)) or ((DEFAULT_GROUP,) if profile.security_groups else ()),
        _public(group, vpcs[subnet.vpc], profile), _zone_labels(subnet) | group.labels, group.instance_type,
        group.down if isinstance(group.down, bool) else frozenset(group.down), group.mark, group)


def nodes(
    parts: Parts, groups: Sequence[Alike], counts: Sequence[int | None], documents: Mapping[str, NodeResource], profile: Provider,
    subnets: Mapping[str, Subnet], hosts: tuple[Host, ...],
) -> tuple[Joined[Node], list[Problem]]:
    """Every node in order of writing, so many of each group; addresses that nobody fixed are the subnet's next free ones.

    They are made in runs; a large group has runs of its own.
    """
    problems: list[Problem] = []
    wanted = list(_counted(groups, counts, documents))
    free = _Addresses(subnets, profile, hosts, problems)
    for some in wanted:
        some.fix(free)
    known = {id(group): parts.of(("node group", group.name), _same, group) for group in groups}       # the same object as before
    items: list[list[_Item]] = []
    room = 0
    for some in wanted:
        if len(some.numbers) > room:
            items.append([])
            room = RUN
        room -= len(some.numbers)
        items[-1].append((known[id(some.group)], some.numbers, some.named, some.documents, some.given(free)))
    return Joined(parts.each("nodes", _nodes, items)), problems


def names(parts: Parts, nodes: Sequence[Node]) -> list[tuple[str, ...]]:
    """The nodes' names, run by run."""
    return parts.each("names", _names_of, runs(nodes))


def all_names(parts: Parts, nodes: Sequence[Node]) -> tuple[str, ...]:
    return parts.of("all names", _joined, names(parts, nodes))


def _joined(names: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(chain.from_iterable(names))


def _names_of(nodes: Sequence[Node]) -> tuple[str, ...]:
    return tuple(node.name for node in nodes)


def _same(group: Alike) -> Alike:
    return group


def superfluous(resources: Resources, nodes: Iterable[Node]) -> Iterator[str]:
    """A sentence on each Node document that no node of the scenario answers to."""
    known = {node.name for node in nodes} if resources.nodes else set()
    for name, document in resources.nodes.items():
        if name not in known:
            yield f"{document.mark}: the scenario has no node {name}, so its document changes nothing"


def supposed(spec: Spec, vpcs: Mapping[str, Vpc], subnets: Mapping[str, Subnet], profile: Provider) -> Iterator[str]:
    """What a scenario leaves open and this model decides."""
    silent = [group.name for group in spec.nodes if group.public_ip is None and vpcs[subnets[group.subnet].vpc].internet_gateway]
    if silent and profile.public_by_default:
        yield f"Nodes have public addresses at the internet gateway; say publicIP: false for those without ({_listed(silent)})."


def _listed(names: Sequence[str]) -> str:
    """A few names and how many more there are: a scenario may have thousands of groups."""
    more = f" and {len(names) - MOST_LISTED:,} more" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more


@dataclass(slots=True)
class _Wanted:
    """Nodes of a group that are to be: their numbers in it, whether these are in their names, and their documents, if there are
    any. ``fixed``: addresses that are said, by position."""

    group: Alike
    numbers: range
    named: bool
    documents: tuple[NodeResource | None, ...] = ()
    fixed: dict[int, int] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return _names(self.group, self.numbers, self.named)

    def fix(self, free: _Addresses) -> None:
        """Take the addresses that are said."""
        if self.documents or self.group.address is not None or self.group.first_address is not None:
            for position, name in enumerate(self.names):
                document = self.documents[position] if self.documents else None
                if (address := _fixed(self.group, self.numbers[position], document)) is not None:
                    self.fixed[position] = free.take(self.group, name, *address)

    def given(self, free: _Addresses) -> Sequence[int]:
        """Everybody's address."""
        if not self.fixed:
            return free.next(self, len(self.numbers))
        return tuple(
            self.fixed[position] if position in self.fixed else free.next(self, 1, position)[0]
            for position in range(len(self.numbers)))


def _names(group: Alike, numbers: range, named: bool) -> list[str]:
    return [f"{group.name}-{number + 1}" for number in numbers] if named else [group.name]


def _counted(
    groups: Sequence[Alike], counts: Sequence[int | None], documents: Mapping[str, NodeResource],
) -> Iterator[_Wanted]:
    for group, count in zip(groups, counts, strict=True):
        for first in range(0, 1 if count is None else count, RUN):
            run = _Wanted(group, range(first, min(first + RUN, count or 1)), count is not None)
            found = tuple(documents.get(name) for name in run.names) if documents else ()
            run.documents = found if any(found) else ()
            yield run


def _fixed(group: Alike, number: int, document: NodeResource | None) -> tuple[int, Mark] | None:
    """The address that is said and where: a document's InternalIP, the scenario's word, then the address Calico recorded."""
    if document is not None and document.internal_address is not None:
        return document.internal_address, document.mark
    if group.address is not None:
        return group.address
    if group.first_address is not None:
        first, mark = group.first_address
        return first + number, mark
    if document is not None and document.address is not None:
        return document.address[0], document.mark
    return None


class _Addresses:
    """Who has which address of each subnet while nodes are being placed."""

    def __init__(
        self, subnets: Mapping[str, Subnet], profile: Provider, hosts: tuple[Host, ...], problems: list[Problem],
    ) -> None:
        self.subnets, self.profile, self.problems = subnets, profile, problems
        self.taken: dict[str, dict[int, str]] = {name: {} for name in subnets}
        self.cursor = {name: subnet.prefix.network + profile.reserved_first for name, subnet in subnets.items()}
        for host in hosts:
            for name, subnet in subnets.items():
                if host.address in subnet.prefix:
                    self.taken[name][host.address] = f"host {host.name}"

    def take(self, group: Alike, node: str, address: int, mark: Mark) -> int:
        """That very address; a problem where it is not to be had."""
        subnet = self.subnets[group.subnet.name]
        low, high = subnet.prefix.network + self.profile.reserved_first, subnet.prefix.last - self.profile.reserved_last
        owner = self.taken[subnet.name].get(address)
        path, who = f"node {node}", format_address(address)
        if owner is not None:
            self.problems.append(Problem(mark, path, f"{who} belongs to {owner} already", "give each its own"))
        elif not low <= address <= high:
            self.problems.append(Problem(
                mark, path, f"{who} is no address for a node of subnet {subnet.name} ({subnet.prefix})",
                f"{self.profile.title}: {format_address(low)} to {format_address(high)}"))
        self.taken[subnet.name][address] = f"node {node}"
        return address

    def next(self, run: _Wanted, count: int, position: int = 0) -> Sequence[int]:
        """The lowest addresses of the subnet that nobody has, for nodes of the run from a position on; problems where there are
        none left."""
        name = run.group.subnet.name
        taken, first = self.taken[name], self.cursor[name]
        found: Sequence[int] = range(first, first + count)
        if not taken.keys().isdisjoint(found):
            found = tuple(islice((address for address in count_from(first) if address not in taken), count))
        prefix = self.subnets[name].prefix
        if found[-1] > prefix.last - self.profile.reserved_last:
            for at, address in enumerate(found, start=position):
                if address > prefix.last - self.profile.reserved_last:
                    self.problems.append(problem(
                        run.group.written, "count", f"subnet {name} ({prefix}) has no address left for node {run.names[at]}",
                        "use a larger subnet or fewer nodes"))
        self.cursor[name] = found[-1] + 1
        return found


_Item = tuple[Alike, range, bool, Sequence["NodeResource | None"], Sequence[int]]
"""Nodes of a group: their numbers, whether these are in their names, their documents and addresses."""


def _nodes(items: Sequence[_Item]) -> tuple[Node, ...]:
    return tuple(
        _node(name, alike, document, address)
        for alike, numbers, named, documents, addresses in items
        for name, document, address in zip(_names(alike, numbers, named), documents or repeat(None), addresses, strict=False))


def _node(name: str, alike: Alike, document: NodeResource | None, address: int) -> Node:
    subnet = alike.subnet
    return Node(
        name=name, vpc=subnet.vpc, subnet=subnet.name, zone=subnet.zone, address=address,
        recorded=document.address if document is not None and document.address is not None else (address, alike.length),
        source_dest_check=alike.check, groups=alike.groups,
        labels={HOSTNAME_LABEL: name, **alike.labels, **(document.labels if document else {})}, mtu=alike.mtu,
        public_address=alike.public_address, instance_type=alike.instance_type, group=alike.name,
        down=alike.down if isinstance(alike.down, bool) else name in alike.down,
        ipip_address=document.ipip_address if document else None, vxlan_address=document.vxlan_address if document else None,
        cluster_id=document.cluster_id if document else "", mark=alike.mark, check_mark=alike.check_mark)


def _zone_labels(subnet: Subnet) -> dict[str, str]:
    """What the cloud's controller sets."""
    if not subnet.zone:
        return {}
    return {ZONE_LABEL: subnet.zone, REGION_LABEL: subnet.zone.rstrip("abcdefghijklmnopqrstuvwxyz")}


def _public(group: NodeGroup, vpc: Vpc, profile: Provider) -> int | None:
    """None: no mapping at the gateway; 0: mapped, but which address is not known; else the address."""
    said = group.public_ip
    if not vpc.internet_gateway or said is False or (said is None and not profile.public_by_default):
        return None
    return 0 if said is None or said is True else said
