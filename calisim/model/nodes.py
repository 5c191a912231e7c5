"""Node groups counted out: names, addresses, interfaces, and what Node documents add to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..errors import Mark, Problem
from ..quantities import format_address
from .clouds import DEFAULT_GROUP
from .entities import Host, Node, Subnet, Vpc
from .providers import Provider

if TYPE_CHECKING:
    from ..scenario.resources import FelixConfiguration, NodeResource, Resources
    from ..scenario.schema import NodeGroup, Spec

HOSTNAME_LABEL, ZONE_LABEL = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
REGION_LABEL = "topology.kubernetes.io/region"


def nodes(
    spec: Spec, resources: Resources, profile: Provider, vpcs: Mapping[str, Vpc], subnets: Mapping[str, Subnet],
    hosts: tuple[Host, ...], problems: list[Problem], warnings: list[str],
) -> tuple[Node, ...]:
    """Every node in order of writing; addresses that nobody fixed are the subnet's next free ones."""
    wanted = [item for item in _counted(spec, problems) if _known_subnet(item, subnets, problems)]
    free = _Addresses(subnets, profile, hosts, problems)
    for item in wanted:
        if (address := _fixed(item, resources.nodes.get(item.name))) is not None:
            item.address = free.take(item, address)
    made = []
    for item in wanted:
        if item.address is None:
            item.address = free.next(item)
        node = _node(item, resources.nodes.get(item.name), subnets[item.group.subnet], vpcs, profile, problems)
        made.append(_as_felix_sets(node, resources.felix, profile))
    known = {node.name for node in made}
    warnings.extend(
        f"{document.mark}: Node {name} is not in the scenario, so the document changes nothing"
        for name, document in resources.nodes.items() if name not in known)
    return tuple(made)


@dataclass(slots=True)
class _Wanted:
    """A node that is to be: its name, its group and its place in it."""

    name: str
    group: NodeGroup
    path: str
    number: int
    address: int | None = None


def _counted(spec: Spec, problems: list[Problem]) -> Iterator[_Wanted]:
    seen: dict[str, Mark] = {}
    for position, group in enumerate(spec.nodes):
        path = f"spec.nodes[{position}]"
        for number in range(1 if group.count is None else group.count):
            name = group.name if group.count is None else f"{group.name}-{number + 1}"
            if name in seen:
                problems.append(Problem(
                    group.mark_of("name"), f"{path}.name", f"node {name} is there already ({seen[name]})", "give the group another name"))
                break
            seen[name] = group.mark
            yield _Wanted(name, group, path, number)


def _known_subnet(item: _Wanted, subnets: Mapping[str, Subnet], problems: list[Problem]) -> bool:
    if item.group.subnet in subnets:
        return True
    if item.number == 0:
        problems.append(Problem(
            item.group.mark_of("subnet"), f"{item.path}.subnet", f"no VPC has a subnet called {item.group.subnet}",
            f"there is {', '.join(subnets) or 'none'}"))
    return False


def _fixed(item: _Wanted, document: NodeResource | None) -> int | None:
    """The address that the scenario or a Node document gives: an InternalIP first, then what the scenario says."""
    group = item.group
    if document is not None and document.internal_address is not None:
        return document.internal_address
    if group.count is None and group.address is not None:
        address: int = group.address
        return address
    if group.first_address is not None:
        first: int = group.first_address
        return first + item.number
    return document.address[0] if document is not None and document.address is not None else None


class _Addresses:
    """Who has which address of each subnet while nodes are being placed."""

    def __init__(self, subnets: Mapping[str, Subnet], profile: Provider, hosts: tuple[Host, ...], problems: list[Problem]) -> None:
        self.subnets, self.profile, self.problems = subnets, profile, problems
        self.taken: dict[str, dict[int, str]] = {name: {} for name in subnets}
        self.cursor = {name: subnet.prefix.network + profile.reserved_first for name, subnet in subnets.items()}
        for host in hosts:
            for name, subnet in subnets.items():
                if host.address in subnet.prefix:
                    self.taken[name][host.address] = f"host {host.name}"

    def take(self, item: _Wanted, address: int) -> int:
        """That very address; a problem where it is not to be had."""
        subnet, profile = self.subnets[item.group.subnet], self.profile
        place = address - subnet.prefix.network
        fault = cure = ""
        if address not in subnet.prefix:
            fault, cure = f"{format_address(address)} lies outside subnet {subnet.name} ({subnet.prefix})", "choose one inside it"
        elif place < profile.reserved_first or place >= subnet.prefix.size - profile.reserved_last:
            fault, cure = f"{format_address(address)} is reserved by provider {profile.name}", (
                f"free are {format_address(subnet.prefix.network + profile.reserved_first)} to "
                f"{format_address(subnet.prefix.last - profile.reserved_last)}")
        elif address in self.taken[subnet.name]:
            fault, cure = f"{format_address(address)} belongs to {self.taken[subnet.name][address]} already", "give each its own"
        if fault:
            self.problems.append(Problem(item.group.mark, f"{item.path}.address", f"node {item.name}: {fault}", cure))
        else:
            self.taken[subnet.name][address] = f"node {item.name}"
        return address

    def next(self, item: _Wanted) -> int:
        """The lowest address of the subnet that nobody has; a problem (once a group) where there is none left."""
        name = item.group.subnet
        taken, address = self.taken[name], self.cursor[name]
        while address in taken:
            address += 1
        prefix = self.subnets[name].prefix
        if address > prefix.last - self.profile.reserved_last:
            message = f"subnet {name} ({prefix}) has no address left for node {item.name}"
            if not any(problem.path == item.path for problem in self.problems):
                self.problems.append(Problem(item.group.mark, item.path, message, "make the subnet larger or the group smaller"))
            return prefix.network
        taken[address] = f"node {item.name}"
        self.cursor[name] = address + 1
        return address


def _node(
    item: _Wanted, document: NodeResource | None, subnet: Subnet, vpcs: Mapping[str, Vpc], profile: Provider, problems: list[Problem],
) -> Node:
    group, vpc, address = item.group, vpcs[subnet.vpc], item.address or 0
    length = subnet.prefix.length if group.prefix_length is None else group.prefix_length
    check = profile.source_dest_check if group.source_dest_check is None else group.source_dest_check
    groups = tuple(dict.fromkeys(group.security_groups)) or ((DEFAULT_GROUP,) if profile.security_groups else ())
    if item.number == 0:
        problems.extend(
            Problem(
                group.mark_of("securityGroups"), f"{item.path}.securityGroups", f"VPC {vpc.name} has no security group called {name}",
                f"there is {', '.join(vpc.groups) or 'none'}")
            for name in groups if name not in vpc.groups and name != DEFAULT_GROUP)
    return Node(
        item.name, vpc.name, subnet.name, subnet.zone, address,
        document.address if document is not None and document.address is not None else (address, length),
        check, groups, _labels(item, document, subnet), group.mtu or subnet.mtu, _public(group, vpc, profile),
        group.instance_type, group.name, group.down,
        document.ipip_address if document else None, document.vxlan_address if document else None,
        document.cluster_id if document else "",
        group.mark, group.mark_of("sourceDestCheck"))


def _as_felix_sets(node: Node, felix: FelixConfiguration, profile: Provider) -> Node:
    """awsSrcDstCheck: Felix changes the flag of every node it runs on (felix/aws), where the cloud has such a flag."""
    if not profile.source_dest_check or felix.aws_src_dst_check == "DoNothing":
        return node
    return replace(node, source_dest_check=felix.aws_src_dst_check == "Enable", check_mark=felix.mark)


def _labels(item: _Wanted, document: NodeResource | None, subnet: Subnet) -> dict[str, str]:
    labels = {HOSTNAME_LABEL: item.name}
    if subnet.zone:
        labels[ZONE_LABEL] = subnet.zone
        labels[REGION_LABEL] = subnet.zone.rstrip("abcdefghijklmnopqrstuvwxyz")
    return {**labels, **item.group.labels, **(document.labels if document else {})}


def _public(group: NodeGroup, vpc: Vpc, profile: Provider) -> int | None:
    """None: no mapping; 0: mapped, but which address is not known; else the address."""
    if not vpc.internet_gateway:
        return None
    if group.public_ip is None:
        return 0 if profile.public_by_default else None
    if group.public_ip is True:
        return 0
    if group.public_ip is False:
        return None
    address: int = group.public_ip
    return address
