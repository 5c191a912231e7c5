"""The Intent's part on policy: who is policed by which program, and what the programs say. All ids are 1-based; 0 is none.

Pods that no selector can tell apart share an **identity**; addresses outside the cluster have none. A rule asks about a
packet's addresses by nets, by address sets (identities and nets) and by port sets. Its two **programs** – one a
direction – are all that an identity is policed by; few are distinct, however many pods there are.

A program is tried tier by tier: the chains of a tier in order, each rule by rule. ALLOW and DENY end it, PASS goes on to the
next tier, LOG to the next rule; a tier whose chains decided nothing ends as its ``end`` says. Where no tier decided, the
profiles' chains are tried; where they do not decide either, the program ends as its own ``end`` says. Program 0 polices nothing.

A **guard** is a HostEndpoint: the programs of a node's interface, one for each of the hooks at which Felix asks.

Only enforced policies are in ``ingress`` and ``egress``; ``staged_ingress`` and ``staged_egress`` are the programs that
would be in force if every staged policy were, and have the same ids where that changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ..quantities import Prefix
from ..vocabulary import Device, PolicyAction

Ports = tuple[tuple[int, int], ...]       # (first, last), any of them


@dataclass(frozen=True, slots=True)
class AddressSet:
    """Addresses that a selector chose: those of the pods with these identities, and those inside the nets."""

    name: str                             # the selector that was first to choose just these
    identities: frozenset[int] = frozenset()
    nets: tuple[Prefix, ...] = ()


@dataclass(frozen=True, slots=True)
class PortSet:
    """A port's name resolved: the numbers that each identity gives it, and (address, number) of host endpoints."""

    name: str
    protocol: int
    numbers: Mapping[int, frozenset[int]]
    hosts: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class SideMatch:
    """What a rule asks of one end of a packet; an empty tuple asks nothing.

    The address lies in one of ``nets``, none of ``not_nets``, each of ``sets``, none of ``not_sets``; the port in one of
    ``ports`` or (with the address) in one of ``port_sets``, and in none of ``not_ports`` and ``not_port_sets``.
    """

    nets: tuple[Prefix, ...] = ()
    not_nets: tuple[Prefix, ...] = ()
    sets: tuple[int, ...] = ()
    not_sets: tuple[int, ...] = ()
    ports: Ports = ()
    not_ports: Ports = ()
    port_sets: tuple[int, ...] = ()
    not_port_sets: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """All that is asked must hold. Ports are asked of TCP, UDP and SCTP only: other packets, and fragments, have none.

    ``icmp`` is (type, code), code None = any. ``not_icmp`` excludes just that.
    """

    action: PolicyAction
    protocol: int | None = None
    not_protocol: int | None = None
    icmp: tuple[int, int | None] | None = None
    not_icmp: tuple[int, int | None] | None = None
    source: SideMatch = SideMatch()
    destination: SideMatch = SideMatch()
    decided_by: int = 0


@dataclass(frozen=True, slots=True)
class Chain:
    """The rules of one policy or profile in one direction; ``decided_by`` is the policy's object."""

    rules: tuple[RuleMatch, ...]
    decided_by: int


@dataclass(frozen=True, slots=True)
class ProgramTier:
    """The chains that apply, in order; never empty. ``end`` is DENY or PASS; ``decided_by`` the tier's object."""

    chains: tuple[int, ...]
    end: PolicyAction
    decided_by: int


@dataclass(frozen=True, slots=True)
class Program:
    """All that one direction of an identity is policed by."""

    tiers: tuple[ProgramTier, ...]
    profiles: tuple[int, ...]             # chains
    end: PolicyAction = PolicyAction.DENY    # where nothing decided; PASS: nothing is said

    @property
    def chains(self) -> Iterator[int]:
        """Chains of the tiers, in the order in which they are asked."""
        return (chain for tier in self.tiers for chain in tier.chains)


@dataclass(frozen=True, slots=True)
class Identity:
    """What policy can see of a pod, and the programs that follow from it."""

    labels: Mapping[str, str]
    ingress: int
    egress: int
    staged_ingress: int
    staged_egress: int


@dataclass(frozen=True, slots=True)
class Guard:
    """A HostEndpoint: programs of an interface, 0 where nothing is asked; ``decided_by`` is its object.

    ``ingress`` and ``egress`` are for the node's own processes, ``forward_*`` for what it forwards, ``pre_dnat`` for what comes
    in before services are asked, ``untracked_*`` before conntrack. The last three kinds never end in a drop by themselves.
    """

    ingress: int = 0
    egress: int = 0
    forward_ingress: int = 0
    forward_egress: int = 0
    pre_dnat: int = 0
    untracked_ingress: int = 0
    untracked_egress: int = 0
    decided_by: int = 0


@dataclass(frozen=True, slots=True)
class Failsafes:
    """Programs that are asked before a guard's; what they allow never comes to those."""

    ingress: int = 0
    egress: int = 0
    untracked_ingress: int = 0
    untracked_egress: int = 0


class Identified(Mapping[int, int]):
    """Identities by address, out of two columns; zeros in either are nobody. The mapping is made when it is first asked."""

    def __init__(self, addresses: Sequence[int], identities: Sequence[int]) -> None:
        self.addresses, self.identities = addresses, identities

    @cached_property
    def _known(self) -> dict[int, int]:
        pairs = zip(self.addresses, self.identities, strict=True)
        return {address: identity for address, identity in pairs if address and identity}

    def __getitem__(self, address: int) -> int:
        return self._known[address]

    def __iter__(self) -> Iterator[int]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Identified):
            return self.addresses == other.addresses and self.identities == other.identities
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Policing:
    """All policy of a cluster. An id is a position in its tuple, counted from 1."""

    identities: tuple[Identity, ...] = ()
    endpoints: Sequence[int] = ()         # identity of each endpoint of the Intent; 0: nodes and hosts
    addresses: Mapping[int, int] = field(default_factory=dict)     # address of a pod → its identity
    programs: tuple[Program, ...] = ()
    chains: tuple[Chain, ...] = ()
    sets: tuple[AddressSet, ...] = ()
    port_sets: tuple[PortSet, ...] = ()
    guards: tuple[Guard, ...] = ()
    interfaces: Mapping[tuple[int, Device], int] = field(default_factory=dict)  # router, device → guard; VETH: all pods'
    failsafes: Failsafes = Failsafes()
    cuts: bool = False                    # established connections are asked about, too
    warnings: tuple[str, ...] = ()
