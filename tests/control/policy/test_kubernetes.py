"""Kubernetes NetworkPolicy: isolation, peers, ports."""

from __future__ import annotations

import pytest

from tests.policies import pod, read, world

PODS = [
    pod("shop/web", app="web"), pod("shop/db", app="db", ports=[("pg", "TCP", 5432)]), pod("other/web", app="web"),
    pod("shop/cache", app="cache", ports=[("pg", "TCP", 6432), ("pg", "UDP", 99)])]
NAMESPACES = """
apiVersion: v1
kind: Namespace
metadata: {name: other, labels: {team: blue}}
"""


def policy(spec, name="np", namespace="shop"):
    return f"""---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: {name}, namespace: {namespace}}}
spec: {spec}
"""


def shop(*specs):
    return world(NAMESPACES + "".join(policy(spec, f"np{number}") for number, spec in enumerate(specs)), PODS)


def test_without_a_policy_everything_is_allowed():
    assert world("", PODS).allows("other/web", "shop/db", "tcp", 5432)
    assert world("", PODS).allows("8.8.8.8", "shop/db", "icmp")


def test_isolation_is_of_one_pod_and_one_direction():
    cluster = shop("{podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress]}")
    assert not cluster.ingress("shop/web", "shop/db").allowed
    assert cluster.egress("shop/db", "shop/web").allowed and cluster.ingress("shop/db", "shop/web").allowed
    assert cluster.allows("shop/db", "other/web")


def test_a_denial_names_the_tier_and_an_allowance_the_line_of_the_rule():
    cluster = shop("{podSelector: {}, ingress: [{ports: [{port: 80}]}]}")
    assert cluster.said(cluster.ingress("shop/web", "shop/db", "tcp", 81)).startswith("Tier default")
    assert cluster.said(cluster.ingress("shop/web", "shop/db")) == "PolicyRule NetworkPolicy shop/np0 ingress[0] line 9"


@pytest.mark.parametrize(("rule", "allowed"), [
    ("[]", ""), ("[{}]", "shop/web other/web 8.8.8.8"), ("[{from: []}]", "shop/web other/web 8.8.8.8"),
    ("[{from: [{podSelector: {}}]}]", "shop/web"),
    ("[{from: [{namespaceSelector: {}}]}]", "shop/web other/web"),
    ("[{from: [{namespaceSelector: {matchLabels: {team: blue}}}]}]", "other/web"),
    ("[{from: [{namespaceSelector: {matchLabels: {team: blue}}, podSelector: {matchLabels: {app: db}}}]}]", ""),
    ("[{from: [{namespaceSelector: {matchLabels: {team: blue}}}, {podSelector: {matchLabels: {app: web}}}]}]",
     "shop/web other/web"),
    ("[{from: [{namespaceSelector: {matchExpressions: [{key: team, operator: NotIn, values: [blue]}]}}]}]", "shop/web"),
    ("[{from: [{namespaceSelector: {matchExpressions: [{key: team, operator: DoesNotExist}]}}]}]", "shop/web"),
    ("[{from: [{namespaceSelector: {matchExpressions: [{key: team, operator: Exists}]}}]}]", "other/web"),
    ("[{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]", "shop/web other/web 8.8.8.8"),
    ("[{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.3/32]}}]}]", "shop/web"),
    ("[{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.3/32]}}, {ipBlock: {cidr: 10.0.0.3/32}}]}]", "shop/web other/web"),
])
def test_peers_select_whom_the_api_says(rule, allowed):
    cluster = shop(f"{{podSelector: {{matchLabels: {{app: db}}}}, policyTypes: [Ingress], ingress: {rule}}}")
    senders = ("shop/web", "other/web", "8.8.8.8")
    assert [one for one in senders if cluster.ingress(one, "shop/db").allowed] == allowed.split()


def test_the_rules_of_several_policies_are_a_union():
    cluster = shop("{podSelector: {}, ingress: []}", "{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 1}]}]}")
    assert cluster.ingress("shop/web", "shop/db", "tcp", 1).allowed
    assert not cluster.ingress("shop/db", "shop/web", "tcp", 1).allowed


def test_policy_types_not_said_are_ingress_and_egress_only_with_egress_rules():
    only_egress = shop("{podSelector: {}, egress: [{ports: [{port: 80}]}]}")
    assert only_egress.egress("shop/web", "8.8.8.8").allowed and not only_egress.egress("shop/web", "8.8.8.8", "tcp", 81).allowed
    assert not only_egress.ingress("8.8.8.8", "shop/web").allowed
    assert shop("{podSelector: {}}").egress("shop/web", "8.8.8.8").allowed
    ignored = shop("{podSelector: {}, policyTypes: [Egress], ingress: [{}]}")
    assert ignored.ingress("8.8.8.8", "shop/web").allowed and not ignored.egress("shop/web", "8.8.8.8").allowed


@pytest.mark.parametrize(("port", "allowed"), [
    ("{}", "tcp:1 tcp:80 tcp:90 tcp:91 tcp:5432 tcp:65535"), ("{port: 80}", "tcp:80"), ("{protocol: UDP, port: 80}", "udp:80"),
    ("{protocol: SCTP}", "sctp:80"), ("{port: 80, endPort: 90}", "tcp:80 tcp:90"), ("{port: pg}", "tcp:5432"),
    ("{protocol: UDP, port: pg}", ""),
])
def test_ports_are_of_their_protocol_and_names_of_the_receiving_pod(port, allowed):
    cluster = shop(f"{{podSelector: {{matchLabels: {{app: db}}}}, ingress: [{{ports: [{port}]}}]}}")
    asked = ("tcp:1", "tcp:80", "tcp:90", "tcp:91", "tcp:5432", "tcp:65535", "udp:80", "sctp:80", "icmp:0")
    assert [one for one in asked if cluster.ingress("shop/web", "shop/db", *_port(one)).allowed] == allowed.split()


def _port(text):
    protocol, _, number = text.partition(":")
    return protocol, int(number)


def test_a_name_means_for_each_destination_its_own_number():
    cluster = shop("{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{ports: [{port: pg}]}]}")
    assert cluster.egress("shop/web", "shop/db", "tcp", 5432).allowed
    assert cluster.egress("shop/web", "shop/cache", "tcp", 6432).allowed
    assert not cluster.egress("shop/web", "shop/db", "tcp", 6432).allowed
    assert not cluster.egress("shop/web", "shop/cache", "udp", 99).allowed
    assert not cluster.egress("shop/web", "8.8.8.8", "tcp", 5432).allowed


def test_a_fragment_has_no_ports_and_a_rule_without_ports_allows_all_protocols():
    with_port = shop("{podSelector: {}, ingress: [{ports: [{port: 80}]}]}")
    without = shop("{podSelector: {}, ingress: [{}]}")
    assert not with_port.ingress("shop/web", "shop/db", fragment=True).allowed
    assert not with_port.ingress("shop/web", "shop/db", "icmp").allowed
    assert without.ingress("shop/web", "shop/db", "icmp").allowed
    assert without.ingress("shop/web", "shop/db", fragment=True).allowed


def test_a_policy_without_namespace_lies_in_default():
    made = world("""
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: np}
spec: {podSelector: {}}
""", [pod("a"), pod("shop/b")])
    assert not made.ingress("8.8.8.8", "default/a").allowed and made.ingress("8.8.8.8", "shop/b").allowed


def test_host_bits_of_a_block_are_masked_off():
    resources, _ = read(policy("{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.1.2.3/16}}]}]}"))
    assert str(resources.policy.policies[0].ingress[0].source.nets[0]) == "10.1.0.0/16"


def test_an_ipv6_block_matches_no_ipv4_packet_and_is_told():
    text = policy("{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 'fd00::/8'}}]}]}")
    assert any("IPv6" in warning for warning in read(text)[1])
    assert not world(text, PODS).ingress("8.8.8.8", "shop/web").allowed


def test_one_name_for_ports_of_two_containers_means_both():
    pods = [pod("shop/web", app="web"), pod("shop/db", app="db", ports=[("pg", "TCP", 5432), ("pg", "TCP", 5433)])]
    made = world(policy("{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: pg}]}]}"), pods)
    assert [port for port in range(5431, 5435) if made.ingress("shop/web", "shop/db", "tcp", port).allowed] == [5432, 5433]
