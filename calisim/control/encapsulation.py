"""How a pool's packets leave a node: natively or in a tunnel. The sender alone decides, with its own recorded prefix.

Sources: felix/calc/l3_route_resolver.go (nodeInOurSubnet), confd's BIRD templates (kernel filter).
"""

from __future__ import annotations

from ..quantities import Prefix
from ..vocabulary import Encap


def tunnel_of(ipip: str, vxlan: str) -> tuple[Encap, str]:
    """The encapsulation that a pool may use and its mode: at most one of them is not ``Never``."""
    if vxlan != "Never":
        return Encap.VXLAN, vxlan
    return (Encap.IPIP, ipip) if ipip != "Never" else (Encap.NONE, "Never")


def same_subnet(recorded: Prefix | None, peer: int) -> bool:
    """Whether the peer's address lies inside the prefix that Calico recorded for *this* node (unknown: no)."""
    return recorded is not None and peer in recorded


def encapsulate(ipip: str, vxlan: str, recorded: Prefix | None, peer: int) -> Encap:
    """The encapsulation towards a peer, as Felix decides; an unknown own prefix means *another subnet*."""
    encap, mode = tunnel_of(ipip, vxlan)
    if mode == "CrossSubnet" and same_subnet(recorded, peer):
        return Encap.NONE
    return encap
