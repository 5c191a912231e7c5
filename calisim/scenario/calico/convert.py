"""Valid Calico v3 documents → :mod:`calisim.scenario.resources`. Defaults are filled in here.

Knows IPv4 only: what an IPv4 model cannot hold raises :class:`Refused` with the path of the value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import Mark
from ...quantities import PROTOCOLS, Prefix, network_of, parse_address, parse_interface
from ..documents import Path
from ..resources import (
    INBOUND, OUTBOUND, BGPConfiguration, FailsafePort, FelixConfiguration, IPAMConfiguration, IPPool, NodeResource,
)
from .felix import ACTIONS
from .ipam import DEFAULT_BLOCK_SIZE
from .rules import Fault
from .values import as_number, interface, network

Spec = Mapping[str, Any]


class Refused(ValueError):
    """A valid document that calisim cannot model."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def spec_of(document: Mapping[str, Any]) -> Spec:
    return document.get("spec") or {}


def prefix(text: str, *path: str | int) -> Prefix:
    """An IPv4 CIDR or single address; host bits are masked off."""
    found = interface(text)
    if found.version != 4:
        raise Refused(ipv6(text, path))
    return network_of(int(found.ip), found.network.prefixlen)


def ipv6(text: str, path: Path) -> Fault:
    return Fault(f"{text} is IPv6; calisim models IPv4 only", "leave this document out", path)


def pool(document: Mapping[str, Any], mark: Mark) -> IPPool:
    spec = spec_of(document)
    return IPPool(
        name=document["metadata"]["name"],
        cidr=prefix(str(network(spec["cidr"])), "spec", "cidr"),
        block_size=spec.get("blockSize") or DEFAULT_BLOCK_SIZE[4],
        ipip_mode=spec.get("ipipMode") or "Never",
        vxlan_mode=spec.get("vxlanMode") or "Never",
        nat_outgoing=bool(spec.get("natOutgoing")),
        disabled=bool(spec.get("disabled")),
        disable_bgp_export=bool(spec.get("disableBGPExport")),
        node_selector=spec.get("nodeSelector") or "all()",
        namespace_selector=spec.get("namespaceSelector") or "",
        allowed_uses=tuple(spec.get("allowedUses") or ("Workload", "Tunnel")),
        assignment_mode=spec.get("assignmentMode") or "Automatic",
        mark=mark,
    )


def felix(document: Mapping[str, Any], mark: Mark) -> FelixConfiguration:
    spec = spec_of(document)
    return FelixConfiguration(
        ipip_enabled=spec.get("ipipEnabled"),
        vxlan_enabled=spec.get("vxlanEnabled"),
        ipip_mtu=spec.get("ipipMTU") or 0,
        vxlan_mtu=spec.get("vxlanMTU") or 0,
        default_endpoint_to_host_action=ACTIONS.get(str(spec.get("defaultEndpointToHostAction") or "").casefold()),
        nat_outgoing_exclusions=spec.get("natOutgoingExclusions") or "IPPoolsOnly",
        external_nodes=tuple(map(prefix, spec.get("externalNodesList") or ())),
        disable_conntrack_invalid_check=bool(spec.get("disableConntrackInvalidCheck")),
        allow_ipip_from_workloads=bool(spec.get("allowIPIPPacketsFromWorkloads")),
        allow_vxlan_from_workloads=bool(spec.get("allowVXLANPacketsFromWorkloads")),
        aws_src_dst_check=spec.get("awsSrcDstCheck") or "DoNothing",
        program_cluster_routes=spec.get("programClusterRoutes") or None,
        failsafe_inbound=_failsafes(spec, "failsafeInboundHostPorts", INBOUND),
        failsafe_outbound=_failsafes(spec, "failsafeOutboundHostPorts", OUTBOUND),
        mark=mark,
    )


def _failsafes(spec: Spec, name: str, usual: tuple[FailsafePort, ...]) -> tuple[FailsafePort, ...]:
    """Not said: Calico's own. An empty list is none. Ports towards IPv6 nets say nothing of IPv4."""
    said = spec.get(name)
    if said is None:
        return usual
    for_ipv4 = [one for one in said if ":" not in (one.get("net") or "")]
    return tuple(
        FailsafePort(
            PROTOCOLS[(one.get("protocol") or "TCP").lower()], one["port"], prefix(one["net"]) if one.get("net") else None)
        for one in for_ipv4)


def bgp(document: Mapping[str, Any], mark: Mark) -> BGPConfiguration:
    spec = spec_of(document)
    return BGPConfiguration(
        node_to_node_mesh_enabled=spec.get("nodeToNodeMeshEnabled") is not False,
        as_number=as_number(spec["asNumber"]) if spec.get("asNumber") else BGPConfiguration().as_number,
        program_cluster_routes=spec.get("programClusterRoutes") or None,
        mark=mark,
    )


def ipam(document: Mapping[str, Any], mark: Mark) -> IPAMConfiguration:
    spec = spec_of(document)
    return IPAMConfiguration(
        strict_affinity=bool(spec.get("strictAffinity")),
        max_blocks_per_host=spec.get("maxBlocksPerHost") or 0,
        auto_allocate_blocks=spec.get("autoAllocateBlocks") is not False,
        mark=mark,
    )


def reservation(document: Mapping[str, Any]) -> tuple[Prefix, ...]:
    cidrs = spec_of(document).get("reservedCIDRs") or ()
    return tuple(prefix(text, "spec", "reservedCIDRs", position) for position, text in enumerate(cidrs))


def node(document: Mapping[str, Any], mark: Mark) -> NodeResource:
    spec = spec_of(document)
    bgp = spec.get("bgp") or {}
    recorded = bgp.get("ipv4Address") or ""
    return NodeResource(
        name=document["metadata"]["name"],
        address=recorded_address(recorded) if recorded else None,
        internal_address=next((
            parse_address(entry["address"]) for entry in spec.get("addresses") or ()
            if entry.get("type") == "InternalIP" and ":" not in entry["address"] and "/" not in entry["address"]), None),
        ipip_address=parse_address(bgp["ipv4IPIPTunnelAddr"]) if bgp.get("ipv4IPIPTunnelAddr") else None,
        vxlan_address=parse_address(spec["ipv4VXLANTunnelAddr"]) if spec.get("ipv4VXLANTunnelAddr") else None,
        cluster_id=bgp.get("routeReflectorClusterID") or "",
        labels=dict(document["metadata"].get("labels") or {}),
        mark=mark,
    )


def recorded_address(text: str) -> tuple[int, int]:
    """A node's address with the prefix length that Calico recorded; a bare address counts as /32."""
    return parse_interface(text if "/" in text else f"{text}/32")
