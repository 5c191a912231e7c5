"""NetworkPolicy by the words of its API reference, without Calico's conversion, sets or programs: a second opinion."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from tests.policies import pod, world

NAMESPACES = {"x": {"team": "red"}, "y": {"team": "blue"}, "z": {}}
PODS = [
    pod("x/a", app="a"), pod("x/b", app="b", ports=[("web", "TCP", 80)]), pod("y/a", app="a", ports=[("web", "TCP", 81)]),
    pod("y/c", ports=[("web", "UDP", 80)]), pod("z/b", app="b", tier="front")]
ADDRESSES = {one.id: f"10.0.0.{number}" for number, one in enumerate(PODS, start=1)}
ENDS = [*PODS, "10.0.0.77", "192.0.2.1"]
PROTOCOLS = {"TCP": "tcp", "UDP": "udp", "SCTP": "sctp"}


def selects(selector, labels):
    def holds(term):
        value = labels.get(term["key"])
        return {
            "In": value in term.get("values", ()), "NotIn": value not in term.get("values", ()),
            "Exists": value is not None, "DoesNotExist": value is None}[term["operator"]]
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        map(holds, selector.get("matchExpressions", ())))


def is_peer(peer, namespace, other):
    if "ipBlock" in peer:
        address = ip_address(other if isinstance(other, str) else ADDRESSES[other.id])
        return address in ip_network(peer["ipBlock"]["cidr"]) and not any(
            address in ip_network(net) for net in peer["ipBlock"].get("except", ()))
    if isinstance(other, str):
        return False
    here = (selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace, **NAMESPACES[other.namespace]})
            if "namespaceSelector" in peer else other.namespace == namespace)
    return here and selects(peer.get("podSelector", {}), other.labels)


def is_port(entry, receiver, protocol, port):
    if entry.get("protocol", "TCP") != protocol:
        return False
    wanted = entry.get("port")
    if isinstance(wanted, str):
        return not isinstance(receiver, str) and (wanted, protocol, port) in {
            (one.name, one.protocol, one.port) for one in receiver.ports}
    return wanted is None or wanted <= port <= entry.get("endPort", wanted)


def side_allows(policies, direction, own, other, receiver, protocol, port):
    if isinstance(own, str):
        return True
    peers, mine = ("from", "ingress") if direction == "Ingress" else ("to", "egress"), []
    for policy in policies:
        spec = policy["spec"]
        types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
        if policy["metadata"]["namespace"] == own.namespace and selects(spec["podSelector"], own.labels) and direction in types:
            mine.append(policy)
    return not mine or any(
        (not rule.get(peers[0]) or any(is_peer(peer, policy["metadata"]["namespace"], other) for peer in rule[peers[0]]))
        and (not rule.get("ports") or any(is_port(entry, receiver, protocol, port) for entry in rule["ports"]))
        for policy in mine for rule in policy["spec"].get(peers[1], ()))


TERMS = st.one_of(
    st.builds(lambda key, operator, values: {"key": key, "operator": operator, "values": values},
              st.sampled_from(["app", "tier", "team"]), st.sampled_from(["In", "NotIn"]),
              st.lists(st.sampled_from(["a", "b", "red", "front"]), min_size=1, max_size=2)),
    st.builds(lambda key, operator: {"key": key, "operator": operator},
              st.sampled_from(["app", "tier", "team"]), st.sampled_from(["Exists", "DoesNotExist"])))
SELECTORS = st.fixed_dictionaries({}, optional={
    "matchLabels": st.dictionaries(st.sampled_from(["app", "team"]), st.sampled_from(["a", "b", "red"]), max_size=1),
    "matchExpressions": st.lists(TERMS, max_size=2)})
BLOCKS = st.sampled_from([
    {"cidr": "10.0.0.0/8"}, {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/29"]}, {"cidr": "10.0.0.2/32"},
    {"cidr": "10.0.0.0/24", "except": ["10.0.0.1/32", "10.0.0.64/26"]}])
PEERS = st.one_of(
    st.builds(lambda one: {"podSelector": one}, SELECTORS), st.builds(lambda one: {"namespaceSelector": one}, SELECTORS),
    st.builds(lambda one, two: {"namespaceSelector": one, "podSelector": two}, SELECTORS, SELECTORS),
    st.builds(lambda one: {"ipBlock": one}, BLOCKS))
PORTS = st.fixed_dictionaries({}, optional={
    "protocol": st.sampled_from(list(PROTOCOLS)), "port": st.sampled_from([80, 81, "web"])})
RANGES = st.sampled_from([{"port": 79, "endPort": 80}, {"protocol": "UDP", "port": 80, "endPort": 90}])


def rules(peers):
    return st.lists(st.fixed_dictionaries({}, optional={
        peers: st.lists(PEERS, max_size=2), "ports": st.lists(PORTS | RANGES, max_size=2)}), max_size=2)


SPECS = st.fixed_dictionaries({"podSelector": SELECTORS}, optional={
    "policyTypes": st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
    "ingress": rules("from"), "egress": rules("to")})


@given(st.lists(st.tuples(st.sampled_from(list(NAMESPACES)), SPECS), max_size=3))
def test_calicos_way_and_the_words_of_the_api_agree(written):
    policies = [
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": spec,
         "metadata": {"name": f"np{number}", "namespace": namespace}} for number, (namespace, spec) in enumerate(written)]
    namespaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
                  for name, labels in NAMESPACES.items()]
    made = world("\n---\n".join(map(json.dumps, [*namespaces, *policies])), PODS)
    for src in ENDS:
        for dst in ENDS:
            names = [one if isinstance(one, str) else one.id for one in (src, dst)]
            for protocol, port in (("TCP", 80), ("TCP", 81), ("UDP", 80), ("SCTP", 80)):
                flow = (*names, PROTOCOLS[protocol], port)
                assert made.egress(*flow).allowed == side_allows(policies, "Egress", src, dst, dst, protocol, port), flow
                assert made.ingress(*flow).allowed == side_allows(policies, "Ingress", dst, src, dst, protocol, port), flow
