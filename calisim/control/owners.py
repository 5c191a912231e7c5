"""Who writes cluster routes into the kernel, BIRD or Felix, and what BIRD's filters then do with a pool.

Up to Calico 3.32 BIRD owns IPIP and unencapsulated pools, from 3.33 on Felix owns IPIP; programClusterRoutes of
BGPConfiguration (BIRD's half) and FelixConfiguration (Felix' half) change it. VXLAN is always Felix'.
Source: confd/pkg/backends/calico/bgp_processor.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..quantities import Prefix
from ..vocabulary import Encap
from .encapsulation import tunnel_of

_CHOICES = {
    "Enabled": frozenset({Encap.IPIP, Encap.NONE}),
    "EnabledIPIPOnly": frozenset({Encap.IPIP}),
    "EnabledNoEncapOnly": frozenset({Encap.NONE}),
    "Disabled": frozenset(),
}
FELIX_ERA = (3, 33)


@dataclass(frozen=True, slots=True)
class Owners:
    """The encapsulations of the pools whose routes each of the two writes."""

    bird: frozenset[Encap]
    felix: frozenset[Encap]

    def of(self, ipip: str, vxlan: str) -> str:
        """``bird``, ``felix`` or "" (nobody). Where both claim a pool, BIRD's routes are taken."""
        encap, _ = tunnel_of(ipip, vxlan)
        if encap in self.bird:
            return "bird"
        return "felix" if encap in self.felix else ""

    @property
    def contested(self) -> frozenset[Encap]:
        """Pools that both write: their routes flap."""
        return self.bird & self.felix


def era_of(text: str) -> tuple[int, int]:
    """``"3.32"`` → (3, 32); a missing minor version is 0, a text without number the oldest."""
    numbers = [int(number) for number in re.findall(r"\d+", text)[:2]] + [0, 0]
    return numbers[0], numbers[1]


def owners(era: tuple[int, int], bgp: str | None, felix: str | None) -> Owners:
    """From the two ``programClusterRoutes``; a value that this Calico does not know counts as not said."""
    late = era >= FELIX_ERA
    bird = _CHOICES.get(bgp or "", _CHOICES["EnabledNoEncapOnly" if late else "Enabled"])
    mine = _CHOICES.get(felix or "", _CHOICES["EnabledIPIPOnly" if late else "Disabled"])
    return Owners(bird, mine | {Encap.VXLAN})


@dataclass(frozen=True, slots=True)
class KernelFilter:
    """BIRD's statement for one pool: whether it writes the routes, and the tunnel that it sets on them.

    ``tunnel`` "" is none; with ``unless_inside`` the tunnel is set only for next hops outside that prefix.
    """

    accept: bool
    tunnel: str = ""
    unless_inside: Prefix | None = None

    def tunnel_to(self, next_hop: int) -> str:
        if self.unless_inside is not None and next_hop in self.unless_inside:
            return ""
        return self.tunnel


def kernel_filter(ipip: str, vxlan: str, owners: Owners, local_subnet: Prefix | None) -> KernelFilter:
    """What BIRD does with routes into a pool. Without a known own subnet it writes no statements: all accepted, no tunnel."""
    encap, mode = tunnel_of(ipip, vxlan)
    if local_subnet is None:
        return KernelFilter(accept=True)
    if encap not in owners.bird:
        return KernelFilter(accept=False)
    if encap is Encap.NONE:
        return KernelFilter(accept=True)
    return KernelFilter(True, "tunl0", local_subnet if mode == "CrossSubnet" else None)


def exported(disable_bgp_export: bool) -> bool:
    """Whether BIRD tells its peers of routes into a pool."""
    return not disable_bgp_export
