"""Valid v3 policies, tiers, profiles, sets and host endpoints → :mod:`calisim.scenario.resources`.

The other policy languages come here, too, as the v3 documents that they are converted to. Knows IPv4 only: a rule that
can only match IPv6 packets is left out of the policy, as Felix leaves it out of its IPv4 chains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...errors import Mark
from ...quantities import Prefix, network_of, parse_address
from ..resources import EntityRule, HostEndpoint, NetworkSet, Policy, PolicyRule, Ports, Profile, Tier
from .convert import Spec, spec_of
from .policies import BUILT_IN_TIERS
from .values import interface, port, protocol

PROTOCOLS = {"ICMP": 1, "TCP": 6, "UDP": 17, "ICMPv6": 58, "SCTP": 132, "UDPLite": 136}
Place = Callable[[str, int], tuple[str, Mark]]     # direction and number of a rule → its name and where it was written


def types_of(spec: Spec) -> tuple[str, ...]:
    """The directions of a Calico policy: as listed, else those that it has rules for, else ingress."""
    if spec.get("types"):
        return tuple(spec["types"])
    if spec.get("egress"):
        return ("Ingress", "Egress") if spec.get("ingress") else ("Egress",)
    return ("Ingress",)


def policy(document: Mapping[str, Any], place: Place, mark: Mark, kind: str, calico_kind: str) -> Policy:
    """``kind`` is that of the document as written, ``calico_kind`` that under which Calico keeps what it becomes."""
    spec, metadata = spec_of(document), document["metadata"]
    namespaced = document["kind"] in ("NetworkPolicy", "StagedNetworkPolicy")
    return Policy(
        kind=kind,
        name=metadata["name"],
        namespace=metadata.get("namespace") or "default" if namespaced else "",
        tier=spec.get("tier") or "default",
        order=None if spec.get("order") is None else float(spec["order"]),
        selector=spec.get("selector") or "",
        namespace_selector=spec.get("namespaceSelector") or "",
        service_account_selector=spec.get("serviceAccountSelector") or "",
        types=types_of(spec),
        ingress=rules(spec, "ingress", place),
        egress=rules(spec, "egress", place),
        staged=(spec.get("stagedAction") or "Set") if kind.startswith("Staged") else "",
        do_not_track=bool(spec.get("doNotTrack")),
        pre_dnat=bool(spec.get("preDNAT")),
        apply_on_forward=bool(spec.get("applyOnForward")),
        mark=mark,
        calico_kind=calico_kind,
    )


def rules(spec: Spec, direction: str, place: Place) -> tuple[PolicyRule, ...]:
    found = (rule(entry, *place(direction, number)) for number, entry in enumerate(spec.get(direction) or ()))
    return tuple(one for one in found if one is not None)


def rule(entry: Mapping[str, Any], name: str, mark: Mark) -> PolicyRule | None:
    """None for a rule that no IPv4 packet can match."""
    sides = [side(entry.get(name) or {}) for name in ("source", "destination")]
    if entry.get("ipVersion") == 6 or None in sides:
        return None
    source, destination = sides
    assert source is not None and destination is not None
    return PolicyRule(
        entry["action"], source, destination, protocol_number(entry.get("protocol")), protocol_number(entry.get("notProtocol")),
        _icmp(entry.get("icmp")), _icmp(entry.get("notICMP")), name, mark)


def side(entity: Mapping[str, Any]) -> EntityRule | None:
    """None where all nets of one list are IPv6."""
    nets, not_nets = _nets(entity.get("nets")), _nets(entity.get("notNets"))
    if nets is None or not_nets is None:
        return None
    ports, named = _ports(entity.get("ports"))
    not_ports, not_named = _ports(entity.get("notPorts"))
    accounts, service = entity.get("serviceAccounts") or {}, entity.get("services")
    return EntityRule(
        nets, not_nets, entity.get("selector") or "", entity.get("notSelector") or "", entity.get("namespaceSelector") or "",
        ports, named, not_ports, not_named, tuple(accounts.get("names") or ()), accounts.get("selector") or "",
        (service.get("namespace") or "", service["name"]) if service else None, entity.get("nodeSelector") or "")


def protocol_number(value: Any) -> int | None:
    if value in (None, ""):
        return None
    found = protocol(value)
    return PROTOCOLS[found] if isinstance(found, str) else found


def _icmp(value: Mapping[str, Any] | None) -> tuple[int | None, int | None] | None:
    """``icmp: {}`` says nothing."""
    found = (value.get("type"), value.get("code")) if value else (None, None)
    return None if found == (None, None) else found


def _nets(texts: Iterable[str] | None) -> tuple[Prefix, ...] | None:
    """IPv4 nets; None where there are only others."""
    found = [interface(text) for text in texts or ()]
    mine = tuple(network_of(int(net.ip), net.network.prefixlen) for net in found if net.version == 4)
    return None if found and not mine else mine


def _ports(entries: Iterable[Any] | None) -> tuple[Ports, tuple[str, ...]]:
    numbers, names = [], []
    for entry in entries or ():
        found = port(entry)
        if isinstance(found, int):
            numbers.append((found, found))
        elif ":" in found:
            first, _, last = found.partition(":")
            numbers.append((int(first), int(last)))
        else:
            names.append(found)
    return tuple(numbers), tuple(names)


# --- the others -----------------------------------------------------------------------------------------------------


def tier(document: Mapping[str, Any], mark: Mark) -> Tier:
    spec, name = spec_of(document), document["metadata"]["name"]
    order = spec.get("order")
    return Tier(
        name, None if order is None else float(order),
        spec.get("defaultAction") or BUILT_IN_TIERS.get(name, (None, "Deny"))[1], mark)


def profile(document: Mapping[str, Any], place: Place, mark: Mark) -> Profile:
    spec = spec_of(document)
    return Profile(
        document["metadata"]["name"], rules(spec, "ingress", place), rules(spec, "egress", place),
        dict(spec.get("labelsToApply") or {}), mark)


def network_set(document: Mapping[str, Any], mark: Mark) -> NetworkSet:
    metadata = document["metadata"]
    namespace = metadata.get("namespace") or "default" if document["kind"] == "NetworkSet" else ""
    nets = _nets(spec_of(document).get("nets")) or ()
    return NetworkSet(metadata["name"], namespace, nets, dict(metadata.get("labels") or {}), mark)


def host_endpoint(document: Mapping[str, Any], mark: Mark) -> HostEndpoint:
    spec, metadata = spec_of(document), document["metadata"]
    ports = tuple((one["name"], protocol_number(one["protocol"]) or 0, one["port"]) for one in spec.get("ports") or ())
    return HostEndpoint(
        metadata["name"], spec["node"], spec.get("interfaceName") or "",
        tuple(parse_address(text) for text in spec.get("expectedIPs") or () if ":" not in text),
        tuple(spec.get("profiles") or ()), ports, dict(metadata.get("labels") or {}), mark)
