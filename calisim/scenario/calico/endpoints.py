"""Node, WorkloadEndpoint, HostEndpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .metadata import resource
from .rules import Fault, Faults, anything, integer, many, one_of, record, said, shown, text
from .values import (
    IS_ADDRESS,
    IS_ADDRESS_V4,
    IS_ADDRESS_V6,
    IS_INTERFACE,
    IS_INTERFACE_NAME,
    IS_INTERFACE_V4,
    IS_INTERFACE_V6,
    IS_NAME,
    IS_NETWORK,
    IS_PORT_NAME,
    as_number_rule,
    has_ports,
    interface,
    protocol_rule,
)

_PORT = integer(1, 65535)
_MAC = text(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}|([0-9a-fA-F]{4}\.){2}[0-9a-fA-F]{4}", "a MAC address")

# --- Node -----------------------------------------------------------------------------------------------------------


def _not_empty(bgp: Mapping[str, Any]) -> Faults:
    if not any(said(bgp, name) for name in bgp):
        yield Fault("bgp says nothing", "add ipv4Address: with the prefix length of the node's subnet, or remove bgp")


_NODE_BGP = record(
    {
        "asNumber": as_number_rule,
        "ipv4Address": IS_INTERFACE_V4,
        "ipv6Address": IS_INTERFACE_V6,
        "ipv4IPIPTunnelAddr": IS_ADDRESS_V4,
        "routeReflectorClusterID": IS_ADDRESS_V4,
    },
    relations=(_not_empty,),
)
NODE_SPEC = record({
    "bgp": _NODE_BGP,
    "ipv4VXLANTunnelAddr": IS_ADDRESS_V4,
    "ipv6VXLANTunnelAddr": IS_ADDRESS_V6,
    "vxlanTunnelMACAddr": _MAC,
    "vxlanTunnelMACAddrV6": _MAC,
    "orchRefs": many(record({"nodeName": text(), "orchestrator": text()}, required=("orchestrator",))),
    "wireguard": record({"interfaceIPv4Address": IS_ADDRESS_V4, "interfaceIPv6Address": IS_ADDRESS_V6}),
    "addresses": many(
        record({"address": IS_INTERFACE, "type": one_of("CalicoNodeIP", "InternalIP", "ExternalIP")}, required=("address",))),
})

# --- ports of endpoints ---------------------------------------------------------------------------------------------


def _carries_ports(port: Mapping[str, Any]) -> Faults:
    if not has_ports(port["protocol"]):
        yield Fault(f"{shown(port['protocol'])} has no ports", "use TCP, UDP or SCTP", ("protocol",))


def _named_or_on_host(port: Mapping[str, Any]) -> Faults:
    if not said(port, "name") and not port.get("hostPort"):
        yield Fault("a port needs a name, or a hostPort that it serves", "add name:")


_NAMED_PORT = {"name": IS_PORT_NAME, "protocol": protocol_rule, "port": _PORT}
HOST_PORT = record(_NAMED_PORT, required=("name", "protocol", "port"), relations=(_carries_ports,))
WORKLOAD_PORT = record(
    {**_NAMED_PORT, "hostPort": integer(0, 65535), "hostIP": IS_NETWORK},
    required=("protocol", "port"),
    relations=(_carries_ports, _named_or_on_host),
)

# --- HostEndpoint ---------------------------------------------------------------------------------------------------


def _selects_interface(spec: Mapping[str, Any]) -> Faults:
    if not said(spec, "interfaceName") and not spec.get("expectedIPs"):
        yield Fault("nothing says which interface it is", "add interfaceName: or expectedIPs:")


HOST_SPEC = record(
    {
        "node": IS_NAME,
        "interfaceName": IS_INTERFACE_NAME,
        "expectedIPs": many(IS_ADDRESS),
        "profiles": many(IS_NAME),
        "ports": many(HOST_PORT),
    },
    required=("node",),
    relations=(_selects_interface,),
)

# --- WorkloadEndpoint -----------------------------------------------------------------------------------------------


def _single_address(value: Any) -> Faults:
    faults = list(IS_NETWORK(value))
    if not faults and interface(value).network.num_addresses != 1:
        faults.append(Fault(f"{value} has several addresses; an endpoint has one", "write /32 (IPv6: /128)"))
    yield from faults


def _same_family(nat: Mapping[str, Any]) -> Faults:
    if interface(nat["internalIP"]).version != interface(nat["externalIP"]).version:
        yield Fault("internalIP and externalIP are of different families", path=("externalIP",))


def _nat_inside(spec: Mapping[str, Any]) -> Faults:
    own = {interface(text).ip for text in spec.get("ipNetworks") or []}
    for position, nat in enumerate(spec.get("ipNATs") or []):
        if interface(nat["internalIP"]).ip not in own:
            yield Fault(f"{nat['internalIP']} is not one of ipNetworks", path=("ipNATs", position, "internalIP"))


_NAT = record(
    {"internalIP": IS_INTERFACE, "externalIP": IS_INTERFACE}, required=("internalIP", "externalIP"), relations=(_same_family,))
WORKLOAD_SPEC = record(
    {
        "orchestrator": IS_NAME,
        "workload": IS_NAME,
        "node": IS_NAME,
        "containerID": text("[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?", "a container's id"),
        "pod": IS_NAME,
        "endpoint": IS_NAME,
        "serviceAccountName": IS_NAME,
        "ipNetworks": many(_single_address),
        "ipNATs": many(_NAT),
        "ipv4Gateway": IS_INTERFACE_V4,
        "ipv6Gateway": IS_INTERFACE_V6,
        "profiles": many(IS_NAME),
        "interfaceName": IS_INTERFACE_NAME,
        "mac": _MAC,
        "ports": many(WORKLOAD_PORT),
        "allowSpoofedSourcePrefixes": many(IS_INTERFACE),
        "qosControls": anything,
    },
    required=("interfaceName",),
    relations=(_nat_inside,),
)

SPECS = {"Node": NODE_SPEC, "WorkloadEndpoint": WORKLOAD_SPEC, "HostEndpoint": HOST_SPEC}
RULES = {name: resource(spec) for name, spec in SPECS.items()}
PARTS = {"EndpointPort": HOST_PORT, "IPNAT": _NAT, "NodeBGPSpec": _NODE_BGP, "WorkloadEndpointPort": WORKLOAD_PORT}
