"""Rules of policy in words: ``Allow TCP 5432 from pods app == 'web'``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..datapath.reference.police import ICMP, WITH_PORTS, Flow
from ..quantities import Prefix
from ..scenario.kubernetes_policies import ORCHESTRATOR
from ..scenario.resources import EntityRule, Policy, PolicyRule, Ports

PROTOCOLS = {
    1: "ICMP", 2: "IGMP", 4: "IPIP", 6: "TCP", 17: "UDP", 47: "GRE", 50: "ESP", 58: "ICMPv6", 132: "SCTP", 136: "UDPLite"}
_SHOWN = 6              # nets or ports of one list


def protocol_name(number: int) -> str:
    return PROTOCOLS.get(number, f"protocol {number}")


def service_of(flow: Flow) -> str:
    """``TCP 5432``, ``ICMP type 8 code 0``."""
    name = protocol_name(flow.protocol)
    if flow.protocol in ICMP:
        return f"{name} type {flow.icmp[0]} code {flow.icmp[1]}"
    return f"{name} {flow.dport}" if flow.protocol in WITH_PORTS else name


def rule_words(rule: PolicyRule, way: str, namespace: str = "") -> str:
    """One rule; ``namespace`` is its policy's, "" of a global one."""
    near, far = (rule.destination, rule.source) if way == "ingress" else (rule.source, rule.destination)
    word, own = ("from", "to") if way == "ingress" else ("to", "from")
    said = [rule.action, service_words(rule)]
    said.append(f"{word} {peer_words(far, namespace)}")
    if peer_asked(near):
        said.append(f"{own} {peer_words(near, namespace)}")
    return " ".join(said)


def service_words(rule: PolicyRule) -> str:
    """``TCP 80, 443``; ``everything``."""
    said = []
    if rule.protocol is not None:
        said.append(protocol_name(rule.protocol))
    if rule.not_protocol is not None:
        said.append(f"all but {protocol_name(rule.not_protocol)}")
    said += _icmp_words("", rule.icmp) + _icmp_words("not ", rule.not_icmp)
    destination, source = rule.destination, rule.source
    said += _ports_asked("", destination.ports, destination.named_ports)
    said += _ports_asked("not ", destination.not_ports, destination.not_named_ports)
    said += _ports_asked("source port ", source.ports, source.named_ports)
    said += _ports_asked("source port not ", source.not_ports, source.not_named_ports)
    return " ".join(said) or "everything"


def _icmp_words(before: str, said: tuple[int | None, int | None] | None) -> list[str]:
    if said is None or said[0] is None:
        return []
    return [f"{before}type {said[0]}" + (f" code {said[1]}" if said[1] is not None else "")]


def _ports_asked(before: str, ports: Ports, names: tuple[str, ...]) -> list[str]:
    return [f"{before}{ports_words(ports, names)}"] if ports or names else []


def ports_words(ports: Ports, names: Iterable[str] = ()) -> str:
    """``80, 8000-8080, web``."""
    each = [f"{first}" if first == last else f"{first}-{last}" for first, last in ports]
    return shortened([*each, *names])


def shortened(each: list[str], most: int = _SHOWN) -> str:
    more = f" and {len(each) - most:,} more" if len(each) > most else ""
    return ", ".join(each[:most]) + more


def peer_asked(entity: EntityRule) -> bool:
    """Whether a side of a rule asks about addresses at all."""
    return bool(
        entity.nets or entity.not_nets or entity.selector or entity.not_selector or entity.namespace_selector
        or entity.service_accounts or entity.service_account_selector or entity.service or entity.nodes)


def peer_words(entity: EntityRule, namespace: str = "") -> str:
    """``pods app == 'web' of this namespace``; ``anybody``."""
    return " and ".join(_peer_terms(entity, namespace)) or "anybody"


def _peer_terms(entity: EntityRule, namespace: str) -> Iterator[str]:
    if entity.selector or entity.not_selector or entity.namespace_selector:
        said = [f"pods {selector_words(entity.selector)}".rstrip() if entity.selector else "pods"]
        said += [f"but not {selector_words(entity.not_selector)}"] if entity.not_selector else []
        if entity.namespace_selector:
            said.append(namespaces_words(entity.namespace_selector))
        elif namespace:
            said.append(f"of {namespace}")
        yield " ".join(said)
    if entity.service_accounts or entity.service_account_selector:
        yield f"service accounts {', '.join(entity.service_accounts) or entity.service_account_selector}"
    if entity.service:
        yield f"service {'/'.join(entity.service)}"
    if entity.nodes:
        yield f"nodes {entity.nodes}"
    if entity.nets or entity.not_nets:
        yield nets_words(entity.nets, entity.not_nets)


def namespaces_words(selector: str) -> str:
    return "of any namespace" if selector == "all()" else f"of namespaces {selector}"


def nets_words(nets: tuple[Prefix, ...], not_nets: tuple[Prefix, ...] = ()) -> str:
    excluded = f" except {shortened([str(net) for net in not_nets])}" if not_nets else ""
    return (shortened([str(net) for net in nets]) or "any address") + excluded


def selector_words(text: str) -> str:
    """A selector without what Calico adds to those of Kubernetes' policies; all pods need no word."""
    own = text.removeprefix(ORCHESTRATOR).removeprefix(" && ")
    return "" if own in ("all()", "") else own


def subject_words(policy: Policy) -> str:
    """Whom a policy is about."""
    chosen = selector_words(policy.selector)
    said = [f"pods {chosen}" if chosen else "all pods"]
    if policy.namespace:
        said.append(f"of {policy.namespace}")
    elif policy.namespace_selector:
        said.append(namespaces_words(policy.namespace_selector))
    if policy.service_account_selector:
        said.append(f"with service accounts {policy.service_account_selector}")
    return " ".join(said)
