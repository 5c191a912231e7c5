"""IPPool, IPAMConfiguration, IPReservation."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from .metadata import resource
from .rules import Fault, Faults, absent, boolean, integer, many, one_of, record
from .values import IS_CIDR, IS_NETWORK, Network, network, scoped_selector

ENCAPSULATION_MODES = ("Never", "Always", "CrossSubnet")
DEFAULT_BLOCK_SIZE = {4: 26, 6: 122}
_BLOCK_SIZES = {4: (20, 32), 6: (116, 128)}
_LINK_LOCAL = {4: ipaddress.ip_network("169.254.0.0/16"), 6: ipaddress.ip_network("fe80::/10")}


def small_pool(cidr: Network, block_size: int) -> Faults:
    """A pool holds at least one block."""
    if cidr.prefixlen > block_size:
        yield Fault(
            f"{cidr} is smaller than one block of /{block_size}",
            f"take a prefix of length {block_size} or less, or set disabled: true if it is only there for NAT",
        )


def link_local(cidr: Network) -> Faults:
    """No pool lies in a link-local range."""
    reserved = _LINK_LOCAL[cidr.version]
    if cidr.overlaps(reserved):
        yield Fault(f"{cidr} overlaps the link-local range {reserved}", "take another range")


def _size(spec: Mapping[str, Any]) -> Faults:
    cidr = network(spec["cidr"])
    low, high = _BLOCK_SIZES[cidr.version]
    block_size = spec.get("blockSize") or DEFAULT_BLOCK_SIZE[cidr.version]
    if not low <= block_size <= high:
        yield Fault(f"a block of an IPv{cidr.version} pool has /{low} to /{high}, not /{block_size}", path=("blockSize",))
    elif not spec.get("disabled"):
        for fault in small_pool(cidr, block_size):
            yield fault.below("cidr")
    for fault in link_local(cidr):
        yield fault.below("cidr")


def encapsulates(spec: Mapping[str, Any], mode: str) -> bool:
    return (spec.get(mode) or "Never") != "Never"


def _encapsulation(spec: Mapping[str, Any]) -> Faults:
    ipip, vxlan = encapsulates(spec, "ipipMode"), encapsulates(spec, "vxlanMode")
    if ipip and vxlan:
        yield Fault("a pool has one encapsulation; ipipMode and vxlanMode both ask for theirs", "set one of the two to Never",
                    ("vxlanMode",))
    if ipip and network(spec["cidr"]).version == 6:
        yield Fault("IPIP carries IPv4 only; an IPv6 pool needs ipipMode: Never", "use vxlanMode", ("ipipMode",))


def _uses(spec: Mapping[str, Any]) -> Faults:
    uses = spec.get("allowedUses") or []
    if "Tunnel" in uses and spec.get("namespaceSelector"):
        yield Fault("a pool for tunnel addresses serves nodes, not namespaces", "drop Tunnel from allowedUses",
                    ("namespaceSelector",))
    if "LoadBalancer" in uses:
        yield from _load_balancer(spec, uses)


def _load_balancer(spec: Mapping[str, Any], uses: list[str]) -> Faults:
    if len(set(uses)) > 1:
        yield Fault("LoadBalancer cannot be combined with other uses", "give load balancers a pool of their own",
                    ("allowedUses",))
    for mode in ("ipipMode", "vxlanMode"):
        if encapsulates(spec, mode):
            yield Fault("a LoadBalancer pool is not encapsulated", "set it to Never", (mode,))
    if spec.get("disableBGPExport"):
        yield Fault("a LoadBalancer pool must be exported", "remove it", ("disableBGPExport",))
    if (spec.get("nodeSelector") or "all()") != "all()":
        yield Fault("a LoadBalancer pool serves all nodes", "write all()", ("nodeSelector",))


POOL_SPEC = record(
    {
        "cidr": IS_CIDR,
        "blockSize": integer(0, 128),
        "ipipMode": one_of(*ENCAPSULATION_MODES),
        "vxlanMode": one_of(*ENCAPSULATION_MODES),
        "natOutgoing": boolean,
        "disabled": boolean,
        "disableBGPExport": boolean,
        "nodeSelector": scoped_selector,
        "namespaceSelector": scoped_selector,
        "allowedUses": many(one_of("Workload", "Tunnel", "LoadBalancer")),
        "assignmentMode": one_of("Automatic", "Manual"),
        "ipip": absent("ipip belongs to API v1; in v3 write ipipMode: Always or CrossSubnet"),
        "nat-outgoing": absent("nat-outgoing belongs to API v1; in v3 write natOutgoing"),
    },
    required=("cidr",),
    relations=(_size, _encapsulation, _uses),
)

IPAM_SPEC = record({
    "strictAffinity": boolean,
    "maxBlocksPerHost": integer(0, 1_000_000),
    "autoAllocateBlocks": boolean,
    "ipCooldownSeconds": integer(0, 1200),
    "kubeVirtVMAddressPersistence": one_of("Enabled", "Disabled"),
})

RESERVATION_SPEC = record({"reservedCIDRs": many(IS_NETWORK)})

SPECS = {"IPPool": POOL_SPEC, "IPAMConfiguration": IPAM_SPEC, "IPReservation": RESERVATION_SPEC}
RULES = {
    "IPPool": resource(POOL_SPEC, needs_spec=True),
    "IPAMConfiguration": resource(IPAM_SPEC),
    "IPReservation": resource(RESERVATION_SPEC),
}
