"""What policy is made of: identities, sets and programs shared; order of writing and names of pods decide nothing."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calisim.control.policy.index import LabelIndex
from calisim.control.policy.order import ordered_policies, ordered_tiers
from calisim.scenario.resources import Policy, Tier
from calisim.selector import parse
from tests.policies import pod, world

RULES = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: np, namespace: shop}
spec: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: pg}]}]}
"""


def test_pods_that_no_selector_tells_apart_are_one_identity():
    pods = [
        pod(f"shop/web-{number}", app="web", hash=str(number), ports=[("metrics", "TCP", 9000 + number)]) for number in range(9)]
    made = world(RULES, [*pods, pod("shop/db", app="db", ports=[("pg", "TCP", 5432)])])
    assert len(made.policing.identities) == 2 and tuple(made.policing.endpoints) == (*(1,) * 9, 2)


def test_without_policies_all_pods_are_one_identity_and_one_program():
    policing = world("", [pod("a/x", app="x"), pod("b/y", app="y")]).policing
    assert len(policing.identities) == 1 and len(policing.programs) == 2


def test_a_port_that_a_rule_names_tells_pods_apart():
    made = world(RULES, [pod("shop/a", app="db", ports=[("pg", "TCP", 1)]), pod("shop/b", app="db", ports=[("pg", "TCP", 2)])])
    first, second = made.policing.identities
    assert (first.ingress, first.egress) == (second.ingress, second.egress) and first is not second


def test_sets_of_equal_content_and_programs_of_equal_chains_are_stored_once():
    twice = RULES + "---" + RULES.replace("name: np", "name: other").replace("app: web}}}", "app: web}, matchExpressions: []}}")
    policing = world(twice, [pod("shop/web", app="web"), pod("shop/db", app="db"), pod("shop/x", app="x")]).policing
    assert len(policing.sets) == 1 and len(policing.port_sets) == 1
    web, db, other = policing.identities
    assert (web.ingress, web.egress) == (other.ingress, other.egress) and db.ingress != web.ingress and db.egress == web.egress


def test_staged_programs_are_the_enforced_ones_where_nothing_is_staged():
    policing = world(RULES, [pod("shop/db", app="db")]).policing
    assert all(one.staged_ingress == one.ingress and one.staged_egress == one.egress for one in policing.identities)


def test_nobody_and_a_node_are_no_identity():
    made = world(RULES, [pod("shop/db", app="db")])
    assert made.policing.addresses.get(made.flow("8.8.8.8", "shop/db").src, 0) == 0
    assert made.egress("8.8.8.8", "shop/db").allowed


DOCUMENTS = [
    RULES,
    "apiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {name: sec}\nspec: {order: 5}\n",
    "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: sec.a}\n"
    "spec: {tier: sec, order: 1, ingress: [{action: Deny, protocol: UDP}, {action: Pass}]}\n",
    "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: sec.b}\n"
    "spec: {tier: sec, order: 1, ingress: [{action: Allow, protocol: UDP}, {action: Deny}]}\n",
]
PODS = [pod("shop/web", app="web"), pod("shop/db", app="db", ports=[("pg", "TCP", 5432)]), pod("else/web", app="web")]
FLOWS = [(one.id, other.id, protocol, port) for one in PODS for other in PODS
         for protocol, port in (("tcp", 5432), ("tcp", 80), ("udp", 5432))]


def verdicts(made, rename=lambda name: name):
    return [made.allows(rename(src), rename(dst), protocol, port) for src, dst, protocol, port in FLOWS]


@pytest.mark.parametrize("order", list(permutations(range(len(DOCUMENTS)))))
def test_the_order_of_documents_decides_nothing(order):
    made = world("---\n".join(DOCUMENTS[number] for number in order), PODS)
    assert verdicts(made) == verdicts(world("---\n".join(DOCUMENTS), PODS))


def test_the_names_of_pods_decide_nothing():
    renamed = [one._replace(name=f"x{number}") for number, one in enumerate(PODS)]
    names = dict(zip((one.id for one in PODS), (one.id for one in renamed), strict=True))
    text = "---\n".join(DOCUMENTS)
    assert verdicts(world(text, renamed), names.__getitem__) == verdicts(world(text, PODS))


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["x", "y", "xy"]))
TERMS = st.sampled_from([
    "a == 'x'", "a != 'x'", "has(b)", "!has(b)", "b in {'x','y'}", "b not in {'x'}", "c contains 'x'", "c starts with 'y'",
    "c ends with 'y'", "all()", "a == 'nobody'"])


@given(st.lists(LABELS, max_size=8), st.recursive(TERMS, lambda inner: st.builds(
    "{}({}) {} ({})".format, st.sampled_from(["", "!"]), inner, st.sampled_from(["&&", "||"]), inner), max_leaves=6))
def test_the_index_finds_whom_trying_everybody_finds(labelled, text):
    selector = parse(text)
    assert LabelIndex(labelled).select(selector) == {
        position for position, labels in enumerate(labelled) if selector.matches(labels)}


def test_no_order_is_last_and_ties_go_by_name():
    tiers = ordered_tiers([Tier("b"), Tier("a"), Tier("z", 1e9), Tier("c", 0.0)])
    assert [tier.name for tier in tiers] == ["c", "z", "a", "b"]
    policies = ordered_policies(
        [Policy("NetworkPolicy", "p", "b"), Policy("NetworkPolicy", "p", "a"), Policy("X", "z", order=-1.0)])
    assert [(one.name, one.namespace) for one in policies] == [("z", ""), ("p", "a"), ("p", "b")]


def test_ties_go_by_name_before_namespace_and_kind():
    found = ordered_policies([
        Policy("NetworkPolicy", "q", "a"), Policy("GlobalNetworkPolicy", "r"), Policy("NetworkPolicy", "p", "b")])
    assert [one.name for one in found] == ["p", "q", "r"]
    found = ordered_policies([Policy("NetworkPolicy", "p", "b"), Policy("GlobalNetworkPolicy", "q")])
    assert [one.name for one in found] == ["p", "q"]
