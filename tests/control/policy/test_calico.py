"""Calico's own policies: tiers, order, Pass and Log, scopes of selectors, sets, profiles, staged policies."""

from __future__ import annotations

import pytest

from tests.policies import pod, read, world

PODS = [pod("shop/web", app="web"), pod("shop/db", app="db"), pod("other/web", app="web", account="robot")]
OTHER = """
apiVersion: v1
kind: Namespace
metadata: {name: other, labels: {team: blue}}
"""


def policy(name, spec, kind="GlobalNetworkPolicy", namespace=""):
    where = f", namespace: {namespace}" if namespace else ""
    return f"---\napiVersion: projectcalico.org/v3\nkind: {kind}\nmetadata: {{name: {name}{where}}}\nspec: {spec}\n"


def tier(name, order, action=""):
    return policy(name, f"{{order: {order}{', defaultAction: ' + action if action else ''}}}", "Tier")


def says(cluster, *flow):
    return cluster.said(cluster.ingress(*flow or ("other/web", "shop/db")))


def test_a_calico_policy_of_a_lower_order_is_asked_before_kubernetes_policies():
    kubernetes = """---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: np, namespace: shop}
spec: {podSelector: {}, ingress: [{}]}
"""
    before = policy("deny", "{order: 500, types: [Ingress], ingress: [{action: Deny}]}", "NetworkPolicy", "shop")
    after = policy("deny", "{types: [Ingress], ingress: [{action: Deny}]}", "NetworkPolicy", "shop")
    assert not world(kubernetes + before, PODS).ingress("other/web", "shop/db").allowed
    assert world(kubernetes + after, PODS).ingress("other/web", "shop/db").allowed


def test_the_walk_is_told_tier_by_tier():
    made = world(
        tier("sec", 1) + policy("sec.a", "{tier: sec, order: 1, ingress: [{action: Log}, {action: Pass}]}")
        + policy("b", "{order: 2, ingress: [{action: Deny, protocol: UDP}]}"), PODS)
    names = [made.objects.all[step.decided_by - 1].name for step in made.ingress("other/web", "shop/db").steps]
    assert names == [
        "sec", "sec.a", "GlobalNetworkPolicy sec.a ingress[0]", "GlobalNetworkPolicy sec.a ingress[1]", "default", "b", "default"]


def test_log_alone_drops_at_the_end_of_the_tier():
    assert says(world(policy("log", "{ingress: [{action: Log}]}"), PODS)).startswith("Tier default")


def test_a_tier_that_passes_leaves_the_word_to_the_next_and_the_last_to_the_profiles():
    made = world(tier("open", 1, "Pass") + policy("open.x", "{tier: open, ingress: [{action: Deny, protocol: UDP}]}"), PODS)
    assert made.ingress("other/web", "shop/db").allowed and not made.ingress("other/web", "shop/db", "udp").allowed
    assert says(made).startswith("PolicyRule Profile kns.*")


def test_a_tier_none_of_whose_policies_applies_has_no_say():
    made = world(tier("sec", 1) + policy("sec.x", "{tier: sec, selector: app == 'web'}"), PODS)
    assert made.ingress("other/web", "shop/db").allowed


def test_pass_out_of_the_last_tier_goes_to_the_profiles():
    assert world(policy("x", "{ingress: [{action: Pass}, {action: Deny}]}"), PODS).ingress("other/web", "shop/db").allowed


@pytest.mark.parametrize(("spec", "ingress", "egress"), [
    ("{}", False, True), ("{ingress: [{action: Allow}]}", True, True), ("{egress: [{action: Deny}]}", True, False),
    ("{ingress: [{action: Deny}], egress: [{action: Deny}]}", False, False),
])
def test_types_not_said_follow_the_rules(spec, ingress, egress):
    made = world(policy("x", spec), PODS)
    assert made.ingress("other/web", "shop/db").allowed is ingress and made.egress("shop/db", "other/web").allowed is egress


@pytest.mark.parametrize(("source", "allowed"), [
    ("{selector: app == 'web'}", "shop/web"),
    ("{selector: app == 'web', namespaceSelector: all()}", "shop/web other/web"),
    ("{selector: app == 'web', namespaceSelector: team == 'blue'}", "other/web"),
    ("{namespaceSelector: global()}", "192.0.2.7"),
    ("{notSelector: app == 'web'}", ""),
    ("{notSelector: app == 'db'}", "shop/web"),
    ("{serviceAccounts: {names: [robot]}}", ""),
    ("{serviceAccounts: {names: [robot]}, namespaceSelector: all()}", "other/web"),
    ("{serviceAccounts: {selector: role == 'bot'}, namespaceSelector: all()}", "other/web"),
    ("{nets: [10.0.0.0/24], notNets: [10.0.0.1/32]}", "other/web"),
    ("{nets: [10.0.0.0/24], selector: all()}", "shop/web"),
])
def test_a_namespaced_policys_selectors_stay_in_its_namespace(source, allowed):
    account = "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: robot, namespace: other, labels: {role: bot}}\n"
    nets = policy("nets", "{nets: [192.0.2.0/24]}", "GlobalNetworkSet")
    made = world(OTHER + account + nets + policy(
        "x", f"{{selector: app == 'db', ingress: [{{action: Allow, source: {source}}}]}}", "NetworkPolicy", "shop"), PODS)
    senders = ("shop/web", "other/web", "192.0.2.7", "8.8.8.8")
    assert [one for one in senders if made.ingress(one, "shop/db").allowed] == allowed.split()


@pytest.mark.parametrize(("source", "allowed"), [
    ("{selector: all()}", "shop/web other/web 192.0.2.7"),
    ("{notSelector: app == 'web'}", "192.0.2.7 8.8.8.8"),
    ("{selector: all(), notSelector: app == 'web'}", "192.0.2.7"),
    ("{namespaceSelector: all()}", "shop/web other/web"),
    ("{selector: kind == 'lab'}", "192.0.2.7"),
    ("{selector: app == 'nobody'}", ""),
])
def test_a_global_policys_selectors_see_everything_known(source, allowed):
    nets = ("---\napiVersion: projectcalico.org/v3\nkind: GlobalNetworkSet\n"
            "metadata: {name: nets, labels: {kind: lab}}\nspec: {nets: [192.0.2.0/24]}\n")
    made = world(nets + policy("x", f"{{selector: app == 'db', ingress: [{{action: Allow, source: {source}}}]}}"), PODS)
    senders = ("shop/web", "other/web", "192.0.2.7", "8.8.8.8")
    assert [one for one in senders if made.ingress(one, "shop/db").allowed] == allowed.split()


def test_a_network_set_in_a_namespace_belongs_to_it():
    nets = ("---\napiVersion: projectcalico.org/v3\nkind: NetworkSet\n"
            "metadata: {name: nets, namespace: NAMESPACE, labels: {kind: lab}}\nspec: {nets: [192.0.2.0/24]}\n")
    rules = policy("x", "{ingress: [{action: Allow, source: {selector: kind == 'lab'}}]}", "NetworkPolicy", "shop")
    assert world(nets.replace("NAMESPACE", "shop") + rules, PODS).ingress("192.0.2.7", "shop/db").allowed
    assert not world(nets.replace("NAMESPACE", "other") + rules, PODS).ingress("192.0.2.7", "shop/db").allowed


@pytest.mark.parametrize(("rule", "allowed"), [
    ("{protocol: TCP}", "tcp:80 tcp:443"), ("{protocol: 6}", "tcp:80 tcp:443"), ("{notProtocol: TCP}", "udp:80 icmp:0"),
    ("{protocol: TCP, destination: {ports: ['80:100']}}", "tcp:80"),
    ("{protocol: TCP, destination: {notPorts: [80]}}", "tcp:443"),
    ("{protocol: TCP, source: {ports: [40000]}}", "tcp:80 tcp:443"), ("{protocol: TCP, source: {notPorts: [40000]}}", ""),
    ("{protocol: ICMP, icmp: {type: 8}}", "icmp:0"), ("{protocol: ICMP, icmp: {type: 8, code: 1}}", ""),
    ("{protocol: ICMP, notICMP: {type: 8}}", ""), ("{protocol: ICMP, notICMP: {type: 3, code: 4}}", "icmp:0"),
    ("{ipVersion: 6}", ""), ("{ipVersion: 4, protocol: UDP}", "udp:80"),
])
def test_rules_match_what_they_say(rule, allowed):
    made = world(policy("x", f"{{ingress: [{{action: Allow, {rule[1:]}]}}"), PODS)
    asked = {"tcp:80": ("tcp", 80), "tcp:443": ("tcp", 443), "udp:80": ("udp", 80), "icmp:0": ("icmp", 0)}
    found = [name for name, flow in asked.items() if made.ingress("other/web", "shop/db", *flow, icmp=(8, 0)).allowed]
    assert found == allowed.split()


def test_profiles_decide_in_order_and_no_match_drops():
    endpoint = """---
apiVersion: projectcalico.org/v3
kind: WorkloadEndpoint
metadata: {name: n-k8s-db-eth0, namespace: shop}
spec: {pod: db, interfaceName: eth0, profiles: [first, second]}
"""
    rules = policy("first", "{ingress: [{action: Deny, protocol: UDP}]}", "Profile") + policy(
        "second", "{ingress: [{action: Allow, protocol: UDP}, {action: Allow, protocol: TCP}]}", "Profile")
    made = world(endpoint + rules, PODS)
    assert [made.ingress("shop/web", "shop/db", name).allowed for name in ("udp", "tcp", "icmp")] == [False, True, False]
    assert not made.egress("shop/db", "shop/web").allowed and made.ingress("shop/db", "shop/web").allowed
    assert made.ingress("shop/web", "shop/db", "icmp").decided_by == 0


def test_a_profile_that_nobody_described_drops_and_is_told():
    made = world("""
apiVersion: projectcalico.org/v3
kind: WorkloadEndpoint
metadata: {name: n-k8s-db-eth0, namespace: shop}
spec: {pod: db, interfaceName: eth0, profiles: [lost]}
""", PODS)
    assert not made.ingress("shop/web", "shop/db").allowed and "Profile lost" in made.policing.warnings[0]


def test_labels_that_profiles_apply_can_be_selected():
    made = world("""
apiVersion: projectcalico.org/v3
kind: WorkloadEndpoint
metadata: {name: n-k8s-web-eth0, namespace: shop}
spec: {pod: web, interfaceName: eth0, profiles: [marked]}
---
apiVersion: projectcalico.org/v3
kind: Profile
metadata: {name: marked}
spec: {labelsToApply: {mark: red}, egress: [{action: Allow}]}
""" + policy("x", "{selector: app == 'db', ingress: [{action: Allow, source: {selector: mark == 'red'}}]}"), PODS)
    assert made.ingress("shop/web", "shop/db").allowed and not made.ingress("other/web", "shop/db").allowed


@pytest.mark.parametrize("listed", ["red, blue", "blue, red"])
def test_of_two_profiles_that_apply_one_label_the_first_listed_counts(listed):
    marks = "".join(policy(name, f"{{labelsToApply: {{mark: {name}}}, egress: [{{action: Allow}}]}}", "Profile")
                    for name in ("red", "blue"))
    pod_of = f"""---
apiVersion: projectcalico.org/v3
kind: WorkloadEndpoint
metadata: {{name: n-k8s-web-eth0, namespace: shop}}
spec: {{pod: web, interfaceName: eth0, profiles: [{listed}]}}
"""
    host = f"""---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {{name: edge}}
spec: {{node: n1, expectedIPs: [192.0.2.1], profiles: [{listed}]}}
"""
    rules = policy("x", "{selector: app == 'db', ingress: [{action: Allow, source: {selector: mark == 'red'}}]}")
    made = world(pod_of + host + marks + rules, PODS)
    assert [made.ingress(one, "shop/db").allowed for one in ("shop/web", "192.0.2.1")] == [listed.startswith("red")] * 2


def staged(name, spec, kind="StagedGlobalNetworkPolicy"):
    return policy(name, spec, kind)


def test_a_staged_policy_changes_no_verdict_but_tells_its_own():
    made = world(staged("x", "{ingress: [{action: Deny}]}"), PODS)
    assert made.ingress("other/web", "shop/db").allowed and not made.ingress("other/web", "shop/db", staged=True).allowed


def test_a_staged_policy_stands_in_the_place_of_the_one_that_it_replaces():
    enforced = policy("x", "{ingress: [{action: Deny}]}")
    replaced = world(enforced + staged("x", "{ingress: [{action: Allow}]}"), PODS)
    assert not replaced.ingress("other/web", "shop/db").allowed and replaced.ingress("other/web", "shop/db", staged=True).allowed
    removed = world(enforced + staged("x", "{stagedAction: Delete}"), PODS)
    assert removed.ingress("other/web", "shop/db", staged=True).allowed
    ignored = world(enforced + staged("x", "{stagedAction: Ignore, ingress: [{action: Allow}]}"), PODS)
    assert not ignored.ingress("other/web", "shop/db", staged=True).allowed


def test_a_staged_kubernetes_policy_replaces_a_kubernetes_policy():
    made = world("""
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: np, namespace: shop}
spec: {podSelector: {}}
---
apiVersion: projectcalico.org/v3
kind: StagedKubernetesNetworkPolicy
metadata: {name: np, namespace: shop}
spec: {podSelector: {}, ingress: [{}]}
""", PODS)
    assert not made.ingress("other/web", "shop/db").allowed and made.ingress("other/web", "shop/db", staged=True).allowed


def test_policies_of_host_endpoints_alone_say_nothing_of_pods():
    denies = "applyOnForward: true, ingress: [{action: Deny}]"
    made = world(policy("x", f"{{doNotTrack: true, {denies}}}") + policy("y", f"{{preDNAT: true, {denies}}}"), PODS)
    assert made.allows("other/web", "shop/db")


def test_a_host_endpoints_addresses_can_be_selected_and_have_ports():
    host = """---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: edge, labels: {role: edge}}
spec: {node: n1, expectedIPs: [192.0.2.1], ports: [{name: api, protocol: TCP, port: 6443}]}
"""
    rules = "[{action: Deny, destination: {selector: role == 'edge'}}, {action: Allow}]"
    chosen = world(host + policy("x", f"{{egress: {rules}}}"), PODS)
    assert not chosen.egress("shop/web", "192.0.2.1").allowed and chosen.egress("shop/web", "192.0.2.2").allowed
    by_port = world(host + policy("x", "{egress: [{action: Allow, protocol: TCP, destination: {ports: [api]}}]}"), PODS)
    assert by_port.egress("shop/web", "192.0.2.1", "tcp", 6443).allowed
    assert not by_port.egress("shop/web", "192.0.2.2", "tcp", 6443).allowed


def test_pods_and_nodes_that_nobody_knows_are_told():
    made = world("""
apiVersion: projectcalico.org/v3
kind: WorkloadEndpoint
metadata: {name: w, namespace: shop}
spec: {pod: ghost, interfaceName: eth0, profiles: [kns.shop]}
---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: edge}
spec: {node: nowhere, interfaceName: eth0}
""", PODS)
    assert [warning.partition(",")[0] for warning in made.policing.warnings] == [
        "A WorkloadEndpoint gives profiles to shop/ghost", "HostEndpoint edge is on nowhere"]


def test_what_is_left_aside_is_told():
    _, warnings = read(policy("x", "{ingress: [{action: Allow, http: {methods: [GET]}}]}"))
    assert any("http" in warning for warning in warnings)


def test_a_service_is_its_backends_as_a_source_and_their_ports_as_a_destination():
    services = {("shop", "db"): [(0x0A000002, 6, 5432), (0x0A000002, 17, 53)]}
    out = policy("x", "{egress: [{action: Allow, destination: {services: {name: db, namespace: shop}}}]}")
    made = world(out, PODS, services=services)
    asked = [("tcp", 5432), ("udp", 53), ("tcp", 53), ("icmp", 0)]
    assert [made.egress("shop/web", "shop/db", *one).allowed for one in asked] == [True, True, False, False]
    inward = policy("x", "{ingress: [{action: Allow, source: {services: {name: db}}}]}", "NetworkPolicy", "shop")
    assert world(inward, PODS, services=services).ingress("shop/db", "shop/web", "tcp", 1).allowed
    unknown = world(out, PODS)
    assert not unknown.egress("shop/web", "shop/db", "tcp", 5432).allowed
    assert "shop/db is not known" in unknown.policing.warnings[0]


def test_a_staged_calico_policy_leaves_a_kubernetes_policy_of_its_name_alone():
    made = world("""
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: np, namespace: shop}
spec: {podSelector: {}}
""" + policy("np", "{stagedAction: Delete}", "StagedNetworkPolicy", "shop"), PODS)
    assert not made.ingress("other/web", "shop/db", staged=True).allowed


@pytest.mark.parametrize(("selector", "policed"), [
    ("serviceAccountSelector: all()", "shop/web shop/db other/web"), ("serviceAccountSelector: role == 'bot'", "other/web"),
    ("namespaceSelector: all()", "shop/web shop/db other/web"), ("namespaceSelector: team == 'blue'", "other/web"),
    ("selector: app == 'web', namespaceSelector: team != 'blue'", "shop/web"),
])
def test_a_policy_applies_to_whom_its_selectors_choose_together(selector, policed):
    account = "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: robot, namespace: other, labels: {role: bot}}\n"
    made = world(OTHER + account + policy("x", f"{{{selector}, ingress: []}}"), PODS)
    assert [one.id for one in PODS if not made.ingress("8.8.8.8", one.id).allowed] == policed.split()


def test_udplite_is_a_protocol_of_its_own():
    made = world(policy("lite", "{selector: app == 'db', ingress: [{action: Allow, protocol: UDPLite}]}"), PODS)
    assert made.ingress("other/web", "shop/db", 136).allowed and not made.ingress("other/web", "shop/db", "udp").allowed
