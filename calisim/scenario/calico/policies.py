"""NetworkPolicy, GlobalNetworkPolicy, their staged twins, Tier, Profile, NetworkSet, GlobalNetworkSet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ... import selector as selectors
from .metadata import annotation_table, resource, without_namespace_label
from .rules import Fault, Faults, Rule, boolean, integer, many, one_of, parsed, record, said, shown, table, text
from .values import (
    IS_DNS_LABEL,
    IS_INTERFACE,
    IS_LABEL_KEY,
    IS_LABEL_VALUE,
    IS_NAME,
    LABEL_NAME,
    MAX_NAME,
    SUBDOMAIN,
    cidr,
    has_ports,
    interface,
    port,
    port_rule,
    protocol_rule,
    scoped_selector,
    selector,
)

MAX_RULES = 1024
MAX_NETS = 256
MAX_PORTS = 50

# --- one side of a rule ---------------------------------------------------------------------------------------------

_SERVICE_EXCLUDES = ("selector", "notSelector", "namespaceSelector", "serviceAccounts", "nets", "notNets")
_IS_CIDR = parsed(cidr)


def _namespace_selector(value: Any) -> Faults:
    """``global()`` stands alone or not at all."""
    faults = list(selector(value))
    if not faults and "global(" in value and selectors.parse(value).canonical != "global()":
        faults.append(Fault("global() cannot be combined with other terms", "write global() alone, or in a rule of its own"))
    yield from faults


def _excluded_net(value: Any) -> Faults:
    faults = list(_IS_CIDR(value))
    if not faults and interface(value).network.prefixlen == 0:
        faults.append(Fault(f"{value} excludes everything, so the rule never matches", "remove it"))
    yield from faults


def _by_service(side: Mapping[str, Any]) -> Faults:
    if said(side, "services"):
        for other in _SERVICE_EXCLUDES:
            if side.get(other):
                yield Fault(f"services and {other} exclude each other", "remove one of the two", (other,))


_SERVICES = record({"name": IS_NAME, "namespace": IS_NAME}, required=("name",))
ENTITY = record(
    {
        "nets": many(_IS_CIDR, at_most=MAX_NETS),
        "notNets": many(_excluded_net, at_most=MAX_NETS),
        "selector": scoped_selector,
        "notSelector": scoped_selector,
        "namespaceSelector": _namespace_selector,
        "ports": many(port_rule, at_most=MAX_PORTS),
        "notPorts": many(port_rule, at_most=MAX_PORTS),
        "serviceAccounts": record({"names": many(text()), "selector": scoped_selector}),
        "services": _SERVICES,
    },
    relations=(_by_service,),
)

# --- rules ----------------------------------------------------------------------------------------------------------

_SIDES = ("source", "destination")
_ICMP_VERSION = {"ICMP": 4, "ICMPv6": 6}


def _code_of_type(icmp: Mapping[str, Any]) -> Faults:
    if icmp.get("code") is not None and icmp.get("type") is None:
        yield Fault("an ICMP code belongs to a type", "add type:", ("code",))


ICMP = record({"type": integer(0, 254), "code": integer(0, 255)}, relations=(_code_of_type,))


def _path(path: Mapping[str, Any]) -> Faults:
    given = [path[name] for name in ("exact", "prefix") if said(path, name)]
    if len(given) != 1:
        yield Fault("a path is either exact or prefix", "write one of the two")
    elif not given[0].startswith("/") or set(given[0]) & set("? #"):
        yield Fault(f"{shown(given[0])} is not a path: it begins with / and has no ?, # or blank")


HTTP = record({
    "methods": many(text(), unique=True),
    "paths": many(record({"exact": text(), "prefix": text()}, relations=(_path,))),
})


def _ports(rule: Mapping[str, Any]) -> Faults:
    """Numbers are ports of a protocol that has some; names bring their protocol along."""
    for side in _SIDES:
        for field in ("ports", "notPorts"):
            listed = (rule.get(side) or {}).get(field) or []
            by_number = [entry for entry in listed if isinstance(found := port(entry), int) or ":" in found]
            if listed and (not has_ports(rule["protocol"]) if said(rule, "protocol") else bool(by_number)):
                yield Fault("only TCP, UDP and SCTP have ports", "set protocol: to one of them", (side, field))


def _icmp(rule: Mapping[str, Any]) -> Faults:
    named = rule.get("protocol")
    if said(rule, "icmp") and named not in _ICMP_VERSION:
        yield Fault("icmp needs protocol: ICMP or ICMPv6", "set the protocol", ("icmp",))
    for field in ("protocol", "notProtocol"):
        version = _ICMP_VERSION.get(str(rule.get(field)))
        if version and rule.get("ipVersion") not in (None, version):
            yield Fault(f"{rule[field]} is of IPv{version}", f"set ipVersion: {version}", ("ipVersion",))


def _families(rule: Mapping[str, Any]) -> Faults:
    """All nets of a rule are of one family, its ipVersion's."""
    family = rule.get("ipVersion")
    for side in _SIDES:
        for field in ("nets", "notNets"):
            for position, net in enumerate((rule.get(side) or {}).get(field) or []):
                version = interface(net).version
                if family not in (None, version):
                    yield Fault(f"{net} is IPv{version}, the rule so far is IPv{family}", "write a rule for each family",
                                (side, field, position))
                family = family or version


def _http(rule: Mapping[str, Any]) -> Faults:
    if rule.get("http") is None:
        return
    if said(rule, "protocol") and rule["protocol"] != "TCP":
        yield Fault("HTTP is carried by TCP", "set protocol: TCP or leave it out", ("protocol",))
    if rule["action"] != "Allow":
        yield Fault("HTTP can only be allowed", "use action: Allow", ("http",))


def _destination_service(rule: Mapping[str, Any]) -> Faults:
    destination = rule.get("destination") or {}
    for field in ("ports", "notPorts"):
        if said(destination, "services") and destination.get(field):
            yield Fault("a service brings its own ports", "remove them", ("destination", field))


def _ip_version(value: Any) -> Faults:
    if value not in (4, 6):
        yield Fault(f"{shown(value)} is neither 4 nor 6")


RULE = record(
    {
        "action": one_of("Allow", "Deny", "Log", "Pass"),
        "ipVersion": _ip_version,
        "protocol": protocol_rule,
        "notProtocol": protocol_rule,
        "icmp": ICMP,
        "notICMP": ICMP,
        "source": ENTITY,
        "destination": ENTITY,
        "http": HTTP,
        "metadata": record({"annotations": annotation_table}),
    },
    required=("action",),
    relations=(_ports, _icmp, _families, _http, _destination_service),
)

# --- policies -------------------------------------------------------------------------------------------------------


def _directions(spec: Mapping[str, Any]) -> Faults:
    """A rule selects services at the far end only, and HTTP is judged where the server is."""
    for direction, near in (("ingress", "destination"), ("egress", "source")):
        for position, rule in enumerate(spec.get(direction) or []):
            if said(rule.get(near) or {}, "services"):
                yield Fault(f"an {direction} rule cannot choose its {near} by service", "remove it",
                            (direction, position, near, "services"))
            if direction == "egress" and rule.get("http") is not None:
                yield Fault("HTTP is judged on ingress", "move it to an ingress rule", (direction, position, "http"))


def _qualified_services(spec: Mapping[str, Any]) -> Faults:
    """Outside a namespace a service needs its namespace said."""
    for direction, far in (("ingress", "source"), ("egress", "destination")):
        for position, rule in enumerate(spec.get(direction) or []):
            services = (rule.get(far) or {}).get("services")
            if services and not said(services, "namespace"):
                yield Fault("a global policy must say the service's namespace", "add namespace:",
                            (direction, position, far, "services"))


def _host_policy(spec: Mapping[str, Any]) -> Faults:
    """What runs before NAT or before conntrack, and what it cannot do."""
    if spec.get("doNotTrack") and spec.get("preDNAT"):
        yield Fault("doNotTrack and preDNAT exclude each other", "set one of them to false", ("preDNAT",))
    if (spec.get("doNotTrack") or spec.get("preDNAT")) and not spec.get("applyOnForward"):
        yield Fault("doNotTrack and preDNAT meet forwarded packets, too", "set applyOnForward: true", ("applyOnForward",))
    if spec.get("preDNAT") and spec.get("egress"):
        yield Fault("before DNAT there is no egress", "remove the egress rules", ("egress",))
    if spec.get("preDNAT") and "Egress" in (spec.get("types") or []):
        yield Fault("before DNAT there is no egress", "remove Egress from types", ("types",))


def _number(value: Any) -> Faults:
    if isinstance(value, bool) or not isinstance(value, int | float):
        yield Fault(f"{shown(value)} is not a number")


_COMMON: dict[str, Rule] = {
    "tier": IS_DNS_LABEL,
    "order": _number,
    "selector": scoped_selector,
    "serviceAccountSelector": scoped_selector,
    "types": many(one_of("Ingress", "Egress"), unique=True),
    "ingress": many(RULE, at_most=MAX_RULES),
    "egress": many(RULE, at_most=MAX_RULES),
    "performanceHints": many(one_of("AssumeNeededOnEveryNode"), unique=True),
}
_GLOBAL: dict[str, Rule] = {
    **_COMMON,
    "namespaceSelector": scoped_selector,
    "doNotTrack": boolean,
    "preDNAT": boolean,
    "applyOnForward": boolean,
}
_STAGED: dict[str, Rule] = {"stagedAction": one_of("Set", "Delete", "Learn", "Ignore")}


def _bare_delete(spec: Mapping[str, Any]) -> Faults:
    if spec.get("stagedAction") == "Delete":
        for name in spec:
            if name not in ("stagedAction", "tier") and spec[name]:
                yield Fault(f"a policy staged for deletion says nothing else, not {name}", "remove it", (name,), at_key=True)


POLICY_SPEC = record(_COMMON, relations=(_directions,))
GLOBAL_POLICY_SPEC = record(_GLOBAL, relations=(_directions, _qualified_services, _host_policy))

_NAME_SAYS = "a policy's name (lower-case letters, digits and -; at most one dot: tier.name)"
_GLOBAL_POLICY_NAME = text(rf"({LABEL_NAME}\.)?{LABEL_NAME}", _NAME_SAYS, at_most=MAX_NAME)
_POLICY_NAME = text(rf"({LABEL_NAME}\.)?{LABEL_NAME}|(knp|ossg)\.default\.{SUBDOMAIN}", _NAME_SAYS, at_most=MAX_NAME)

# --- tiers, profiles, sets ------------------------------------------------------------------------------------------

BUILT_IN_TIERS = {           # name → (order, default action)
    "default": (1_000_000, "Deny"),
    "kube-admin": (1_000, "Pass"),
    "kube-baseline": (10_000_000, "Pass"),
}


def _built_in_tier(tier: Mapping[str, Any]) -> Faults:
    name, spec = tier["metadata"]["name"], tier.get("spec") or {}
    if name in BUILT_IN_TIERS:
        order, action = BUILT_IN_TIERS[name]
        if spec.get("order") != order:
            yield Fault(f"the order of the built-in tier {name} is {order}", f"write order: {order}", ("spec", "order"))
        if (spec.get("defaultAction") or action) != action:
            yield Fault(f"the built-in tier {name} ends in {action}", f"write {action}", ("spec", "defaultAction"))


TIER_SPEC = record({"order": _number, "defaultAction": one_of("Deny", "Pass")})
PROFILE_SPEC = record({
    "ingress": many(RULE, at_most=MAX_RULES),
    "egress": many(RULE, at_most=MAX_RULES),
    "labelsToApply": table(IS_LABEL_KEY, IS_LABEL_VALUE),
})
SET_SPEC = record({"nets": many(IS_INTERFACE)})

SPECS = {
    "NetworkPolicy": POLICY_SPEC,
    "GlobalNetworkPolicy": GLOBAL_POLICY_SPEC,
    "StagedNetworkPolicy": record({**_COMMON, **_STAGED}, relations=(_directions, _bare_delete)),
    "StagedGlobalNetworkPolicy": record(
        {**_GLOBAL, **_STAGED}, relations=(_directions, _qualified_services, _host_policy, _bare_delete)),
    "Tier": TIER_SPEC,
    "Profile": PROFILE_SPEC,
    "NetworkSet": SET_SPEC,
    "GlobalNetworkSet": SET_SPEC,
}
RULES = {
    "NetworkPolicy": resource(POLICY_SPEC, name=_POLICY_NAME),
    "GlobalNetworkPolicy": resource(GLOBAL_POLICY_SPEC, name=_GLOBAL_POLICY_NAME),
    "StagedNetworkPolicy": resource(SPECS["StagedNetworkPolicy"], name=_POLICY_NAME),
    "StagedGlobalNetworkPolicy": resource(SPECS["StagedGlobalNetworkPolicy"], name=_GLOBAL_POLICY_NAME),
    "Tier": resource(TIER_SPEC, name=IS_DNS_LABEL, relations=(_built_in_tier,)),
    "Profile": resource(PROFILE_SPEC),
    "NetworkSet": resource(SET_SPEC, meta=(without_namespace_label,)),
    "GlobalNetworkSet": resource(SET_SPEC, meta=(without_namespace_label,)),
}
PARTS = {"Rule": RULE, "EntityRule": ENTITY, "ICMPFields": ICMP, "HTTPMatch": HTTP}
