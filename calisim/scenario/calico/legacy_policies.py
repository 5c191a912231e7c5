"""API v1 (Calico 2): ``policy``, ``profile`` and ``hostEndpoint``, and the v3 documents that Calico's upgrade makes of them.

Everything is global there, words are in lower case, a rule names one net or several, and tags of profiles, which rules
may ask for, became labels without a value.

Source: libcalico-go's upgrade converters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import endpoints, policies
from .legacy import node_name, resource_name, resource_name_without_dots
from .rules import Faults, Rule, anything, blank_free, many, one_of, record, table, text
from .values import interface

_V3 = "projectcalico.org/v3"
_WAYS = ("ingress", "egress")
_POLICY_FIELDS = ("order", "selector", "doNotTrack", "preDNAT", "applyOnForward")
_HOST_FIELDS = ("interfaceName", "expectedIPs", "profiles", "ports")
_RULE_FIELDS = ("protocol", "notProtocol", "icmp", "notICMP", "ipVersion")
_SIDE_FIELDS = ("nets", "notNets", "selector", "notSelector", "ports", "notPorts")
_SIDE_ONLY_V1 = ("tag", "notTag", "net", "notNet")
_WORDS = {"tcp": "TCP", "udp": "UDP", "icmp": "ICMP", "icmpv6": "ICMPv6", "sctp": "SCTP", "udplite": "UDPLite"}

# --- conversion -----------------------------------------------------------------------------------------------------


def policy_to_v3(document: Mapping[str, Any]) -> dict[str, Any]:
    """A v1 ``policy`` as the v3 GlobalNetworkPolicy."""
    spec = _known(document.get("spec") or {}, (*_POLICY_FIELDS, "types", *_WAYS))
    if spec.get("doNotTrack") or spec.get("preDNAT"):
        spec["applyOnForward"] = True                  # by their nature, before there was the word
    if spec.get("types"):
        spec["types"] = [_capital(word) for word in spec["types"]]
    if spec.get("selector"):
        spec["selector"] = _selector(spec["selector"])
    return _document("GlobalNetworkPolicy", {"name": resource_name_without_dots(document["metadata"]["name"])}, _with_rules(spec))


def profile_to_v3(document: Mapping[str, Any]) -> dict[str, Any]:
    """A v1 ``profile``; its tags become labels without a value."""
    metadata = document["metadata"]
    labels = {**(metadata.get("labels") or {}), **dict.fromkeys(metadata.get("tags") or (), "")}
    spec = {"labelsToApply": labels, **_with_rules(_known(document.get("spec") or {}, _WAYS))}
    return _document("Profile", {"name": _profile_name(metadata["name"])}, spec)


def host_endpoint_to_v3(document: Mapping[str, Any]) -> dict[str, Any]:
    """A v1 ``hostEndpoint``; its node stood in the metadata."""
    metadata, spec = document["metadata"], _known(document.get("spec") or {}, _HOST_FIELDS)
    spec["node"] = node_name(str(metadata.get("node") or ""))
    spec["profiles"] = [_profile_name(name) for name in spec.get("profiles") or ()]
    if spec.get("ports"):
        spec["ports"] = [{**(port or {}), "protocol": _protocol((port or {}).get("protocol"))} for port in spec["ports"]]
    return _document("HostEndpoint", {
        "name": resource_name(f"{spec['node']}.{metadata['name']}"), "labels": metadata.get("labels") or {}}, spec)


def _known(written: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: written[name] for name in names if name in written}


def _document(kind: str, metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": _V3, "kind": kind, "metadata": dict(metadata), "spec": dict(spec)}


def _with_rules(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {**spec, **{way: [_rule(rule or {}) for rule in spec[way]] for way in _WAYS if spec.get(way)}}


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    converted = _known(rule, (*_RULE_FIELDS, "action", "source", "destination"))
    if rule.get("action"):
        converted["action"] = "Pass" if rule["action"] == "next-tier" else _capital(rule["action"])
    for name in ("protocol", "notProtocol"):
        if rule.get(name):
            converted[name] = _protocol(rule[name])
    for side in ("source", "destination"):
        if rule.get(side):
            converted[side] = _side(rule[side])
    return converted


def _side(side: Mapping[str, Any]) -> dict[str, Any]:
    converted = _known(side, _SIDE_FIELDS)
    for tag, selector, one, several in (("tag", "selector", "net", "nets"), ("notTag", "notSelector", "notNet", "notNets")):
        text = _selector(side.get(selector) or "")
        if side.get(tag):
            converted[selector] = f"({text}) && {side[tag]} == ''" if text else f"{side[tag]} == ''"
        elif text:
            converted[selector] = text
        if nets := [*([side[one]] if side.get(one) else ()), *(side.get(several) or ())]:
            converted[several] = [_masked(net) for net in nets]
    return converted


def _masked(net: Any) -> Any:
    """API v1 took nets with host bits; what is no net at all is told by v3's rules."""
    try:
        return str(interface(net).network)
    except (TypeError, ValueError, AttributeError):
        return net


def _profile_name(name: str) -> str:
    return resource_name("kns." + name.removeprefix("k8s_ns.") if name.startswith("k8s_ns.") else name)


def _selector(text: Any) -> Any:
    return text.replace("calico/k8s_ns", "projectcalico.org/namespace") if isinstance(text, str) else text


def _capital(word: Any) -> Any:
    return word.capitalize() if isinstance(word, str) else word


def _protocol(word: Any) -> Any:
    return _WORDS.get(word, word) if isinstance(word, str) else word


# --- what v1 takes --------------------------------------------------------------------------------------------------


def _shaped(to_v3: Any, rule: Rule) -> Any:
    """Judged as what it becomes: places are those of v1 wherever the two agree."""
    def relation(document: Mapping[str, Any]) -> Faults:
        yield from rule(to_v3(document))
    return relation


_SIDE = record({
    **dict.fromkeys((*_SIDE_ONLY_V1, "selector", "notSelector"), text()),
    **dict.fromkeys(("nets", "notNets", "ports", "notPorts"), many(anything))})
_LABELS = table(text(), text())
_PORTS = many(record(dict.fromkeys(("name", "protocol", "port"), anything)))
_RULE = record(
    {
        "action": one_of("allow", "deny", "log", "pass", "next-tier"), "source": _SIDE, "destination": _SIDE,
        **dict.fromkeys(_RULE_FIELDS, anything)},
    required=("action",))
_RULES: dict[str, Rule] = {"ingress": many(_RULE), "egress": many(_RULE)}


def _kind(to_v3: Any, v3: str, metadata: Mapping[str, Rule], spec: Mapping[str, Rule]) -> Rule:
    return blank_free(record(
        {"apiVersion": anything, "kind": anything, "metadata": record(
            {"name": text(".+", "a name"), **metadata}, required=("name",)), "spec": record(spec)},
        required=("metadata",), relations=(_shaped(to_v3, {**policies.RULES, **endpoints.RULES}[v3]),)))


CONVERTED = {"policy": policy_to_v3, "profile": profile_to_v3, "hostEndpoint": host_endpoint_to_v3}
RULES: dict[str, Rule] = {
    "policy": _kind(policy_to_v3, "GlobalNetworkPolicy", {"annotations": anything}, {
        **dict.fromkeys(_POLICY_FIELDS, anything), "types": many(one_of("ingress", "egress")), **_RULES}),
    "profile": _kind(profile_to_v3, "Profile", {"tags": many(text()), "labels": _LABELS}, _RULES),
    "hostEndpoint": _kind(host_endpoint_to_v3, "HostEndpoint", {"node": text(".+", "a node's name"), "labels": _LABELS}, {
        "interfaceName": anything, "expectedIPs": anything, "profiles": many(text()), "ports": _PORTS}),
}
