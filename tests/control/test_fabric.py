"""The network between the nodes: tables and quotas, groups, NACLs, providers."""

from __future__ import annotations

import pytest

from calisim.errors import ScenarioError
from calisim.quantities import format_address
from calisim.vocabulary import TargetKind
from tests.clusters import FOUR_NODES, TWO_SUBNETS, intent, pool

TABLE = """\
      routeTables:
        main:
          routes:
            - {to: 10.1.0.0/24, via: node/a-1}
            - {to: 10.2.0.0/24, via: node/b-2}
            - {to: 10.2.0.0/25, via: node/b-1}
            - {to: 10.3.0.0/24, via: nat/out}
            - {to: 10.4.0.0/24, via: blackhole}
"""


def with_table(limit: int | None = None, table: str = TABLE) -> str:
    text = FOUR_NODES.replace("      subnets:\n", table + "      subnets:\n", 1)
    return (f"  limits: {{routesPerTable: {limit}}}\n" if limit else "") + text


def entries(made):
    return {str(route.prefix): (route.target, route.router or route.place) for route in made.fabric.tables[0]}


def test_local_first_then_the_default_then_what_was_written():
    made = intent(with_table(), pool())
    assert list(entries(made).items()) == [
        ("172.20.0.0/16", (TargetKind.LOCAL, 0)), ("0.0.0.0/0", (TargetKind.INTERNET, 6)), ("10.1.0.0/24", (TargetKind.NODE, 1)),
        ("10.2.0.0/24", (TargetKind.NODE, 4)), ("10.2.0.0/25", (TargetKind.NODE, 3)), ("10.3.0.0/24", (TargetKind.NAT, 0)),
        ("10.4.0.0/24", (TargetKind.BLACKHOLE, 0))]
    assert made.places[5] == "igw/prod" and not made.failures
    decider = made.object(made.fabric.tables[0][2].decided_by)
    assert decider.kind == "Route" and "10.1.0.0/24" in decider.name and decider.mark.line > 5


@pytest.mark.parametrize("quota,lost", [
    (7, []), (6, ["10.4.0.0/24"]), (5, ["10.3.0.0/24", "10.4.0.0/24"]), (4, ["10.3.0.0/24", "10.4.0.0/24"]),
    (3, ["10.2.0.0/24", "10.2.0.0/25", "10.3.0.0/24", "10.4.0.0/24"]), (1, None)])
def test_the_quota_counts_local_and_default_and_a_covered_route_is_only_missing(quota, lost):
    made = intent(with_table(quota), pool())
    table = entries(made)
    if lost is None:
        lost = ["0.0.0.0/0", "10.1.0.0/24", "10.2.0.0/24", "10.2.0.0/25", "10.3.0.0/24", "10.4.0.0/24"]
    assert [prefix for prefix, (target, _) in table.items() if target is TargetKind.QUOTA] == lost
    assert bool(made.failures) is (quota < 7)
    if quota == 4:                     # 10.2.0.0/25 was not created either, but 10.2.0.0/24 takes its traffic
        assert "10.2.0.0/25" not in table and "3 routes not created (10.2.0.0/25 … 10.4.0.0/24)" in made.failures[0]
    if quota < 7:
        assert "routesPerTable" in made.failures[0]


def test_no_default_without_a_gateway_or_where_the_table_says_so():
    assert "0.0.0.0/0" not in entries(intent(with_table().replace("internetGateway: true", "internetGateway: false"), pool()))
    private = TABLE.replace("        main:\n", "        main:\n          internet: false\n")
    assert "0.0.0.0/0" not in entries(intent(with_table(table=private), pool()))


@pytest.mark.parametrize("provider,ttl,pods", [("linux", True, False), ("plain", False, True)])
def test_other_providers_have_an_outside_and_no_filters(provider, ttl, pods):
    made = intent(f"  provider: {provider}\n" + FOUR_NODES, pool())
    assert entries(made)["0.0.0.0/0"][0] is TargetKind.OUTSIDE
    assert (made.fabric.decrements_ttl, made.fabric.routes_pods) == (ttl, pods)
    assert made.fabric.groups == () and made.router(1).groups == ()
    assert any("internet" in text for text in made.warnings) is False


GROUPS = """\
      securityGroups:
        web: {ingress: [{protocol: tcp, port: 80, from: 0.0.0.0/0}, {protocol: 4, from: nodes}]}
        nodes: {ingress: [{from: nodes}], egress: [{protocol: udp, port: 1000-2000, to: 10.0.0.0/8}]}
      networkAcls:
        edge:
          ingress: [{rule: 200, action: allow}, {rule: 100, action: deny, protocol: ipip, cidr: 172.20.64.0/19}]
          egress: [{rule: 100, action: allow, protocol: tcp, port: 443}]
"""


def test_groups_and_acls_are_resolved_to_numbers_in_their_order():
    text = FOUR_NODES.replace("      subnets:\n", GROUPS + "      subnets:\n", 1)
    text = text.replace("cidr: 172.20.32.0/19", "cidr: 172.20.32.0/19, networkAcl: edge")
    text = text.replace("count: 2, subnet: a", "count: 2, securityGroups: [nodes, web], subnet: a")
    made = intent(text, pool())
    web, nodes, default = made.fabric.groups
    assert [(rule.protocol, rule.low, rule.high, rule.group) for rule in web.ingress] == [(6, 80, 80, 0), (4, 0, 65535, 2)]
    assert [(rule.protocol, rule.low, rule.high, str(rule.prefix)) for rule in nodes.egress] == [(17, 1000, 2000, "10.0.0.0/8")]
    assert [str(rule.prefix) for rule in web.egress] == ["0.0.0.0/0"]
    assert default.ingress[0].group == 3
    assert made.router(1).groups == (2, 1) and made.router(3).groups == (3,)
    first, second = made.fabric.subnets
    assert [(rule.allow, rule.protocol) for rule in first.acl_in] == [(False, 4), (True, None)]
    assert [(rule.protocol, rule.low) for rule in first.acl_out] == [(6, 443)] and second.acl_in is None
    assert made.object(first.acl_in[0].decided_by).kind == "NetworkAclRule"
    assert (first.place, second.vpc, format_address(second.gateway)) == (5, 1, "172.20.64.1")


def test_more_groups_than_a_set_holds_are_refused():
    groups = "      securityGroups:\n" + "".join(f"        g{number}: {{}}\n" for number in range(65))
    with pytest.raises(ScenarioError, match="the most is 64"):
        intent(FOUR_NODES.replace("      subnets:\n", groups + "      subnets:\n", 1), pool())


def test_two_vpcs_have_their_own_tables_places_and_default_groups():
    other = """\
    lab:
      cidrs: [10.50.0.0/16]
      subnets:
        a: {zone: z, cidr: 10.50.0.0/24}
"""
    text = TWO_SUBNETS + other + "  nodes:\n    - {name: p, subnet: prod/a}\n    - {name: l, subnet: lab/a}\n"
    made = intent(text, pool())
    assert made.places == ("p", "l", "vpc/prod", "igw/prod", "vpc/lab", "igw/lab")
    assert [subnet.name for subnet in made.fabric.subnets] == ["prod/a", "b", "lab/a"]
    assert [subnet.place for subnet in made.fabric.subnets] == [3, 3, 5]
    assert [len(table) for table in made.fabric.tables] == [2, 1]
    assert made.router(1).groups != made.router(2).groups


def test_limits_override_the_profile():
    made = intent("  limits: {mtu: 1500, internetMtu: 1400, blockedProtocols: [4]}\n" + FOUR_NODES, pool())
    assert (made.fabric.mtu, made.fabric.internet_mtu, made.fabric.blocked_protocols) == (1500, 1400, frozenset({4}))


def test_a_host_in_a_subnet_owns_its_address_there():
    made = intent(FOUR_NODES + "  hosts:\n    - {name: box, ip: 172.20.32.200}\n    - {name: api, ip: 203.0.113.10}\n", pool())
    assert {format_address(owned): number for owned, number in made.fabric.owners.items() if number > 4} == {"172.20.32.200": 5}
