"""policy.networking.k8s.io: AdminNetworkPolicy, BaselineAdminNetworkPolicy (v1alpha1), ClusterNetworkPolicy (v1alpha2).

What they may say, and the GlobalNetworkPolicy that Calico makes of each, in the tier that Calico has for it. Calico
does not convert ``nodes`` peers nor ClusterNetworkPolicy's named ports; they mean here what the API says.

Sources: network-policy-api's types; libcalico-go's k8s/conversion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .calico.metadata import resource
from .calico.rules import Fault, Faults, Rule, absent, anything, blank_free, integer, many, one_of, record, text
from .calico.values import interface
from .kubernetes_policies import (
    LABEL_SELECTOR,
    Origins,
    PortsByProtocol,
    add_port,
    combined,
    masked_cidr,
    namespace_selector,
    pod_selector,
)

GROUP = "policy.networking.k8s.io"
_PROTOCOLS = ("TCP", "UDP", "SCTP")

# --- what they may say ----------------------------------------------------------------------------------------------


def _one_of_these(what: str, *names: str) -> Callable[[Mapping[str, Any]], Faults]:
    def relation(value: Mapping[str, Any]) -> Faults:
        given = [name for name in names if value.get(name) not in (None, "")]
        if len(given) != 1:
            yield Fault(f"{what} says exactly one of {', '.join(names)}" + (f", not {' and '.join(given)}" if given else ""),
                        "write one of them")
    return relation


_REMOVED = "sameLabels and notSameLabels were removed from the API after v0.1.1"
_NAMESPACES = record({
    "matchLabels": anything, "matchExpressions": anything, "sameLabels": absent(_REMOVED), "notSameLabels": absent(_REMOVED)})


def _namespaces(value: Any) -> Faults:
    faults = list(_NAMESPACES(value))
    yield from faults or LABEL_SELECTOR(value)


_PODS = record(
    {"namespaceSelector": LABEL_SELECTOR, "podSelector": LABEL_SELECTOR, "namespaces": absent(_REMOVED)},
    required=())
_SUBJECT = record({"namespaces": _namespaces, "pods": _PODS}, relations=(_one_of_these("a subject", "namespaces", "pods"),))
_PEER: dict[str, Rule] = {"namespaces": _namespaces, "pods": _PODS}
_FROM = record(_PEER, relations=(_one_of_these("a peer", *_PEER),))
_TO_FIELDS: dict[str, Rule] = {
    **_PEER, "nodes": LABEL_SELECTOR, "networks": many(masked_cidr, at_least=1, at_most=25), "domainNames": many(text())}
_TO = record(_TO_FIELDS, relations=(_one_of_these("a peer", *_TO_FIELDS),))


def _ordered(first: str, last: str) -> Callable[[Mapping[str, Any]], Faults]:
    def relation(value: Mapping[str, Any]) -> Faults:
        if value[last] < value[first]:
            yield Fault(f"the range ends at {value[last]}, before it begins", f"{last} must not be less than {first}", (last,))
    return relation


_NUMBER = integer(1, 65535)
_PORT_NAME = text("[a-zA-Z0-9_.-]{1,128}", "a port name")
_ANP_PORT_FIELDS: dict[str, Rule] = {
    "portNumber": record({"protocol": one_of(*_PROTOCOLS), "port": _NUMBER}, required=("port",)),
    "portRange": record(
        {"protocol": one_of(*_PROTOCOLS), "start": _NUMBER, "end": _NUMBER}, required=("start", "end"),
        relations=(_ordered("start", "end"),)),
    "namedPort": _PORT_NAME,
}
_ANP_PORT = record(_ANP_PORT_FIELDS, relations=(_one_of_these("a port", *_ANP_PORT_FIELDS),))
_CNP_PORT_FIELDS: dict[str, Rule] = {
    "number": _NUMBER,
    "range": record({"start": _NUMBER, "end": _NUMBER}, required=("start", "end"), relations=(_ordered("start", "end"),)),
}
_CNP_PORT = record(_CNP_PORT_FIELDS, relations=(_one_of_these("a port", *_CNP_PORT_FIELDS),))
_CNP_PROTOCOL_FIELDS: dict[str, Rule] = {
    **{name.lower(): record({"destinationPort": _CNP_PORT}) for name in _PROTOCOLS}, "destinationNamedPort": _PORT_NAME}
_CNP_PROTOCOL = record(_CNP_PROTOCOL_FIELDS, relations=(_one_of_these("a protocol", *_CNP_PROTOCOL_FIELDS),))


def _policy(actions: Sequence[str], ports: Mapping[str, Rule], **head: Rule) -> Rule:
    """A policy with rules of these actions; ``head`` are the fields of its own."""
    def listed(far: str, peer: Rule) -> Rule:
        return many(record(
            {"name": text(at_most=100), "action": one_of(*actions), far: many(peer, at_least=1), **ports},
            required=("action", far)), at_most=100)

    fields: dict[str, Rule] = {**head, "subject": _SUBJECT, "ingress": listed("from", _FROM), "egress": listed("to", _TO)}
    return blank_free(resource(record(fields, required=("subject", *head)), needs_spec=True))


_ANP_PORTS = {"ports": many(_ANP_PORT, at_most=100)}
_CNP_PORTS = {"protocols": many(_CNP_PROTOCOL, at_most=25)}
RULES: dict[str, Rule] = {
    "AdminNetworkPolicy": _policy(("Allow", "Deny", "Pass"), _ANP_PORTS, priority=integer(0, 1000)),
    "BaselineAdminNetworkPolicy": _policy(("Allow", "Deny"), _ANP_PORTS),
    "ClusterNetworkPolicy": _policy(
        ("Accept", "Deny", "Pass"), _CNP_PORTS, priority=integer(0, 1000), tier=one_of("Admin", "Baseline")),
}

# --- conversion -----------------------------------------------------------------------------------------------------

TIERS = {"AdminNetworkPolicy": "adminnetworkpolicy", "BaselineAdminNetworkPolicy": "baselineadminnetworkpolicy"}
_CNP_TIERS = {"Admin": "kube-admin", "Baseline": "kube-baseline"}
_ACTIONS = {"Accept": "Allow", "Allow": "Allow", "Deny": "Deny", "Pass": "Pass"}


class Unsupported(ValueError):
    """A part of a rule that is not converted."""


def to_v3(document: Mapping[str, Any], *, as_calico: bool = False) -> tuple[dict[str, Any], Origins, list[str]] | None:
    """The GlobalNetworkPolicy, where its rules come from, and what could not be converted; None without tier or subject.

    A Deny or Pass rule that cannot be converted denies everything, an Allow rule is left out. ``as_calico`` also refuses
    what Calico refuses although the API defines it: ``nodes`` peers, ClusterNetworkPolicy's named ports.
    """
    spec = document.get("spec") or {}
    tier = TIERS.get(document["kind"]) or _CNP_TIERS.get(spec.get("tier", ""))
    selectors = _subject(spec.get("subject") or {})
    if tier is None or selectors is None:
        return None
    converted: dict[str, Any] = {"tier": tier, "order": spec.get("priority", 1), **selectors, "types": []}
    origins: dict[str, list[int]] = {"ingress": [], "egress": []}
    refused: list[str] = []
    for direction, peers, far in (("ingress", "from", "source"), ("egress", "to", "destination")):
        made: list[dict[str, Any]] = []
        for number, rule in enumerate(spec.get(direction) or ()):
            try:
                ports = _cnp_ports(rule, as_calico) if document["kind"] == "ClusterNetworkPolicy" else _anp_ports(rule)
                each = [_peer(peer, as_calico) for peer in rule.get(peers) or ()]
                made += combined(_ACTIONS[rule["action"]], ports, each, far)
            except (Unsupported, KeyError) as error:
                refused.append(f"{direction}[{number}]: {error}")
                made += [{"action": "Deny"}] if rule.get("action") in ("Deny", "Pass") else []
            origins[direction] += [number] * (len(made) - len(origins[direction]))
        converted[direction] = made
        if made:
            converted["types"].append(direction.capitalize())
    metadata = {"name": document["metadata"]["name"]}
    frame = {"apiVersion": "projectcalico.org/v3", "kind": "GlobalNetworkPolicy", "metadata": metadata}
    return {**frame, "spec": converted}, origins, refused


def _subject(subject: Mapping[str, Any]) -> dict[str, str] | None:
    """Selectors that leave host endpoints out."""
    if subject.get("namespaces") is not None:
        return {"namespaceSelector": namespace_selector(subject["namespaces"]), "selector": pod_selector(None)}
    if subject.get("pods") is not None:
        return _pods(subject["pods"])
    return None


def _pods(pods: Mapping[str, Any]) -> dict[str, str]:
    return {
        "namespaceSelector": namespace_selector(pods.get("namespaceSelector") or {}),
        "selector": pod_selector(pods.get("podSelector"))}


def _peer(peer: Mapping[str, Any], as_calico: bool) -> dict[str, Any]:
    if peer.get("namespaces") is not None:
        return {"namespaceSelector": namespace_selector(peer["namespaces"])}
    if peer.get("pods") is not None:
        return _pods(peer["pods"])
    if peer.get("networks"):
        return {"nets": list(map(_network, peer["networks"]))}
    if peer.get("nodes") is not None and not as_calico:
        return {"nodeSelector": namespace_selector(peer["nodes"])}
    raise Unsupported(f"no peer that is converted, only {', '.join(peer) or 'nothing'}")


def _network(text: str) -> str:
    try:
        return str(interface(text).network)
    except ValueError as error:
        raise Unsupported(str(error)) from error


def _anp_ports(rule: Mapping[str, Any]) -> PortsByProtocol:
    found: dict[str, list[int | str] | None] = {}
    for entry in rule.get("ports") or ():
        number, span = entry.get("portNumber"), entry.get("portRange")
        if number is not None:
            add_port(found, number.get("protocol") or "TCP", number["port"])
        elif span is not None:
            add_port(found, span.get("protocol") or "TCP", _span(span))
        else:
            _by_name(found, entry["namedPort"])
    return found or {"": None}


def _cnp_ports(rule: Mapping[str, Any], as_calico: bool) -> PortsByProtocol:
    found: dict[str, list[int | str] | None] = {}
    for entry in rule.get("protocols") or ():
        for name in _PROTOCOLS:
            if (said := entry.get(name.lower())) is not None:
                port = said.get("destinationPort") or {}
                add_port(found, name, _span(port["range"]) if port.get("range") else port.get("number"))
                break
        else:
            if as_calico or not entry.get("destinationNamedPort"):
                raise Unsupported("named ports are not converted")
            _by_name(found, entry["destinationNamedPort"])
    return found or {"": None}


def _by_name(found: dict[str, list[int | str] | None], name: str) -> None:
    """A named port brings the protocol of whoever has it."""
    for protocol in _PROTOCOLS:
        add_port(found, protocol, name)


def _span(span: Mapping[str, int]) -> str | int:
    return span["start"] if span["start"] == span["end"] else f"{span['start']}:{span['end']}"
