"""MTUs of tunnel devices and pods, as Felix finds them (felix/dataplane/linux: ConfigureDefaultMTUs, determinePodMTU)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..vocabulary.encaps import ipip, vxlan

OVERHEADS = {
    "ipip": ipip.ENCAPSULATION.overhead,
    "vxlan": vxlan.ENCAPSULATION.overhead,
    "vxlan6": 70,          # an IPv6 outer header is 20 bytes longer
    "wg": 60,
    "wg6": 80,
}
"""Bytes that each device adds, by the name that Felix' settings give it."""


def device_mtu(device: str, host_mtu: int, configured: int = 0) -> int:
    """MTU of a tunnel device: what is configured (even if larger than the host's), else the host's less the overhead."""
    return configured or host_mtu - OVERHEADS[device]


def pod_mtu(host_mtu: int, enabled: Collection[str], configured: Mapping[str, int]) -> int:
    """The smallest MTU of all enabled encapsulations, CrossSubnet ones too; the host's where there are none."""
    return min((device_mtu(device, host_mtu, configured.get(device, 0)) for device in enabled), default=host_mtu)
