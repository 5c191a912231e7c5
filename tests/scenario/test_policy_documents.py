"""Policy documents: what is wrong is told with place and cure; what is right becomes Calico's language."""

from __future__ import annotations

import copy

import pytest

from calisim.control.objects import Objects
from calisim.control.policy.resolve import police
from calisim.errors import Mark
from calisim.model.entities import Entities, Pods, Replicas
from calisim.scenario import kubernetes_policies
from calisim.scenario.documents import Document
from calisim.scenario.manifests import convert
from tests.policies import pod, problems, read

NP = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: np, namespace: x}\nspec: "
ANP = "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: anp}\nspec: "
CNP = "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: cnp}\nspec: "
GNP = "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: gnp}\nspec: "
SUBJECT = "subject: {namespaces: {}}"
ONE = f"priority: 1, {SUBJECT}"


@pytest.mark.parametrize(("text", "said"), [
    (NP + "{podSelectors: {}}", "spec.podSelectors: podSelectors is not a field of this place"),
    (NP + "{podSelector: {matchLabel: {a: b}}}", "did you mean matchLabels?"),
    (NP + "{podSelector: {}, ingress: [{from: [{}]}]}", "a peer says podSelector, namespaceSelector or ipBlock"),
    (NP + "{podSelector: {}, ingress: [{from: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]}", "ipBlock stands alone"),
    (NP + "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]}]}", "does not lie inside"),
    (NP + "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}]}", "does not lie inside"),
    (NP + "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.300/8}}]}]}", "10.0.0.300/8"),
    (NP + "{podSelector: {}, ingress: [{ports: [{port: web, endPort: 90}]}]}", "a range of ports begins with a number"),
    (NP + "{podSelector: {}, ingress: [{ports: [{port: 91, endPort: 90}]}]}", "before it begins"),
    (NP + "{podSelector: {}, ingress: [{ports: [{port: 0}]}]}", "lies outside 1..65535"),
    (NP + "{podSelector: {}, ingress: [{ports: [{protocol: ICMP}]}]}", "ICMP is not one of TCP, UDP, SCTP"),
    (NP + "{podSelector: {matchExpressions: [{key: a, operator: In}]}}", "In needs values"),
    (NP + "{podSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}", "Exists takes no values"),
    (NP + "{podSelector: {matchExpressions: [{key: a, operator: in, values: [b]}]}}", "did you mean In?"),
    (ANP + "{priority: 1, subject: {}}", "a subject says exactly one of namespaces, pods"),
    (ANP + "{priority: 1}", "subject is missing"),
    (ANP + f"{{priority: 1001, {SUBJECT}}}", "lies outside 0..1000"),
    (ANP + f"{{{ONE}, ingress: [{{action: Accept, from: [{{namespaces: {{}}}}]}}]}}", "Accept is not one of Allow"),
    (ANP + f"{{{ONE}, ingress: [{{action: Deny}}]}}", "from is missing"),
    (ANP + f"{{{ONE}, ingress: [{{action: Deny, from: [{{networks: [10.0.0.0/8], pods: {{}}}}]}}]}}", "networks is not a field"),
    (ANP + f"{{{ONE}, ingress: [{{action: Deny, from: [{{namespaces: {{sameLabels: [a]}}}}]}}]}}", "were removed"),
    (CNP + f"{{priority: 1, {SUBJECT}}}", "tier is missing"),
    (CNP + f"{{priority: 1, tier: Top, {SUBJECT}}}", "Top is not one of Admin, Baseline"),
    (CNP + f"{{priority: 1, tier: Admin, {SUBJECT}, egress: [{{action: Deny, to: [{{namespaces: {{}}, pods: {{}}}}]}}]}}",
     "a peer says exactly one of"),
    (GNP + "{tier: lost}", "spec.tier: there is no tier lost"),
    (GNP + "{tier: kube-admn}", "did you mean kube-admin?"),
])
def test_a_wrong_document_is_told_with_its_place_and_cure(text, said):
    found = problems(text)
    assert len(found) == 1 and said in found[0], found
    assert found[0].startswith("policies.yaml:")


def test_all_problems_come_at_once():
    found = problems(NP + "{podSelector: 1, ingress: [{ports: [{port: 0}]}], policyTypes: [Both]}\n---\n" + GNP + "{tier: lost}")
    assert len(found) == 4


@pytest.mark.parametrize("text", [
    NP + "{podSelector: {}, ingress: [{ports: [{port: '80'}]}]}", NP + "{}", NP.removesuffix("spec: "),
    NP + "{podSelector: {}, ingress: [{}, null]}",
    ANP + f"{{priority: 0, {SUBJECT}}}", GNP + "{tier: kube-baseline}",
])
def test_what_the_api_takes_is_taken(text):
    assert problems(text) == []


def test_each_policy_is_in_calicos_tier_and_order():
    text = "---\n".join([NP + "{podSelector: {}}\n", ANP + f"{{priority: 7, {SUBJECT}}}\n",
                         CNP + f"{{priority: 8, tier: Baseline, {SUBJECT}}}\n", GNP + "{}\n"])
    resources, _ = read(text)
    assert [(one.kind, one.tier, one.order) for one in resources.policy.policies] == [
        ("NetworkPolicy", "default", 1000.0), ("AdminNetworkPolicy", "adminnetworkpolicy", 7.0),
        ("ClusterNetworkPolicy", "kube-baseline", 8.0), ("GlobalNetworkPolicy", "default", None)]
    assert {tier.name: (tier.order, tier.default_action) for tier in resources.policy.tiers} == {
        "default": (1e6, "Deny"), "adminnetworkpolicy": (1000, "Pass"), "kube-baseline": (1e7, "Pass")}


def test_a_converted_rule_remembers_the_rule_it_was_made_from():
    resources, _ = read(NP + """
  podSelector: {}
  ingress:
  - from: [{podSelector: {}}]
  - from: [{podSelector: {}}, {ipBlock: {cidr: 10.0.0.0/8}}]
    ports: [{port: 1}, {port: 2, protocol: UDP}]
""")
    rules = resources.policy.policies[0].ingress
    assert [(rule.name, rule.mark.line) for rule in rules] == [("ingress[0]", 7)] + [("ingress[1]", 8)] * 4


@pytest.mark.parametrize(("ports", "short"), [
    ([], []), ([80], [80]), ([80, 80], [80]), ([2, 1], ["1:2"]), (["80:90", 91], ["80:91"]), ([85, "80:90"], ["80:90"]),
    (["b", "a", 3], ["b", "a", 3]), ([3, "a"], [3, "a"]), ([3, "a", 9], ["a", 3, 9]), ([65535, 65534], ["65534:65535"]),
])
def test_ports_are_made_short_as_calico_does(ports, short):
    assert kubernetes_policies.simplify_ports(ports) == short


SAMPLES = [
    {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "np", "namespace": "x"}, "spec": {
        "podSelector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}]},
        "policyTypes": ["Ingress"], "ingress": [{"from": [
            {"podSelector": {}, "namespaceSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}],
            "ports": [{"protocol": "TCP", "port": 80, "endPort": 90}, {"port": "web"}]}], "egress": [{"to": []}]}},
    {"apiVersion": "policy.networking.k8s.io/v1alpha1", "kind": "AdminNetworkPolicy", "metadata": {"name": "anp"}, "spec": {
        "priority": 1, "subject": {"pods": {"podSelector": {}, "namespaceSelector": {}}}, "egress": [{
            "name": "x", "action": "Pass", "to": [{"networks": ["10.0.0.0/8"]}, {"nodes": {}}, {"namespaces": {}}],
            "ports": [{"portNumber": {"port": 80}}, {"portRange": {"start": 1, "end": 2}}, {"namedPort": "web"}]}]}},
    {"apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy", "metadata": {"name": "cnp"}, "spec": {
        "tier": "Admin", "priority": 1, "subject": {"namespaces": {}}, "ingress": [{
            "action": "Accept", "from": [{"namespaces": {}}], "protocols": [
                {"tcp": {"destinationPort": {"range": {"start": 1, "end": 2}}}}, {"destinationNamedPort": "web"}]}]}},
    {"apiVersion": "v1", "kind": "policy", "metadata": {"name": "old"}, "spec": {
        "order": 1, "selector": "all()", "types": ["ingress"], "ingress": [{
            "action": "allow", "protocol": "tcp", "source": {"tag": "t", "net": "10.0.0.0/8", "ports": [1]}}]}},
    {"apiVersion": "v1", "kind": "profile", "metadata": {"name": "p", "tags": ["t"], "labels": {"a": "b"}}, "spec": {
        "egress": [{"action": "deny", "icmp": {"type": 1}, "protocol": "icmp"}]}},
    {"apiVersion": "v1", "kind": "hostEndpoint", "metadata": {"name": "h", "node": "n", "labels": {"a": "b"}}, "spec": {
        "interfaceName": "eth0", "expectedIPs": ["192.0.2.1"], "profiles": ["p"],
        "ports": [{"name": "a", "protocol": "tcp", "port": 1}]}},
    {"apiVersion": "projectcalico.org/v3", "kind": "GlobalNetworkPolicy", "metadata": {"name": "gnp"}, "spec": {
        "tier": "default", "order": 1, "namespaceSelector": "all()", "ingress": [{
            "action": "Allow", "protocol": "TCP", "notICMP": {"type": 1, "code": 2}, "source": {
                "serviceAccounts": {"names": ["a"], "selector": "all()"}, "nets": ["10.0.0.0/8"], "ports": ["1:2", "web"]},
            "destination": {"services": {"name": "s", "namespace": "n"}}}]}},
    {"apiVersion": "projectcalico.org/v3", "kind": "StagedKubernetesNetworkPolicy", "metadata": {"name": "s"}, "spec": {
        "podSelector": {}, "stagedAction": "Set"}},
    {"apiVersion": "projectcalico.org/v3", "kind": "WorkloadEndpoint", "metadata": {"name": "w"}, "spec": {
        "pod": "a", "interfaceName": "eth0", "profiles": ["p"]}},
    {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "sa", "labels": {"a": "b"}}},
]
JUNK = [
    None, True, 0, -1, 1.5, 10**30, "", "x", "a:b", "::/0", "10.0.0.0/33", [], {}, [None], {"a": 1}, [[]], "all()", "80:1", 70000]


def places(value, path=()):
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["kind"])
def test_a_mutilated_document_is_read_or_refused_but_never_breaks_the_reader(sample):
    taken = 0
    for path in [path for path in places(sample) if path and path[0] not in ("apiVersion", "kind") and path[-1:] != ("name",)]:
        for junk in JUNK:
            value = copy.deepcopy(sample)
            inner = value
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = copy.deepcopy(junk)
            resources, _, faults = convert([Document(value["apiVersion"], value["kind"], "x", value, Mark("x.yaml", 1, 1))])
            if not faults:
                taken += 1
                police(resources.policy, Entities({}, {}, (), Pods([Replicas.of(pod("x/a", a="b"))]), ()), [1], Objects())
    assert taken
