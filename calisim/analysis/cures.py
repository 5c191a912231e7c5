"""What would have let a lost packet through: the commands to give, and the same change as an edit of the topology.

The edit is what ``--all-blockers`` really carries out before it sends the packet again, so a command shown here is one
whose effect was tried. Where no command helps, the reason's remedy is all there is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..model.entities import TrafficRule
from ..quantities import Prefix, format_address
from ..vocabulary import DropReason, Encap, EndpointKind, Stage
from ..vocabulary.encaps import encapsulation
from . import edits
from .needs import pair_of
from .policy_cure import cure_of_side, edit_of
from .policy_walk import Walker, flow_of

if TYPE_CHECKING:
    import numpy as np

    from .losses import Loss
    from .network import Network


@dataclass(frozen=True)
class Cure:
    """``edit`` changes the topology, ``size`` and ``ttl`` the packet (0: as it is); without any the search ends here."""

    commands: tuple[str, ...]
    edit: edits.Edit | None = None
    size: int = 0
    ttl: int = 0

    @property
    def possible(self) -> bool:
        return self.edit is not None or bool(self.size or self.ttl)


def cure_of(network: Network, loss: Loss, packet: np.void) -> Cure:
    """The cure of a loss; always with at least one line of advice."""
    find = _CURES.get(loss.reason)
    if loss.reason is DropReason.ADDRESS_UNUSED and loss.stage is not Stage.ENDPOINT:
        find = None
    return find(network, loss, packet) if find else Cure((loss.reason.remedy,))


def _check_off(network: Network, loss: Loss, packet: np.void) -> Cure:
    return Cure(
        (f"aws ec2 modify-instance-attribute --instance-id {_instance(loss.where)} --no-source-dest-check",
         *_what_if(network, packet, f"nodes.{_group_of(network, loss.where)}.sourceDestCheck=false")),
        edits.source_dest_check(False, {loss.where}))


def _group_rule(network: Network, loss: Loss, packet: np.void) -> Cure:
    ingress = loss.reason is DropReason.SG_INGRESS
    group = loss.object.name if loss.object else "GROUP"
    peer = loss.header.src if ingress else loss.header.dst
    low, high = (loss.header.dport,) * 2 if loss.header.protocol in (6, 17) else (0, 65535)
    prefix = _peers(network, peer)
    rule = TrafficRule(loss.header.protocol, low, high, prefix)
    ports = f",FromPort={low},ToPort={high}" if loss.header.protocol in (6, 17) else ""
    ports = ",FromPort=-1,ToPort=-1" if loss.header.protocol == 1 else ports
    protocol = {1: "icmp", 6: "tcp", 17: "udp"}.get(loss.header.protocol, str(loss.header.protocol))
    command = (
        f"aws ec2 authorize-security-group-{'ingress' if ingress else 'egress'} --group-id {group} "
        f"--ip-permissions 'IpProtocol={protocol}{ports},IpRanges=[{{CidrIp={prefix}}}]'")
    return Cure((command,), edits.allow(group, rule, ingress=ingress))


def _peers(network: Network, address: int) -> Prefix:
    """The pool or subnet that an address belongs to, else the address alone."""
    intent = network.intent
    candidates = [pool.prefix for pool in intent.pools] + [subnet.prefix for subnet in intent.fabric.subnets]
    return next((prefix for prefix in candidates if address in prefix), Prefix(address, 32))


def _acl(network: Network, loss: Loss, packet: np.void) -> Cure:
    ingress, header = loss.reason is DropReason.NACL_IN, loss.header
    ports = f" --port-range From={header.dport},To={header.dport}" if header.protocol in (6, 17) else ""
    command = (
        f"aws ec2 create-network-acl-entry --network-acl-id {_acl_name(network, loss)} "
        f"--{'ingress' if ingress else 'egress'} --rule-number 1 --protocol {header.protocol}{ports} "
        f"--cidr-block {format_address(header.src if ingress else header.dst)}/32 --rule-action allow")
    return Cure((command,), edits.open_acls(ingress=ingress))


def _acl_name(network: Network, loss: Loss) -> str:
    """The NACL that decided: by one of its rules (``NAME rule N``), or because none of its subnet's matched."""
    if loss.object is None:
        return "ACL"
    subnet = network.topology.entities.subnets.get(loss.object.name) if loss.object.kind == "Subnet" else None
    return subnet.acl if subnet else loss.object.name.partition(" ")[0]


def _no_route_in_cloud(network: Network, loss: Loss, packet: np.void) -> Cure:
    """A pod's address on the cloud's wire: encapsulate between subnets, or translate what leaves the cluster."""
    intent = network.intent
    native = [pool for pool in intent.pools if pool.ipip == "Never" and pool.vxlan == "Never"]
    if _in_pool(network, int(packet["dst"])) and not intent.endpoint(int(packet["ingress"])).router:
        return Cure(("pods have no address outside the cluster: reach them through a NodePort, a load balancer or a VPN",))
    if _in_pool(network, int(packet["dst"])) and native:
        return Cure(
            tuple(f"calicoctl patch ippool {pool.name} -p '{{\"spec\": {{\"ipipMode\": \"CrossSubnet\"}}}}'" for pool in native),
            edits.cross_subnet)
    if _in_pool(network, loss.header.src):
        return _translate(network)
    router = next((router for router in intent.routers if router.address == loss.header.src), None)
    if loss.reason is DropReason.IGW_NO_PUBLIC_ADDRESS and router is not None:
        return Cure(
            (f"aws ec2 associate-address --instance-id {_instance(router.name)} --allocation-id ALLOCATION",
             *_what_if(network, packet, f"nodes.{_group_of(network, router.name)}.publicIP=true")),
            edits.on_nodes({router.name}, lambda node: replace(node, public_address=0)))
    if loss.reason is DropReason.FABRIC_NO_ROUTE and not _in_pool(network, int(packet["dst"])):
        return Cure((
            "aws ec2 create-route --route-table-id TABLE --destination-cidr-block 0.0.0.0/0 --gateway-id IGW "
            "(an internet gateway, or whatever leads there)",))
    return Cure((loss.reason.remedy,))


def _in_pool(network: Network, address: int) -> bool:
    return any(address in pool.prefix for pool in network.intent.pools)


def _translate(network: Network) -> Cure:
    return Cure(
        tuple(f"calicoctl patch ippool {pool.name} -p '{{\"spec\": {{\"natOutgoing\": true}}}}'"
              for pool in network.intent.pools if not pool.nat_outgoing), edits.pools(nat_outgoing=True))


def _reverse_path(network: Network, loss: Loss, packet: np.void) -> Cure:
    sender = network.intent.endpoint(int(packet["ingress"]))
    if sender.kind is EndpointKind.POD and not all(pool.nat_outgoing for pool in network.intent.pools) and not _in_pool(
            network, int(packet["dst"])):
        return _translate(network)
    return Cure(
        (f"ssh {loss.where} sudo sysctl -w net.ipv4.conf.all.rp_filter=2", *_what_if(network, packet, "settings.rpFilter=loose")),
        edits.settings(rp_filter="loose"))


def _smaller(network: Network, loss: Loss, packet: np.void) -> Cure:
    room = loss.limit - (encapsulation(loss.encap).overhead if loss.encap else 0)
    if loss.limit <= 0 or room < 68 or room >= int(packet["length"]):
        return Cure((loss.reason.remedy,))
    kind = {Encap.IPIP: "ipipMTU", Encap.VXLAN: "vxlanMTU"}.get(loss.encap)
    command = (
        f"calicoctl patch felixconfiguration default -p '{{\"spec\": {{\"{kind}\": {room}}}}}'" if kind
        else f"lower the sender's MTU: what is larger than {room:,} bytes does not fit")
    return Cure((command,), size=room)


def _time_to_live(network: Network, loss: Loss, packet: np.void) -> Cure:
    return Cure((loss.reason.remedy,), ttl=0 if packet["ttl"] >= 64 else 64)


def _felix(command: str, **values: object) -> Callable[[Network, Loss, np.void], Cure]:
    def find(network: Network, loss: Loss, packet: np.void) -> Cure:
        return Cure((f"calicoctl patch felixconfiguration default -p '{{\"spec\": {{{command}}}}}'",), edits.felix(**values))

    return find


def _known_sender(network: Network, loss: Loss, packet: np.void) -> Cure:
    node = next((one for one in network.topology.entities.nodes if one.address == loss.header.src), None)
    if node is not None:      # one of the cluster after all, only that Calico holds another address for it
        subnet = network.topology.entities.subnets[node.subnet]
        recorded = node.address, subnet.prefix.length
        text = f"{format_address(node.address)}/{subnet.prefix.length}"
        return Cure(
            (f"calicoctl patch node {node.name} -p '{{\"spec\": {{\"bgp\": {{\"ipv4Address\": \"{text}\"}}}}}}'",),
            edits.on_nodes({node.name}, lambda one: replace(one, recorded=recorded)))
    sender = Prefix(loss.header.src, 32)
    return _felix(
        f'"externalNodesList": ["{sender}"]',
        external_nodes=(*network.topology.resources.felix.external_nodes, sender))(network, loss, packet)


def _quota(network: Network, loss: Loss, packet: np.void) -> Cure:
    """As many entries as the largest table has, its local routes and a default route included."""
    vpcs = network.topology.entities.vpcs.values()
    wanted = max((len(table.routes) + len(vpc.prefixes) + 1 for vpc in vpcs for table in vpc.tables.values()), default=0)
    return Cure(
        (f"aws service-quotas request-service-quota-increase --service-code vpc --quota-code L-93826ACB --desired-value {wanted}",
         *_what_if(network, packet, f"limits.routesPerTable={wanted}")), edits.route_quota(wanted))


def _other_wrapping(network: Network, loss: Loss, packet: np.void) -> Cure:
    return Cure(
        tuple(f"calicoctl patch ippool {pool.name} -p '{{\"spec\": {{\"ipipMode\": \"Never\", \"vxlanMode\": \"{pool.ipip}\"}}}}'"
              for pool in network.intent.pools if pool.ipip != "Never"), edits.vxlan_for_ipip)


def _no_address(network: Network, loss: Loss, packet: np.void) -> Cure:
    """A sender that IPAM left without an address."""
    topology = network.topology
    if topology.resources.ipam.strict_affinity:
        free = replace(topology.resources.ipam, strict_affinity=False)
        return Cure(
            ("calicoctl ipam configure --strictaffinity=false",),
            lambda changed: replace(changed, resources=replace(changed.resources, ipam=free)))
    return Cure(("add an IP pool, or make the pool larger or its blocks smaller (blockSize)",))


def _start(network: Network, loss: Loss, packet: np.void) -> Cure:
    name = loss.object.name if loss.object else loss.where
    return Cure(
        (f"aws ec2 start-instances --instance-ids {_instance(name)}",),
        edits.on_nodes({name}, lambda node: replace(node, down=False)))


def _policy(network: Network, loss: Loss, packet: np.void) -> Cure:
    """One more policy, or what a pod may send to its own node."""
    if loss.stage is Stage.LOCAL_IN:
        accept = _felix('"defaultEndpointToHostAction": "Accept"', default_endpoint_to_host_action="Accept")
        return accept(network, loss, packet)
    walker, way = Walker(network), "egress" if loss.reason is DropReason.POLICY_EGRESS else "ingress"
    side = walker.side(flow_of(loss.header), way)
    if side is None or side.allowed:          # somebody's own node, or a filter that knows no policy: nothing to add
        return Cure((loss.reason.remedy,))
    cure = cure_of_side(walker.book, side)
    if not cure.document:
        return Cure((cure.advice,))
    return Cure((f"{cure.tool} apply -f - <<'EOF'\n{cure.document}EOF",), lambda topology: edit_of(cure, topology))


_CURES: dict[DropReason, Callable[[Network, Loss, np.void], Cure]] = {
    DropReason.SOURCE_CHECK: _check_off, DropReason.DEST_CHECK: _check_off,
    DropReason.SG_INGRESS: _group_rule, DropReason.SG_EGRESS: _group_rule,
    DropReason.NACL_IN: _acl, DropReason.NACL_OUT: _acl,
    DropReason.FABRIC_NO_ROUTE: _no_route_in_cloud, DropReason.IGW_NO_PUBLIC_ADDRESS: _no_route_in_cloud,
    DropReason.FABRIC_NO_OWNER: _no_route_in_cloud, DropReason.RPF: _reverse_path,
    DropReason.MTU_EXCEEDED: _smaller, DropReason.FABRIC_MTU: _smaller, DropReason.TTL_EXCEEDED: _time_to_live,
    DropReason.ROUTE_QUOTA: _quota, DropReason.FABRIC_PROTOCOL: _other_wrapping, DropReason.ENDPOINT_DOWN: _start,
    DropReason.TUNNEL_UNKNOWN_SENDER: _known_sender, DropReason.ADDRESS_UNUSED: _no_address,
    DropReason.CT_INVALID: _felix('"disableConntrackInvalidCheck": true', disable_conntrack_invalid_check=True),
    DropReason.POLICY_EGRESS: _policy, DropReason.POLICY_INGRESS: _policy,
}


def _instance(name: str) -> str:
    """The instance's id, asked for by its name."""
    return (
        f"$(aws ec2 describe-instances --filters Name=tag:Name,Values={name} "
        "--query 'Reservations[].Instances[].InstanceId' --output text)")


def _what_if(network: Network, packet: np.void, assignment: str) -> tuple[str, ...]:
    """The same change, tried in the simulator only. Steps set values after ``--set``, so for them there is no such command, nor
    for a variant that no file has."""
    if network.step or network.variant not in network.scenario.select_variants("all"):
        return ()
    sender, receiver = pair_of(network, packet)
    protocol, size = int(packet["protocol"]), int(packet["length"])
    flags = f" --port {packet['dport']}" if protocol in (6, 17) else ""
    flags += "" if protocol == 6 else f" --protocol {protocol}"
    flags += "" if size == 1000 else f" --size {size}"
    flags += "" if network.variant == "as-is" else f" --variant {network.variant}"
    return (f"calisim trace {network.scenario.path} {sender} {receiver}{flags} --set '{assignment}'",)


def _group_of(network: Network, node: str) -> str:
    """The scenario's node group that a node was counted from."""
    return next((one.group or one.name for one in network.topology.entities.nodes if one.name == node), node)
