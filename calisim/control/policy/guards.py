"""HostEndpoints → guards of nodes' interfaces: which programs Felix asks there, and the failsafe ports before them.

A HostEndpoint is for the interface of its name, else for that which has one of its expected addresses, or (``*``) for all that
have none of their own; of several for one interface the first by name counts. ``*`` has no untracked policy (Felix renders none).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...scenario.resources import FailsafePort, FelixConfiguration, HostEndpoint, Policy, PolicyResources
from ...vocabulary import Device, PolicyAction
from ..endpoints import Station
from ..policing import Chain, Failsafes, Guard, Program, ProgramTier, RuleMatch, SideMatch
from .labels import applied, labels_of
from .order import ordered_policies, ordered_tiers
from .programs import Programs
from .scopes import policy_selector

NAMES = {"eth0": Device.ETHERNET, "tunl0": Device.IPIP, "vxlan.calico": Device.VXLAN}
EVERY = "*"
_OF_EVERY = (Device.ETHERNET, Device.IPIP, Device.VXLAN, Device.LOOPBACK, Device.VETH)


def labelled(resources: PolicyResources) -> tuple[HostEndpoint, ...]:
    """The host endpoints with the labels that their profiles apply."""
    of_profiles = labels_of(resources.profiles)
    return tuple(
        replace(host, labels={**applied(of_profiles, host.profiles), **host.labels}) for host in resources.host_endpoints)


@dataclass(slots=True)
class Guards:
    """The guards of a cluster, and what stands in their place where a document leads nowhere."""

    programs: Programs
    hosts: tuple[HostEndpoint, ...]
    stations: Sequence[Station]
    all: list[Guard] = field(default_factory=list)
    interfaces: dict[tuple[int, Device], int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def place(self) -> None:
        """Every host endpoint at its interfaces."""
        by_node: dict[str, list[int]] = {}
        for number in sorted(range(len(self.hosts)), key=lambda number: self.hosts[number].name):
            by_node.setdefault(self.hosts[number].node, []).append(number)
        for router in self.stations if by_node else ():
            mine = by_node.get(router.name, [])
            for number in sorted(mine, key=lambda number: self.hosts[number].interface == EVERY):      # named ones first
                self._place(number, router)

    def _place(self, number: int, router: Station) -> None:
        host = self.hosts[number]
        devices = list(_devices(host, router))
        if not devices:
            self.warnings.append(
                f"HostEndpoint {host.name} polices nothing: {router.name} has no interface "
                f"{host.interface or 'with that address'} ({', '.join(_present(router))}).")
        free = [device for device in devices if (router.id, device) not in self.interfaces]
        if devices and not free:
            self.warnings.append(f"HostEndpoint {host.name} polices nothing: another one has its interface of {router.name}.")
        if free:
            self.all.append(self._guard(number))
            for device in free:
                self.interfaces[router.id, device] = len(self.all)

    def _guard(self, number: int) -> Guard:
        programs, host = self.programs, self.hosts[number]
        own = [policy for policy in programs.resources.policies if not policy.staged and self._selects(policy, number)]
        normal = [policy for policy in own if not policy.do_not_track and not policy.pre_dnat]
        forwarded = [policy for policy in normal if policy.apply_on_forward]
        before = [policy for policy in own if policy.pre_dnat]
        untracked = [policy for policy in own if policy.do_not_track]
        if untracked and host.interface == EVERY:
            self.warnings.append(
                f"HostEndpoint {host.name}: the doNotTrack policy {untracked[0].name} does not hold for interfaceName *, "
                "as in Felix.")
            untracked = []
        ends = self._ends(host, normal)
        profiles = {way: tuple(programs.profile(name, way) for name in host.profiles) for way in ("ingress", "egress")}
        return Guard(
            ingress=programs.add(Program(self._tiers(normal, "ingress", ends), profiles["ingress"])),
            egress=programs.add(Program(self._tiers(normal, "egress", ends), profiles["egress"])),
            forward_ingress=self._unless_empty(self._tiers(forwarded, "ingress", ends), PolicyAction.ALLOW),
            forward_egress=self._unless_empty(self._tiers(forwarded, "egress", ends), PolicyAction.ALLOW),
            pre_dnat=self._unless_empty(self._tiers(before, "ingress"), PolicyAction.PASS),
            untracked_ingress=self._unless_empty(self._tiers(untracked, "ingress"), PolicyAction.PASS),
            untracked_egress=self._unless_empty(self._tiers(untracked, "egress"), PolicyAction.PASS),
            decided_by=programs.objects.add("HostEndpoint", host.name, host.mark))

    def _selects(self, policy: Policy, number: int) -> bool:
        return number in self.programs.chains.sets.hosts(policy_selector(policy))

    def _ends(self, host: HostEndpoint, policies: Iterable[Policy]) -> dict[str, int]:
        """Objects for the ends of tiers at this host endpoint: a loss there is told apart from one at a pod."""
        marks = {tier.name: tier.mark for tier in self.programs.resources.tiers}
        names = sorted({policy.tier for policy in policies})
        return {name: self.programs.objects.add("Tier", f"{name} at HostEndpoint {host.name}", marks[name]) for name in names}

    def _tiers(self, policies: Iterable[Policy], way: str, ends: Mapping[str, int] | None = None) -> tuple[ProgramTier, ...]:
        """Without ``ends`` no tier ends in a drop, since tables that come later have a say."""
        chains: dict[str, list[int]] = {}
        for policy in ordered_policies(policies):
            if way.capitalize() in policy.types:
                chains.setdefault(policy.tier, []).append(self.programs.chain(policy, way))
        order = [tier.name for tier in ordered_tiers(self.programs.resources.tiers) if tier.name in chains]
        tiers = (self.programs.tier(name, chains[name]) for name in order)
        if ends is None:
            return tuple(replace(tier, end=PolicyAction.PASS) for tier in tiers)
        return tuple(replace(tier, decided_by=ends[name]) for tier, name in zip(tiers, order, strict=True))

    def _unless_empty(self, tiers: tuple[ProgramTier, ...], end: PolicyAction) -> int:
        return self.programs.add(Program(tiers, (), end)) if tiers else 0


def _devices(host: HostEndpoint, router: Station) -> Iterator[Device]:
    """The interfaces that a host endpoint is for."""
    present = _present(router)
    if host.interface == EVERY:
        yield from (device for device in _OF_EVERY if device in present.values() or device not in NAMES.values())
    elif host.interface:
        yield from (device for name, device in present.items() if name == host.interface)
    else:
        addresses = {Device.ETHERNET: router.address, Device.IPIP: router.ipip_address, Device.VXLAN: router.vxlan_address}
        yield from (device for device in present.values() if addresses[device] in host.expected_addresses)


def _present(router: Station) -> Mapping[str, Device]:
    has = {Device.ETHERNET: router.address, Device.IPIP: router.ipip_address, Device.VXLAN: router.vxlan_address}
    return {name: device for name, device in NAMES.items() if has[device]}


def failsafes(programs: Programs, felix: FelixConfiguration) -> Failsafes:
    """The failsafe ports as programs: allowed, or not asked about. Before conntrack their answers pass as well."""
    inbound, outbound = felix.failsafe_inbound, felix.failsafe_outbound
    number = programs.objects.add("FelixConfiguration", "failsafe ports", felix.mark)

    def program(title: str, *rules: RuleMatch) -> int:
        decided_by = programs.objects.add("PolicyRule", f"FelixConfiguration failsafe{title}HostPorts", felix.mark)
        allowed = tuple(replace(rule, decided_by=decided_by) for rule in rules)
        if not allowed:
            return 0
        programs.chains.all.append(Chain(allowed, number))
        tier = ProgramTier((len(programs.chains.all),), PolicyAction.PASS, number)
        return programs.add(Program((tier,), (), PolicyAction.PASS))

    to_us, from_us = [_to(port, "source") for port in inbound], [_to(port, "destination") for port in outbound]
    return Failsafes(
        program("Inbound", *to_us), program("Outbound", *from_us),
        program("Inbound", *to_us, *(_from(port, "source") for port in outbound)),
        program("Outbound", *from_us, *(_from(port, "destination") for port in inbound)))


def _to(port: FailsafePort, peer: str) -> RuleMatch:
    """To the port; ``peer`` is the side that the net is asked of."""
    nets, ports = (port.net,) if port.net else (), ((port.port, port.port),)
    if peer == "destination":
        return RuleMatch(PolicyAction.ALLOW, port.protocol, destination=SideMatch(nets=nets, ports=ports))
    return RuleMatch(PolicyAction.ALLOW, port.protocol, source=SideMatch(nets=nets), destination=SideMatch(ports=ports))


def _from(port: FailsafePort, peer: str) -> RuleMatch:
    """The answers: from the port."""
    nets, ports = (port.net,) if port.net else (), ((port.port, port.port),)
    if peer == "source":
        return RuleMatch(PolicyAction.ALLOW, port.protocol, source=SideMatch(nets=nets, ports=ports))
    return RuleMatch(PolicyAction.ALLOW, port.protocol, source=SideMatch(ports=ports), destination=SideMatch(nets=nets))
