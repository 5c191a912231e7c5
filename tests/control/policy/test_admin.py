"""AdminNetworkPolicy, BaselineAdminNetworkPolicy and ClusterNetworkPolicy around NetworkPolicy."""

from __future__ import annotations

from tests.policies import node, pod, read, world

PODS = [pod("blue/a", app="a"), pod("red/b", app="b", ports=[("web", "UDP", 53)])]
SUBJECT = "{namespaces: {matchLabels: {kubernetes.io/metadata.name: red}}}"
NETWORK_POLICY = """---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: np, namespace: red}
spec: {podSelector: {}, ingress: [{ports: [{port: 80}]}]}
"""


def admin(name, priority, *rules, direction="ingress", subject=SUBJECT):
    return f"""---
apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {{name: {name}}}
spec: {{priority: {priority}, subject: {subject}, {direction}: [{', '.join(rules)}]}}
"""


def cluster_policy(name, tier, *rules, direction="ingress"):
    return f"""---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {{name: {name}}}
spec: {{tier: {tier}, priority: 5, subject: {SUBJECT}, {direction}: [{', '.join(rules)}]}}
"""


def baseline(*rules):
    return f"""---
apiVersion: policy.networking.k8s.io/v1alpha1
kind: BaselineAdminNetworkPolicy
metadata: {{name: default}}
spec: {{subject: {SUBJECT}, ingress: [{', '.join(rules)}]}}
"""


def rule(action, peer="from: [{namespaces: {}}]", more=""):
    return f"{{action: {action}, {peer}{', ' + more if more else ''}}}"


def test_the_lowest_priority_number_is_asked_first():
    made = world(admin("later", 9, rule("Deny")) + admin("first", 1, rule("Allow")), PODS)
    assert made.ingress("blue/a", "red/b").allowed
    assert "AdminNetworkPolicy first ingress[0]" in made.said(made.ingress("blue/a", "red/b"))


def test_admin_deny_beats_what_a_network_policy_allows_and_pass_leaves_it_the_word():
    assert not world(NETWORK_POLICY + admin("deny", 1, rule("Deny")), PODS).ingress("blue/a", "red/b").allowed
    passed = world(NETWORK_POLICY + admin("pass", 1, rule("Pass")) + admin("deny", 2, rule("Deny")), PODS)
    assert passed.ingress("blue/a", "red/b").allowed and not passed.ingress("blue/a", "red/b", "tcp", 81).allowed


def test_the_baseline_speaks_only_where_no_network_policy_does():
    assert not world(baseline(rule("Deny")), PODS).ingress("blue/a", "red/b").allowed
    assert world(baseline(rule("Deny")) + NETWORK_POLICY, PODS).ingress("blue/a", "red/b").allowed
    nobody = rule("Deny", "from: [{namespaces: {matchLabels: {none: such}}}]")
    assert world(baseline(nobody), PODS).ingress("blue/a", "red/b").allowed


def test_cluster_network_policy_has_both_tiers():
    base = cluster_policy("base", "Baseline", rule("Deny"))
    made = world(NETWORK_POLICY + cluster_policy("admin", "Admin", rule("Accept")) + base, PODS)
    assert made.ingress("blue/a", "red/b", "tcp", 81).allowed
    assert not world(base, PODS).ingress("blue/a", "red/b").allowed


def test_each_direction_stands_alone():
    made = world(admin("allow", 1, rule("Allow", "to: [{namespaces: {}}]"), direction="egress") + NETWORK_POLICY, PODS)
    assert made.egress("red/b", "blue/a").allowed and not made.ingress("blue/a", "red/b", "tcp", 81).allowed


def test_a_port_without_protocol_is_tcp_and_a_named_one_brings_its_protocol():
    by_number = world(admin("x", 1, rule("Deny", more="ports: [{portNumber: {port: 53}}]")), PODS)
    assert not by_number.ingress("blue/a", "red/b", "tcp", 53).allowed and by_number.ingress("blue/a", "red/b", "udp", 53).allowed
    by_name = world(admin("x", 1, rule("Deny", more="ports: [{namedPort: web}]")), PODS)
    assert by_name.ingress("blue/a", "red/b", "tcp", 53).allowed and not by_name.ingress("blue/a", "red/b", "udp", 53).allowed


def test_ranges_include_both_ends():
    made = world(admin("x", 1, rule("Deny", more="ports: [{portRange: {start: 80, end: 82, protocol: UDP}}]")), PODS)
    assert [port for port in range(79, 85) if not made.ingress("blue/a", "red/b", "udp", port).allowed] == [80, 81, 82]


def test_networks_cover_pods_too_and_ipv6_among_them_is_no_matter():
    made = world(admin("x", 1, rule("Deny", "to: [{networks: [0.0.0.0/0, '::/0']}]"), direction="egress"), PODS)
    assert not made.egress("red/b", "blue/a").allowed and not made.egress("red/b", "8.8.8.8").allowed


def test_nodes_peers_are_the_nodes_addresses_and_nobody_elses():
    rules = rule("Deny", "to: [{nodes: {matchLabels: {role: edge}}}]")
    made = world(admin("x", 1, rules, direction="egress"), PODS, nodes=[
        node("n1", "192.0.2.1", role="edge"), node("n2", "192.0.2.2")])
    assert not made.egress("red/b", "192.0.2.1").allowed and made.egress("red/b", "192.0.2.2").allowed
    assert made.egress("red/b", "blue/a").allowed


def test_nodes_are_chosen_by_no_other_selector():
    made = world(admin("x", 1, rule("Deny", "to: [{namespaces: {}}]"), direction="egress"), PODS, nodes=[node("n1", "192.0.2.1")])
    assert made.egress("red/b", "192.0.2.1").allowed


def test_what_calico_does_not_convert_is_told():
    _, warnings = read(cluster_policy("x", "Admin", rule("Deny", more="protocols: [{destinationNamedPort: web}]")))
    assert any("Calico itself does not convert" in warning for warning in warnings)
    _, warnings = read(cluster_policy("x", "Admin", rule("Deny", "to: [{domainNames: ['*.example']}]"), direction="egress"))
    assert any("egress[0]" in warning and "deny everything" in warning for warning in warnings)


def test_a_rule_that_cannot_be_converted_fails_closed():
    rules = (rule("Accept", "to: [{domainNames: [a.example]}]"), rule("Deny", "to: [{domainNames: [b.example]}]"))
    made = world(cluster_policy("x", "Admin", *rules, direction="egress"), PODS)
    assert not made.egress("red/b", "8.8.8.8").allowed
    assert made.said(made.egress("red/b", "8.8.8.8")).startswith("PolicyRule ClusterNetworkPolicy x egress[1]")


def test_equal_priorities_are_told_and_decided_by_name():
    text = admin("b", 5, rule("Allow")) + admin("a", 5, rule("Deny")) + admin("c", 6, rule("Allow"))
    assert any("AdminNetworkPolicy b, a: of equal priority 5" in warning for warning in read(text)[1])
    assert not world(text, PODS).ingress("blue/a", "red/b").allowed


def test_what_isolates_a_pod_hides_the_baseline_from_it():
    """No word of the NetworkPolicy is a denial, even where the baseline would allow."""
    made = world(baseline(rule("Allow")) + NETWORK_POLICY, PODS)
    assert not made.ingress("blue/a", "red/b", "tcp", 81).allowed
    assert world(baseline(rule("Allow")), PODS).ingress("blue/a", "red/b", "tcp", 81).allowed


def test_a_subject_of_pods_asks_for_the_namespace_too():
    pods = [pod("blue/a", app="b"), pod("red/b", app="b"), pod("red/c", app="c")]
    subject = ("{pods: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: red}}, "
               "podSelector: {matchLabels: {app: b}}}}")
    made = world(admin("x", 1, rule("Deny"), subject=subject), pods)
    denied = {one for one in ("blue/a", "red/b", "red/c") for other in ("blue/a", "red/c")
              if one != other and not made.ingress(other, one).allowed}
    assert denied == {"red/b"}


def test_each_of_the_networks_counts():
    peer = 'to: [{networks: ["192.0.2.0/25", "198.51.100.0/24"]}]'
    made = world(admin("x", 1, rule("Deny", peer), direction="egress"), PODS)
    assert not made.egress("red/b", "192.0.2.9").allowed and not made.egress("red/b", "198.51.100.9").allowed
    assert made.egress("red/b", "192.0.2.129").allowed


def test_a_range_without_protocol_is_tcp():
    made = world(admin("x", 1, rule("Deny", more="ports: [{portRange: {start: 80, end: 82}}]")), PODS)
    assert not made.ingress("blue/a", "red/b", "tcp", 81).allowed and made.ingress("blue/a", "red/b", "udp", 81).allowed
