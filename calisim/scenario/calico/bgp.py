"""BGPConfiguration, BGPPeer, BGPFilter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .felix import MAX_PRIORITY
from .metadata import resource
from .rules import Fault, Faults, Rule, anything, boolean, either, integer, many, one_of, parsed, record, said, shown, text
from .values import (
    IS_ADDRESS,
    IS_ADDRESS_V4,
    IS_ADDRESS_V6,
    IS_DURATION,
    IS_INTERFACE_WILDCARD,
    IS_NAME,
    IS_NETWORK,
    address,
    as_number,
    as_number_rule,
    ip_and_port,
    of_family,
    selector,
)

_PASSWORD = record({"secretKeyRef": anything})
_TIME = either(IS_DURATION, record({"duration": integer(0, 2**63 - 1)}))
_PRIORITY = integer(1, MAX_PRIORITY)


def community(value: str) -> str:
    """``aa:nn`` of 16 bits each or ``aa:nn:mm`` of 32 bits each."""
    parts = value.split(":")
    if len(parts) not in (2, 3) or not all(re.fullmatch("[0-9]{1,10}", part) for part in parts):
        raise ValueError(f"{shown(value)} is not a community (aa:nn or aa:nn:mm)")
    bits = 16 if len(parts) == 2 else 32
    if any(int(part) >> bits for part in parts):
        raise ValueError(f"{value}: the numbers of a community of {len(parts)} parts have {bits} bits")
    return value


IS_COMMUNITY = parsed(community)

# --- BGPConfiguration -----------------------------------------------------------------------------------------------


def _ignored_interface(value: Any) -> Faults:
    yield from IS_INTERFACE_WILDCARD(value)
    if value == "*":
        yield Fault("* would ignore every interface", "name the interfaces, for example eth*")


def _communities(spec: Mapping[str, Any]) -> Faults:
    advertisements = spec.get("prefixAdvertisements") or []
    names = {entry["name"] for entry in spec.get("communities") or []}
    if names and not advertisements:
        yield Fault("communities are defined, but no prefixAdvertisements use them", path=("communities",))
    for position, advertisement in enumerate(advertisements):
        for place, used in enumerate(advertisement["communities"]):
            if used not in names:
                for fault in IS_COMMUNITY(used):
                    hint = "" if ":" in used else "define a community of that name under communities:"
                    yield Fault(fault.message, hint, ("prefixAdvertisements", position, "communities", place))


def _mesh(spec: Mapping[str, Any]) -> Faults:
    if spec.get("nodeToNodeMeshEnabled") is False:
        for field in ("nodeMeshPassword", "nodeMeshMaxRestartTime"):
            if said(spec, field):
                yield Fault("it is for the mesh, which nodeToNodeMeshEnabled: false turns off", "remove one of the two", (field,))


_COMMUNITY = record({"name": IS_NAME, "value": IS_COMMUNITY}, required=("name", "value"))
_ADVERTISEMENT = record({"cidr": IS_NETWORK, "communities": many(text())}, required=("cidr", "communities"))
_CIDRS = many(record({"cidr": IS_NETWORK}))

CONFIGURATION_SPEC = record(
    {
        "logSeverityScreen": one_of("Trace", "Debug", "Info", "Warning", "Error", "Fatal", ignore_case=True),
        "nodeToNodeMeshEnabled": boolean,
        "asNumber": as_number_rule,
        "serviceLoadBalancerIPs": _CIDRS,
        "serviceExternalIPs": _CIDRS,
        "serviceClusterIPs": _CIDRS,
        "serviceLoadBalancerAggregation": one_of("Enabled", "Disabled"),
        "communities": many(_COMMUNITY, at_most=500),
        "prefixAdvertisements": many(_ADVERTISEMENT, at_most=500),
        "listenPort": integer(1, 65535),
        "nodeMeshPassword": _PASSWORD,
        "nodeMeshMaxRestartTime": _TIME,
        "bindMode": one_of("None", "NodeIP"),
        "ignoredInterfaces": many(_ignored_interface),
        "localWorkloadPeeringIPV4": IS_ADDRESS_V4,
        "localWorkloadPeeringIPV6": IS_ADDRESS_V6,
        "programClusterRoutes": one_of("Enabled", "Disabled", "EnabledIPIPOnly", "EnabledNoEncapOnly"),
        "ipv4NormalRoutePriority": _PRIORITY,
        "ipv4ElevatedRoutePriority": _PRIORITY,
        "ipv6NormalRoutePriority": _PRIORITY,
        "ipv6ElevatedRoutePriority": _PRIORITY,
    },
    relations=(_communities, _mesh),
)

# --- BGPPeer --------------------------------------------------------------------------------------------------------

_EXCLUSIVE = (
    ("node", "nodeSelector"),
    ("peerIP", "peerSelector"),
    ("asNumber", "peerSelector"),
    ("peerIP", "localWorkloadSelector"),
    ("peerSelector", "localWorkloadSelector"),
)


def _selection(spec: Mapping[str, Any]) -> Faults:
    given = {name for name in spec if said(spec, name)}
    if "asNumber" in given and as_number(spec["asNumber"]) == 0:
        given.discard("asNumber")
    for field, other in _EXCLUSIVE:
        if field in given and other in given:
            yield Fault(f"{field} and {other} exclude each other", "remove one of the two", (field,))
    if "localWorkloadSelector" in given and "asNumber" not in given:
        yield Fault("peering with local workloads needs their AS number", "add asNumber:", ("localWorkloadSelector",))


def _reachable(spec: Mapping[str, Any]) -> Faults:
    if not said(spec, "reachableBy"):
        return
    if not said(spec, "peerIP"):
        yield Fault("reachableBy is the way to a peerIP, and none is given", "add peerIP:", ("reachableBy",))
    elif address(spec["reachableBy"]).version != ip_and_port(spec["peerIP"]).version:
        yield Fault(f"{spec['reachableBy']} and {spec['peerIP']} are of different families", path=("reachableBy",))


def _next_hop(spec: Mapping[str, Any]) -> Faults:
    if spec.get("keepOriginalNextHop") and said(spec, "nextHopMode"):
        yield Fault("keepOriginalNextHop is the old spelling of nextHopMode: Keep", "keep nextHopMode only",
                    ("keepOriginalNextHop",))


PEER_SPEC = record(
    {
        "node": IS_NAME,
        "nodeSelector": selector,
        "peerIP": parsed(ip_and_port),
        "asNumber": as_number_rule,
        "localASNumber": as_number_rule,
        "peerSelector": selector,
        "localWorkloadSelector": selector,
        "keepOriginalNextHop": boolean,
        "nextHopMode": one_of("Auto", "Self", "Keep"),
        "password": _PASSWORD,
        "sourceAddress": one_of("UseNodeIP", "None"),
        "maxRestartTime": _TIME,
        "keepaliveTime": _TIME,
        "numAllowedLocalASNumbers": integer(0, 2**31 - 1),
        "ttlSecurity": integer(0, 255),
        "reachableBy": IS_ADDRESS,
        "filters": many(IS_NAME),
        "reversePeering": one_of("Auto", "Manual"),
    },
    relations=(_selection, _reachable, _next_hop),
)

# --- BGPFilter ------------------------------------------------------------------------------------------------------


def _one_operation(operation: Mapping[str, Any]) -> Faults:
    given = [name for name in operation if said(operation, name)]
    if len(given) != 1:
        yield Fault(f"an operation does exactly one thing, not {len(given)}", "write one entry an operation")


_OPERATION = record(
    {
        "addCommunity": record({"value": IS_COMMUNITY}, required=("value",)),
        "prependASPath": record({"prefix": many(as_number_rule, at_least=1)}, required=("prefix",)),
        "setPriority": record({"value": _PRIORITY}, required=("value",)),
    },
    relations=(_one_operation,),
)


def _filter(rule: Mapping[str, Any]) -> Faults:
    if said(rule, "cidr") != said(rule, "matchOperator"):
        given, missing = ("cidr", "matchOperator") if said(rule, "cidr") else ("matchOperator", "cidr")
        yield Fault(f"{given} needs {missing}", f"add {missing}:", (given,))
    if said(rule, "prefixLength") and not said(rule, "cidr"):
        yield Fault("prefixLength narrows a cidr, and none is given", "add cidr:", ("prefixLength",))
    if rule.get("operations") and rule.get("action") != "Accept":
        yield Fault("only a route that is accepted can be changed", "use action: Accept", ("operations",))


def _filter_rule(version: int) -> Rule:
    length = integer(0, 32 if version == 4 else 128)
    return record(
        {
            "cidr": of_family(version, IS_NETWORK),
            "prefixLength": record({"min": length, "max": length}),
            "source": one_of("RemotePeers"),
            "interface": IS_INTERFACE_WILDCARD,
            "matchOperator": one_of("Equal", "NotEqual", "In", "NotIn"),
            "peerType": one_of("eBGP", "iBGP"),
            "communities": record({"values": many(IS_COMMUNITY, at_least=1, at_most=1)}, required=("values",)),
            "asPathPrefix": many(as_number_rule),
            "priority": _PRIORITY,
            "action": one_of("Accept", "Reject"),
            "operations": many(_OPERATION, at_least=1, at_most=10),
        },
        required=("action",),
        relations=(_filter,),
    )


_FILTERS = {4: _filter_rule(4), 6: _filter_rule(6)}
FILTER_SPEC = record({f"{way}V{version}": many(rule) for version, rule in _FILTERS.items() for way in ("export", "import")})

SPECS = {"BGPConfiguration": CONFIGURATION_SPEC, "BGPPeer": PEER_SPEC, "BGPFilter": FILTER_SPEC}
RULES = {name: resource(spec) for name, spec in SPECS.items()}
PARTS = {
    "BGPFilterOperation": _OPERATION, "BGPFilterRuleV4": _FILTERS[4], "BGPFilterRuleV6": _FILTERS[6],
    "Community": _COMMUNITY, "PrefixAdvertisement": _ADVERTISEMENT,
}
