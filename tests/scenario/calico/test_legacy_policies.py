"""Policies of Calico's v1 API mean what the v3 documents mean that Calico's upgrade makes of them."""

from __future__ import annotations

import pytest

from tests.policies import pod, problems, read, world

PODS = [pod("shop/web", app="web"), pod("shop/db", app="db")]
POLICY = """
apiVersion: v1
kind: policy
metadata: {name: db.in}
spec:
  order: 10
  selector: app == 'db' && calico/k8s_ns == 'shop'
  types: [ingress]
  ingress:
  - {action: allow, protocol: tcp, source: {selector: app == 'web'}, destination: {ports: [80, '90:91']}}
  - {action: deny, protocol: udp}
  - {action: next-tier, protocol: icmp}
"""


def test_a_v1_policy_decides():
    made = world(POLICY, PODS)
    asked = [("tcp", 80), ("tcp", 91), ("tcp", 92), ("udp", 80), ("icmp", 0)]
    assert [made.ingress("shop/web", "shop/db", *one).allowed for one in asked] == [True, True, False, False, True]
    assert made.said(made.ingress("shop/web", "shop/db")) == "PolicyRule policy db-in-b62a55b1 ingress[0] line 10"


def test_tags_become_labels():
    text = """
apiVersion: v1
kind: profile
metadata: {name: servers, tags: [server]}
spec: {ingress: [{action: allow}], egress: [{action: allow}]}
---
apiVersion: projectcalico.org/v3
kind: WorkloadEndpoint
metadata: {name: n-k8s-web-eth0, namespace: shop}
spec: {pod: web, interfaceName: eth0, profiles: [servers]}
---
apiVersion: v1
kind: policy
metadata: {name: x}
spec: {selector: app == 'db', ingress: [{action: allow, source: {tag: server, selector: has(app)}}]}
"""
    made = world(text, PODS)
    assert made.ingress("shop/web", "shop/db").allowed and not made.ingress("8.8.8.8", "shop/db").allowed
    assert not made.ingress("shop/db", "shop/db").allowed


def test_one_net_and_several_are_one_list():
    rules = read("""
apiVersion: v1
kind: policy
metadata: {name: x}
spec: {ingress: [{action: allow, source: {net: 10.0.0.0/8, nets: [11.1.2.3/8], notNet: 10.1.0.0/16}}]}
""")[0].policy.policies[0].ingress
    assert [str(net) for net in rules[0].source.nets] == ["10.0.0.0/8", "11.0.0.0/8"] and len(rules[0].source.not_nets) == 1


def test_a_v1_host_endpoint_stands_on_its_node():
    host, = read("""
apiVersion: v1
kind: hostEndpoint
metadata: {name: eth0, node: N1, labels: {role: edge}}
spec: {interfaceName: eth0, expectedIPs: [192.0.2.1], profiles: [a.b], ports: [{name: api, protocol: tcp, port: 6443}]}
""")[0].policy.host_endpoints
    assert (host.node, host.interface, host.ports, host.labels) == ("n1", "eth0", (("api", 6, 6443),), {"role": "edge"})


@pytest.mark.parametrize(("text", "said"), [
    (POLICY.replace("action: deny", "action: Deny"), "Deny is not one of allow, deny"),
    (POLICY.replace("types: [ingress]", "types: [Ingress]"), "Ingress is not one of ingress"),
    (POLICY.replace("protocol: udp", "protocol: udq"), "udq is not a protocol"),
    (POLICY.replace("{selector: app == 'web'}", "{selector: app = 'web'}"), "of the selector"),
    (POLICY.replace("order: 10", "orders: 10"), "did you mean order?"),
])
def test_what_v1_refuses_is_told_with_its_place(text, said):
    found = problems(text)
    assert len(found) == 1 and said in found[0] and "policies.yaml:" in found[0], found


def test_names_are_those_of_the_upgrade():
    policy = read("""
apiVersion: v1
kind: hostEndpoint
metadata: {name: eth0, node: n1}
spec: {interfaceName: eth0, profiles: [k8s_ns.shop]}
---
apiVersion: v1
kind: policy
metadata: {name: x}
spec: {preDNAT: true}
""")[0].policy
    assert policy.host_endpoints[0].name == "n1.eth0" and policy.host_endpoints[0].profiles == ("kns.shop",)
    assert policy.policies[0].apply_on_forward
