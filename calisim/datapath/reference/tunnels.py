"""What a tunnel's two ends make of the headers: ECN, the outer source port, the device's address."""

from __future__ import annotations

from ...control.intent import Router
from ...vocabulary import Device, Encap
from ...vocabulary.chance import draw
from .walk import ICMP, Header

NOT_ECT, ECT1, ECT0, CE = 0, 1, 2, 3           # RFC 3168 §5
ECN = 3
PORT_LOW, PORT_COUNT = 32768, 28232            # net.ipv4.ip_local_port_range, of VXLAN's source port
DEVICES = {Encap.IPIP: Device.IPIP, Encap.VXLAN: Device.VXLAN}


def tunnel_address(router: Router, device: Device) -> int:
    return router.ipip_address if device is Device.IPIP else router.vxlan_address


def merged_ecn(outer: int, inner: int) -> int | None:
    """The inner ECN field after decapsulation (RFC 6040 §4.2, measured on Linux); None: the packet is dropped."""
    if outer == CE:
        return None if inner == NOT_ECT else CE
    return ECT1 if (outer, inner) == (ECT1, ECT0) else inner


def outer_ecn(inner: int) -> int:
    """The outer TOS: DSCP 0, ECN inherited but for CE, which starts anew as ECT(0) (measured on Linux)."""
    return ECT0 if inner == CE else inner


def vxlan_source_port(seed: int, inner: Header) -> int:
    """One port per flow, the same in both directions; all ICMP between two addresses is one, and so are all pieces."""
    flow = inner.flow
    ports = (0, 0) if flow.protocol == ICMP or inner.is_piece else (flow.sport, flow.dport)
    low, high = sorted((flow.src, flow.dst))
    return PORT_LOW + draw(seed, low, high, flow.protocol << 32 | min(ports) << 16 | max(ports)) % PORT_COUNT
