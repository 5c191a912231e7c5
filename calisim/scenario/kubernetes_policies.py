"""networking.k8s.io/v1 NetworkPolicy: what it may say, and the Calico v3 policy that it becomes.

The conversion is Calico's own (order 1000 in the tier ``default``, one rule for each protocol and peer), so that
everything further down knows one language. Each rule remembers which rule of the document it was made from.

Sources: Kubernetes' API reference of NetworkPolicy; libcalico-go's k8s/conversion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .calico.metadata import resource
from .calico.rules import Fault, Faults, Rule, blank_free, integer, many, one_of, record, shown, table
from .calico.values import IS_CIDR, IS_LABEL_KEY, IS_LABEL_VALUE, IS_PORT_NAME, interface

ORCHESTRATOR = "projectcalico.org/orchestrator == 'k8s'"
Origins = Mapping[str, Sequence[int]]               # direction → for each converted rule, the number of the one it came from
PortsByProtocol = Mapping[str, list[int | str] | None]     # protocol ("" any) → ports; None: all

# --- label selectors ------------------------------------------------------------------------------------------------

_TAKES_VALUES = {"In": True, "NotIn": True, "Exists": False, "DoesNotExist": False}


def _values_fit(expression: Mapping[str, Any]) -> Faults:
    takes = _TAKES_VALUES[expression["operator"]]
    if takes and not expression.get("values"):
        yield Fault(f"{expression['operator']} needs values", "add values: [...]", ("operator",))
    if not takes and expression.get("values"):
        yield Fault(f"{expression['operator']} takes no values", "remove them", ("values",))


LABEL_SELECTOR = record({
    "matchLabels": table(IS_LABEL_KEY, IS_LABEL_VALUE),
    "matchExpressions": many(record(
        {"key": IS_LABEL_KEY, "operator": one_of(*_TAKES_VALUES), "values": many(IS_LABEL_VALUE)},
        required=("key", "operator"), relations=(_values_fit,))),
})


def pod_selector(selector: Mapping[str, Any] | None) -> str:
    """A selector of pods; None and {} are all pods."""
    return " && ".join([ORCHESTRATOR, *_terms(selector or {})])


def namespace_selector(selector: Mapping[str, Any] | None) -> str:
    """A selector of namespaces; {} is all of them, None says nothing."""
    return "" if selector is None else " && ".join(_terms(selector)) or "all()"


def _terms(selector: Mapping[str, Any]) -> Iterator[str]:
    for key, value in sorted((selector.get("matchLabels") or {}).items()):
        yield f"{key} == '{value}'"
    for expression in selector.get("matchExpressions") or ():
        key, values = expression["key"], "', '".join(expression.get("values") or ())
        match expression["operator"]:
            case "In":
                yield f"{key} in {{ '{values}' }}"
            case "NotIn":
                yield f"{key} not in {{ '{values}' }}"
            case "Exists":
                yield f"has({key})"
            case _:
                yield f"! has({key})"


# --- what it may say ------------------------------------------------------------------------------------------------


def _port(value: Any) -> Faults:
    yield from (IS_PORT_NAME if isinstance(value, str) and not value.isdigit() else _port_number)(value)


def _port_number(value: Any) -> Faults:
    yield from integer(1, 65535)(int(value) if isinstance(value, str) and len(value) < 6 else value)


def _port_range(port: Mapping[str, Any]) -> Faults:
    if port.get("endPort") is None:
        return
    if not isinstance(port.get("port"), int):
        yield Fault("a range of ports begins with a number", "write port: as a number", ("endPort",))
    elif port["endPort"] < port["port"]:
        yield Fault(f"the range ends at {port['endPort']}, before it begins", "endPort must not be less than port", ("endPort",))


def _block(block: Mapping[str, Any]) -> Faults:
    outer = interface(block["cidr"]).network
    for position, inner in enumerate(block.get("except") or ()):
        found = interface(inner).network
        if found.version != outer.version or not (found.subnet_of(outer) and found != outer):  # type: ignore[arg-type]
            yield Fault(f"{inner} does not lie inside {block['cidr']}", "except carves out of its own cidr", ("except", position))


def masked_cidr(value: Any) -> Faults:
    """A CIDR; host bits are masked off, as the API server and Calico do."""
    if isinstance(value, str) and "/" in value:
        try:
            value = str(interface(value).network)
        except ValueError:
            pass
    yield from IS_CIDR(value)


def _one_kind_of_peer(peer: Mapping[str, Any]) -> Faults:
    if peer.get("ipBlock") is not None and (peer.get("podSelector") is not None or peer.get("namespaceSelector") is not None):
        yield Fault("ipBlock stands alone", "write the selectors as a peer of their own", ("ipBlock",))
    if all(peer.get(name) is None for name in ("ipBlock", "podSelector", "namespaceSelector")):
        yield Fault("a peer says podSelector, namespaceSelector or ipBlock", "podSelector: {} is all pods of the namespace")


PORT = record({"protocol": one_of("TCP", "UDP", "SCTP"), "port": _port, "endPort": integer(1, 65535)}, relations=(_port_range,))
PEER = record(
    {
        "podSelector": LABEL_SELECTOR,
        "namespaceSelector": LABEL_SELECTOR,
        "ipBlock": record({"cidr": masked_cidr, "except": many(masked_cidr)}, required=("cidr",), relations=(_block,)),
    },
    relations=(_one_kind_of_peer,),
)


def _rules_of(peers: str) -> Rule:
    return many(record({peers: many(PEER), "ports": many(PORT)}))


_FIELDS: dict[str, Rule] = {
    "podSelector": LABEL_SELECTOR,
    "policyTypes": many(one_of("Ingress", "Egress"), unique=True),
    "ingress": _rules_of("from"),
    "egress": _rules_of("to"),
}
POLICY = blank_free(resource(record(_FIELDS)))
STAGED_POLICY = blank_free(resource(record({**_FIELDS, "stagedAction": one_of("Set", "Delete", "Learn", "Ignore")})))

# --- conversion -----------------------------------------------------------------------------------------------------


def defaulted(document: Mapping[str, Any]) -> dict[str, Any]:
    """As the API server stores it: policyTypes not said are Ingress, and Egress where there are egress rules."""
    spec = dict(document.get("spec") or {})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    return {**document, "spec": spec}


def to_v3(document: Mapping[str, Any]) -> tuple[dict[str, Any], Origins]:
    """The v3 NetworkPolicy that Calico makes of a NetworkPolicy as stored. A rule with a wrong port is left out."""
    spec, metadata = document.get("spec") or {}, document.get("metadata") or {}
    converted: dict[str, Any] = {
        "order": 1000, "tier": "default", "selector": pod_selector(spec.get("podSelector")),
        "types": list(spec.get("policyTypes") or ["Ingress"])}
    origins: dict[str, list[int]] = {"ingress": [], "egress": []}
    for direction, peers, far in (("ingress", "from", "source"), ("egress", "to", "destination")):
        made: list[dict[str, Any]] = []
        for number, rule in enumerate(spec.get(direction) or ()):
            rule = rule or {}
            try:
                ports = by_protocol(rule.get("ports"))
            except ValueError:
                continue
            each = [_peer(peer) for peer in rule.get(peers) or ()] or [{}]
            made += combined("Allow", ports, each, far)
            origins[direction] += [number] * (len(made) - len(origins[direction]))
        converted[direction] = made
    frame = {"apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy", "metadata": {
        "name": metadata.get("name"), "namespace": metadata.get("namespace") or "default"}}
    return {**frame, "spec": converted}, origins


def combined(action: str, ports: PortsByProtocol, peers: Sequence[Mapping[str, Any]], far: str) -> Iterator[dict[str, Any]]:
    """A rule for each protocol and peer; ports are always those of the destination."""
    for name in sorted(ports):
        numbers = simplify_ports(ports[name] or [])
        for peer in peers:
            rule: dict[str, Any] = {"action": action}
            if name:
                rule["protocol"] = name
            sides = {far: dict(peer)}
            if numbers:
                sides.setdefault("destination", {})["ports"] = numbers
            yield {**rule, **{side: entity for side, entity in sides.items() if entity}}


def by_protocol(ports: Iterable[Mapping[str, Any] | None] | None) -> PortsByProtocol:
    """NetworkPolicy's ports; no protocol means TCP, no port all of the protocol. ValueError for what is no port."""
    found: dict[str, list[int | str] | None] = {}
    for entry in ports or ():
        entry = entry or {}
        add_port(found, entry.get("protocol") or "TCP", _calico_port(entry.get("port"), entry.get("endPort")))
    return found or {"": None}


def add_port(found: dict[str, list[int | str] | None], protocol: str, port: int | str | None) -> None:
    """One more port of a protocol; None is all of them, and stays so."""
    listed = found.setdefault(protocol, [])
    if port is None:
        found[protocol] = None
    elif listed is not None:
        listed.append(port)


def _calico_port(first: Any, last: Any) -> int | str | None:
    if first is None:
        return None
    faults = [*_port(first), *(integer(1, 65535)(last) if last is not None else ())]
    if faults:
        raise ValueError(f"{shown(first)} is not a port")
    number = int(first) if str(first).isdigit() else first
    return number if last in (None, number) else f"{number}:{last}"


def _peer(peer: Mapping[str, Any]) -> dict[str, Any]:
    block = peer.get("ipBlock")
    if block is None:
        entity = {"selector": pod_selector(peer.get("podSelector"))}
        if peer.get("namespaceSelector") is not None:
            entity["namespaceSelector"] = namespace_selector(peer["namespaceSelector"])
        return entity
    nets: dict[str, Any] = {"nets": [str(interface(block["cidr"]).network)]}
    if block.get("except"):
        nets["notNets"] = [str(interface(net).network) for net in block["except"]]
    return nets


def simplify_ports(ports: Sequence[int | str]) -> list[int | str]:
    """Names first, then the numbers in order, neighbours joined to ranges; nothing changes where there is but one number."""
    names = [port for port in ports if isinstance(port, str) and not port.partition(":")[0].isdigit()]
    spans = sorted(_span(port) for port in ports if port not in names)
    if len(spans) <= 1 and all(first == last for first, last in spans):
        return list(ports)
    joined: list[tuple[int, int]] = []
    for first, last in spans:
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return [*names, *(first if first == last else f"{first}:{last}" for first, last in joined)]


def _span(port: int | str) -> tuple[int, int]:
    first, _, last = str(port).partition(":")
    return int(first), int(last or first)
