"""Why policy allows or denies a packet: every rule that was asked, what it missed, and a cure that was tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from calisim.analysis.network import Network
from calisim.analysis.policy_cure import cure_of_side, edit_of
from calisim.analysis.policy_walk import Side, Walker
from calisim.analysis.telling import decision, side_lines
from calisim.datapath.reference.police import Flow
from calisim.quantities import parse_address
from calisim.vocabulary import PolicyAction
from tests.analysis.worlds import SHOP, admin, calico, kubernetes, pod, small

DB = kubernetes("db", "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], "
                "ports: [{port: pg}]}]}")


def flow(network: Network, src: str, dst: str, port: int = 5432, protocol: int = 6) -> Flow:
    ids = network.intent.endpoint_ids
    ends = [network.intent.endpoint(ids[end]).address if end in ids else parse_address(end) for end in (src, dst)]
    return Flow(ends[0], ends[1], protocol, 40000, port, (8, 0) if protocol == 1 else (0, 0))


def side(network: Network, *what: object, way: str = "ingress") -> Side:
    found = Walker(network).side(flow(network, *what), way)  # type: ignore[arg-type]
    assert found is not None
    return found


def misses(found: Side) -> list[str]:
    return [miss for tier in found.tiers for policy in tier.policies for rule in policy.rules for miss in rule.misses]


def test_an_allowed_packet_names_rule_tier_file_and_line(tmp_path: Path) -> None:
    found = side(small(tmp_path, DB), "shop/web", "shop/db")
    assert found.allowed and found.decided_by is not None and found.policy is not None
    assert (found.decided_by.name, found.policy.name) == ("NetworkPolicy shop/db ingress[0]", "shop/db")
    assert found.decided_by.mark.line and found.decided_by.mark.file.endswith("small.yaml")
    assert "tier default" in decision(found)


@pytest.mark.parametrize(("what", "said"), [
    (("shop/web", "shop/db", 80), "port: 80, the rule says pg (pg is 5432 on shop/db)"),
    (("shop/web", "shop/db", 5432, 17), "protocol: UDP, the rule says TCP pg"),
    (("other/web", "shop/db"), "source: other/web is in namespace other; without a namespaceSelector the rule means shop only"),
    (("shop/db", "shop/db"), "source: shop/db (app=db) is not pods app == 'web' of shop"),
    (("203.0.113.9", "shop/db"), "source: 203.0.113.9, outside the cluster, is not pods app == 'web' of shop"),
])
def test_a_denied_packet_says_what_of_it_no_rule_matched(tmp_path: Path, what: tuple[object, ...], said: str) -> None:
    found = side(small(tmp_path, DB), *what)
    assert not found.allowed
    assert misses(found) == [said]
    assert said in "\n".join(side_lines(found))


def test_a_denial_lists_every_policy_that_isolates_and_none_that_does_not(tmp_path: Path) -> None:
    others = kubernetes("deny", "{podSelector: {}}") + kubernetes("web", "{podSelector: {matchLabels: {app: web}}}")
    found = side(small(tmp_path, DB + others), "other/web", "shop/db")
    assert [one.name for one in found.isolated_by] == ["shop/db", "shop/deny"]
    assert "NetworkPolicy shop/deny" in "\n".join(side_lines(found)) and "has no ingress rules" in "\n".join(side_lines(found))


def test_a_pass_leads_through_to_the_tier_that_decides(tmp_path: Path) -> None:
    passing = admin("a", 5, "ingress: [{action: Pass, from: [{namespaces: {}}]}]")
    found = side(small(tmp_path, DB + passing), "shop/web", "shop/db")
    assert [(tier.object.name, tier.action.name, tier.by_default) for tier in found.tiers] == [
        ("adminnetworkpolicy", "PASS", False), ("default", "ALLOW", False)]


def test_a_log_rule_is_told_and_the_next_one_decides(tmp_path: Path) -> None:
    logged = calico("p", "{types: [Ingress], ingress: [{action: Log}, {action: Allow}, {action: Deny}]}")
    found = side(small(tmp_path, logged), "shop/web", "shop/db")
    ((asked,),) = (tier.policies for tier in found.tiers)
    assert ([rule.action.name for rule in asked.rules], asked.action) == (["LOG", "ALLOW"], PolicyAction.ALLOW)
    assert not found.tiers[0].by_default and found.policy == asked.object


def test_what_nobody_isolates_is_allowed_by_its_profile_and_what_is_no_pod_has_no_side(tmp_path: Path) -> None:
    network = small(tmp_path, DB)
    found = side(network, "shop/web", "other/web")
    assert found.allowed and found.tier is None and decision(found).startswith("profile kns.*")
    assert Walker(network).side(flow(network, "shop/web", "203.0.113.9"), "ingress") is None


DENIED = {
    "isolated by NetworkPolicy": (DB, ("other/web", "shop/db"), "kubectl"),
    "from outside": (DB, ("203.0.113.9", "shop/db"), "kubectl"),
    "ICMP of an isolated pod": (DB, ("shop/web", "shop/db", 2048, 1), "calicoctl"),
    "the end of a tier of one's own": (
        calico("mine", "{order: 10}", "Tier") + calico("mine.x", "{tier: mine, selector: app == 'db', types: [Ingress]}"),
        ("shop/web", "shop/db"), "calicoctl"),
    "a Calico rule": (
        calico("deny", "{order: 5, types: [Ingress], ingress: [{action: Deny}]}"), ("shop/web", "shop/db"), "calicoctl"),
    "a Calico rule without order": (
        calico("deny", "{types: [Ingress], ingress: [{action: Deny}]}"), ("shop/web", "shop/db"), "calicoctl"),
    "an AdminNetworkPolicy": (
        admin("deny", 7, "ingress: [{action: Deny, from: [{namespaces: {}}]}]"), ("shop/web", "shop/db"), "kubectl"),
}


@pytest.mark.parametrize("name", DENIED)
def test_the_cure_of_a_denial_was_tried_and_opens_just_that(tmp_path: Path, name: str) -> None:
    policies, what, tool = DENIED[name]
    network = small(tmp_path, policies)
    found = side(network, *what)
    assert not found.allowed
    cure = cure_of_side(Walker(network).book, found)
    assert cure.tool == tool and cure.document
    cured = network.altered(edit_of(cure, network.topology))
    assert side(cured, *what).allowed
    assert not side(cured, *what[:2], 9999, 17).allowed


def test_egress_is_cured_at_the_sender(tmp_path: Path) -> None:
    network = small(tmp_path, kubernetes("deny", "{podSelector: {}, policyTypes: [Egress]}"))
    found = side(network, "shop/web", "other/web", way="egress")
    cure = cure_of_side(Walker(network).book, found)
    assert side(network.altered(edit_of(cure, network.topology)), "shop/web", "other/web", way="egress").allowed


def test_labels_that_die_with_a_revision_are_not_asked_for(tmp_path: Path) -> None:
    pods = [*SHOP[1:], pod("shop/web", labels={"app": "web", "pod-template-hash": "abc"})]
    network = small(tmp_path, kubernetes("db", "{podSelector: {matchLabels: {app: db}}}"), pods)
    cure = cure_of_side(Walker(network).book, side(network, "shop/web", "shop/db"))
    assert "app: web" in cure.document and "pod-template-hash" not in cure.document


def test_where_no_document_helps_there_is_advice_with_a_place(tmp_path: Path) -> None:
    baseline = admin("default", 0, "ingress: [{action: Deny, from: [{namespaces: {}}]}]", "BaselineAdminNetworkPolicy")
    network = small(tmp_path, baseline)
    cure = cure_of_side(Walker(network).book, side(network, "shop/web", "shop/db"))
    assert not cure.document and "small.yaml" in cure.advice and "before" in cure.advice
