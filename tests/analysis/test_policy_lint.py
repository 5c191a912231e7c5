"""Each check of `calisim policy --lint` has a case that makes it speak and one, as near as can be, that leaves it silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from calisim.analysis.policy_lint import findings
from tests.analysis.worlds import SHOP, admin, calico, kubernetes, pod, small

SERVICE = """---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: 10.96.0.7, selector: {app: db}, ports: [{port: 5432}]}
"""
DENY_OUT = "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [%s]}"
TO_DB = "{to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 5432}]}"


def ingress(rule: str, name: str = "p") -> str:
    return kubernetes(name, f"{{podSelector: {{matchLabels: {{app: db}}}}, ingress: [{rule}]}}")


def ranked(name: str, action: str, order: int) -> str:
    return calico(name, f"{{order: {order}, selector: app == 'db', types: [Ingress], ingress: [{{action: {action}}}]}}")


# code: (documents that make it speak, documents that do not)
CASES = {
    "SELECTS_NOTHING": (
        kubernetes("p", "{podSelector: {matchLabels: {app: wbe}}}"), kubernetes("p", "{podSelector: {matchLabels: {app: web}}}")),
    "RULE_SELECTS_NOTHING": (
        ingress("{from: [{podSelector: {matchLabels: {app: job}}}]}"),
        ingress("{from: [{podSelector: {matchLabels: {app: web}}}]}")),
    "NAMES_SERVICE": (
        SERVICE + kubernetes("p", DENY_OUT % "{to: [{ipBlock: {cidr: 10.96.0.0/12}}]}, {ports: [{port: 53, protocol: UDP}]}"),
        SERVICE + kubernetes("p", DENY_OUT % "{to: [{ipBlock: {cidr: 10.112.0.0/12}}]}, {ports: [{port: 53, protocol: UDP}]}")),
    "SHADOWED": (
        calico("p", "{selector: app == 'db', types: [Ingress], ingress: [{action: Deny, protocol: TCP}, "
               "{action: Allow, protocol: TCP, destination: {ports: [5432]}}, {action: Allow}]}"),
        calico("p", "{selector: app == 'db', types: [Ingress], ingress: [{action: Allow, protocol: TCP, "
               "destination: {ports: [5432]}}, {action: Deny, protocol: TCP}, {action: Allow}]}")),
    "LOG_ONLY": (
        calico("p", "{types: [Ingress], ingress: [{action: Log}]}"),
        calico("p", "{types: [Ingress], ingress: [{action: Log}, {action: Allow}]}")),
    "EQUAL_ORDER": (ranked("a", "Deny", 10) + ranked("b", "Allow", 10), ranked("a", "Deny", 10) + ranked("b", "Allow", 20)),
    "NO_SUCH_PORT": (ingress("{ports: [{port: postgres}]}"), ingress("{ports: [{port: pg}]}")),
    "NO_DNS": (kubernetes("p", DENY_OUT % TO_DB), kubernetes("p", DENY_OUT % (TO_DB + ", {ports: [{port: 53, protocol: UDP}]}"))),
    "NET_COVERS_PODS": (
        ingress("{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}"),
        ingress("{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/16]}}]}")),
    "NODES_BY_ADDRESS": (
        ingress("{from: [{ipBlock: {cidr: 172.20.0.0/16}}]}"),
        ingress("{from: [{ipBlock: {cidr: 172.20.0.0/16}}, {ipBlock: {cidr: 10.0.0.0/8}}]}")),
    "OTHER_SIDE_DENIES": (
        kubernetes("db", "{podSelector: {matchLabels: {app: db}}}")
        + kubernetes("p", DENY_OUT % (TO_DB + ", {ports: [{port: 53, protocol: UDP}]}")),
        kubernetes("p", DENY_OUT % (TO_DB + ", {ports: [{port: 53, protocol: UDP}]}"))),
    "PASS_IN_LAST_TIER": (
        calico("p", "{types: [Ingress], ingress: [{action: Pass}]}"),
        admin("p", 5, "ingress: [{action: Pass, from: [{namespaces: {}}]}]")),
    "IMPLIED_INGRESS": (
        kubernetes("p", "{podSelector: {matchLabels: {app: web}}, egress: [{}]}"),
        kubernetes("p", "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{}]}")),
}


@pytest.mark.parametrize("code", CASES)
def test_it_speaks_with_place_and_cure(tmp_path: Path, code: str) -> None:
    found = [one for one in findings(small(tmp_path, CASES[code][0])) if one.code == code]
    assert found
    for one in found:
        assert one.mark.line > 1 and one.mark.file.endswith("small.yaml")
        assert one.message and one.cure


@pytest.mark.parametrize("code", CASES)
def test_it_is_silent_where_nothing_is_wrong(tmp_path: Path, code: str) -> None:
    assert code not in {one.code for one in findings(small(tmp_path, CASES[code][1]))}


SILENT = {
    "NAMES_SERVICE": SERVICE + kubernetes("p", DENY_OUT % "{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}"),     # pods are in it, too
    "LOG_ONLY": calico("t", "{order: 5, defaultAction: Pass}", "Tier")
    + calico("t.p", "{tier: t, types: [Ingress], ingress: [{action: Log}]}"),                           # goes on to the next tier
    "EQUAL_ORDER": ranked("a", "Deny", 10) + ranked("b", "Allow", 10).replace("'db'", "'web'"),         # about other pods
}


@pytest.mark.parametrize("code", SILENT)
def test_it_is_silent_where_what_looks_alike_means_something_else(tmp_path: Path, code: str) -> None:
    assert code not in {one.code for one in findings(small(tmp_path, SILENT[code]))}


def test_equal_priorities_of_admin_policies_are_told_as_undefined(tmp_path: Path) -> None:
    rules = "ingress: [{action: %s, from: [{namespaces: {}}]}]"
    (found,) = [one for one in findings(small(tmp_path, admin("a", 5, rules % "Deny") + admin("b", 5, rules % "Allow")))
                if one.code == "EQUAL_ORDER"]
    assert "priority" in found.message and "leaves open" in found.message


def test_a_shadowed_rule_is_told_with_who_takes_its_place(tmp_path: Path) -> None:
    (found,) = [one for one in findings(small(tmp_path, CASES["SHADOWED"][0])) if one.code == "SHADOWED"]
    assert "ingress[1] never decides" in found.message and "ingress[0]" in found.message


def test_a_rule_of_several_peers_is_one_rule(tmp_path: Path) -> None:
    """One peer lies inside the other, but the rule as written does decide."""
    rule = "{from: [{podSelector: {}}, {podSelector: {matchLabels: {app: web}}}]}"
    assert not [one for one in findings(small(tmp_path, ingress(rule))) if one.code == "SHADOWED"]


def test_who_may_send_nothing_at_all_is_not_told_about_names(tmp_path: Path) -> None:
    network = small(tmp_path, kubernetes("p", "{podSelector: {}, policyTypes: [Egress]}"))
    assert "NO_DNS" not in {one.code for one in findings(network)}


def test_a_sound_shop_has_nothing_to_be_told(tmp_path: Path) -> None:
    assert findings(small(tmp_path, ingress("{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: pg}]}"))) == []
    assert findings(small(tmp_path, "", [*SHOP, pod("x/y")])) == []


def test_a_named_port_of_an_admin_policy_needs_one_protocol_only(tmp_path: Path) -> None:
    rules = "ingress: [{action: Allow, from: [{namespaces: {}}], ports: [{namedPort: %s}]}]"
    codes = [[one.code for one in findings(small(tmp_path, admin("p", 5, rules % name)))] for name in ("pg", "gp")]
    assert "NO_SUCH_PORT" not in codes[0] and codes[1].count("NO_SUCH_PORT") == 1


def test_what_a_lonely_pod_sends_to_itself_is_no_refusal_by_the_other_end(tmp_path: Path) -> None:
    closed = kubernetes("closed", "{podSelector: {matchLabels: {app: db}}, policyTypes: [Egress]}")
    own = ingress("{from: [{podSelector: {matchLabels: {app: db}}}]}")
    assert "OTHER_SIDE_DENIES" not in {one.code for one in findings(small(tmp_path, closed + own))}
    pair = [pod("shop/db", count=2)]
    assert "OTHER_SIDE_DENIES" in {one.code for one in findings(small(tmp_path, closed + own, pair))}
