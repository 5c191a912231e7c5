"""Who may talk to whom, what applies to a pod, what changes between two policies, what staged ones would do, what decided."""

from __future__ import annotations

from pathlib import Path

import pytest

from calisim.analysis.network import Network
from calisim.analysis.policy_applies import applies, listed
from calisim.analysis.policy_diff import diff
from calisim.analysis.policy_hits import hits
from calisim.analysis.policy_matrix import connection_sets, truth_table
from calisim.analysis.policy_staged import staged
from calisim.errors import UsageError
from calisim.quantities import format_address
from calisim.scenario.load import load
from tests.analysis.worlds import calico, kubernetes, pod, small, written

PODS = [pod("shop/web", count=2), pod("shop/db", ports=[{"name": "pg", "port": 5432}]), pod("other/job")]
DB = kubernetes("db", "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], "
                "ports: [{port: pg}]}]}")
WEB = [{"name": "web", "from": "app == 'web'", "to": "app == 'db'", "port": 5432, "packets": 3},
       {"name": "job", "from": "app == 'job'", "to": "app == 'db'", "port": 5432}]


def test_a_truth_table_has_a_row_for_every_pod_of_a_small_cluster(tmp_path: Path) -> None:
    table = truth_table(small(tmp_path, DB, PODS), "tcp", 5432)
    assert table.level == "pods"
    assert [one.name for one in table.sources] == ["shop/web-0", "shop/web-1", "shop/db", "other/job", "outside"]
    column = [row[2] for row in table.combined]
    assert column == [True, True, None, False, False]
    assert all(cell for row in table.egress for cell in row if cell is not None)


def test_a_truth_table_of_many_pods_is_by_workload_and_exact_where_one_is_apart(tmp_path: Path) -> None:
    many = [pod("shop/web", count=40), *PODS[1:]]
    network = small(tmp_path, DB, many)
    table = truth_table(network, "tcp", 5432)
    assert table.level == "workloads" and [one.name for one in table.sources][:3] == ["shop/web-*", "shop/db", "other/job"]
    apart = network.intent.endpoint(network.endpoint_id("shop/web-7")).address
    text = format_address(apart)
    one = f"{{podSelector: {{matchLabels: {{app: db}}}}, ingress: [{{from: [{{ipBlock: {{cidr: {text}/32}}}}]}}]}}"
    policies = DB + kubernetes("one", one)
    sets = connection_sets(small(tmp_path, policies, many))
    said = {one.source: one.says for one in sets.rows if "shop/db" in one.destinations}
    assert said == {"shop/web-* [shop/web-0 …]": "TCP 5432", "shop/web-7": "everything"}


def test_connection_sets_are_what_both_ends_allow(tmp_path: Path) -> None:
    out = kubernetes(
        "out", "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{ports: [{port: 5432}, {port: 80}]}]}")
    sets = connection_sets(small(tmp_path, DB + out, PODS))
    found = {(one.source, whom): one.says for one in sets.rows for whom in one.destinations}
    assert found["shop/web-*", "shop/db"] == "TCP 5432"
    assert found["shop/web-*", "other/job"] == "TCP 80, 5432"
    assert ("other/job", "shop/db") not in found and sets.silent == 2


def test_a_matrix_can_be_asked_for_some_only(tmp_path: Path) -> None:
    network = small(tmp_path, DB, PODS)
    table = truth_table(network, "tcp", 5432, "other/job", "app == 'db'")
    assert ([one.name for one in table.sources], [one.name for one in table.destinations]) == (["other/job"], ["shop/db"])
    assert table.combined == [[False]]
    with pytest.raises(UsageError, match="selects nobody"):
        truth_table(network, "tcp", 5432, "app == 'nobody'")


def test_what_applies_to_a_pod_is_in_the_order_in_which_it_is_asked(tmp_path: Path) -> None:
    first = calico("first", "{order: 1, selector: app == 'db', types: [Ingress], ingress: [{action: Pass}]}")
    would = calico("would", "{order: 2, selector: app == 'db', types: [Ingress]}", "StagedGlobalNetworkPolicy")
    found = applies(small(tmp_path, DB + first + would, PODS), "db")
    ingress, egress = found.directions
    assert [(one.object.name, one.staged) for one in ingress.tiers[0].policies] == [
        ("first", False), ("would", True), ("shop/db", False)]
    assert ingress.isolated and not egress.isolated and egress.profiles
    assert ingress.tiers[0].policies[2].rules[0].says == "Allow TCP pg from pods app == 'web' of shop"
    assert found.alike == 1
    with pytest.raises(UsageError, match="is no pod"):
        applies(small(tmp_path, DB, PODS), "node/n-1")


def test_policies_are_listed_with_the_pods_that_they_are_about(tmp_path: Path) -> None:
    policies = DB + kubernetes("all", "{podSelector: {}}") + kubernetes("none", "{podSelector: {matchLabels: {app: x}}}")
    found = {one.name: one.pods for one in listed(small(tmp_path, policies, PODS))}
    assert found == {"shop/db": 1, "shop/all": 3, "shop/none": 0}


# --- differences ----------------------------------------------------------------------------------------------------


def changed(tmp_path: Path, old: str, new: str) -> dict[tuple[str, str], tuple[str, str]]:
    networks = [small(tmp_path, policies, PODS) for policies in (old, new)]
    return {(one.source, one.destination): (one.gained, one.lost) for one in diff(*networks).changes}


def test_a_difference_is_exact_at_the_bounds_of_ranges(tmp_path: Path) -> None:
    rule = "{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: %s, endPort: %s}]}]}"
    found = changed(tmp_path, kubernetes("p", rule % (1000, 2000)), kubernetes("p", rule % (1001, 2010)))
    assert found["other/job", "shop/db"] == ("TCP 2001-2010", "TCP 1000")
    assert {whom for _, whom in found} == {"shop/db"}


def test_the_same_said_in_other_words_is_no_difference(tmp_path: Path) -> None:
    other = calico("db", "{order: 7, selector: app == 'db', types: [Ingress], ingress: [{action: Allow, protocol: TCP, source: "
                   "{selector: \"app in {'web'}\"}, destination: {ports: [5432]}}]}", "NetworkPolicy", "shop")
    assert changed(tmp_path, DB, other) == {}


def test_every_difference_has_a_flow_that_shows_it_and_who_decided(tmp_path: Path) -> None:
    old, new = small(tmp_path, "", PODS), small(tmp_path, DB, PODS)
    report = diff(old, new)
    assert report.changes
    for one in report.changes:
        assert one.before[0] and not one.after[0]
        assert not all(side.allowed for side in one.after[1])


def test_pods_that_only_one_side_has_are_told_and_not_compared(tmp_path: Path) -> None:
    report = diff(small(tmp_path, DB, PODS), small(tmp_path, DB, [*PODS[:2], pod("other/new")]))
    assert (report.only_old, report.only_new, report.changes) == (("other/job",), ("other/new",), ())


# --- traffic --------------------------------------------------------------------------------------------------------


def test_staged_policies_are_reported_by_flow_and_enforced_by_nobody(tmp_path: Path) -> None:
    would = calico(
        "db", "{selector: app == 'db', types: [Ingress], ingress: [{action: Allow, source: {selector: app == 'web'}}]}",
        "StagedNetworkPolicy", "shop")
    network = small(tmp_path, would, PODS, traffic=WEB)
    report = staged(network)
    (shift,) = report.shifts
    assert (shift.source, shift.destination, shift.packets, shift.allowed_now) == ("other/job", "shop/db", 1, True)
    assert shift.side.way == "ingress" and not shift.side.allowed and "db" in str(shift.side.isolated_by)
    assert (report.packets, report.count(allowed_now=True), report.count(allowed_now=False)) == (7, 1, 0)
    assert network.run(keep=False).sent.success == 7


def test_a_staged_deletion_would_let_through(tmp_path: Path) -> None:
    deny = calico("db", "{selector: app == 'db', types: [Ingress]}", "NetworkPolicy", "shop")
    gone = calico("db", "{stagedAction: Delete}", "StagedNetworkPolicy", "shop")
    report = staged(small(tmp_path, deny + gone, PODS, traffic=WEB), "job")
    assert (report.packets, report.count(allowed_now=False)) == (1, 1)


def test_packets_to_a_service_are_counted_but_not_judged_by_its_address(tmp_path: Path) -> None:
    """Policy sees the endpoint, which the datapath chooses; the service's address would pass for one outside."""
    service = ("---\napiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\n"
               "spec: {clusterIP: 10.96.0.7, selector: {app: db}, ports: [{port: 5432}]}\n")
    would = calico("out", "{selector: app == 'job', types: [Egress]}", "StagedGlobalNetworkPolicy")
    to_service = [{"name": "job", "from": "app == 'job'", "to": "svc/shop/db", "port": 5432}]
    report = staged(small(tmp_path, service + would, PODS, traffic=to_service))
    assert (report.packets, report.unplaced, report.shifts) == (1, 1, ())


def test_a_node_reaches_its_own_pods_whatever_is_staged(tmp_path: Path) -> None:
    would = calico("all", "{types: [Ingress]}", "StagedGlobalNetworkPolicy")
    network = small(tmp_path, would, PODS, traffic=[{"name": "probe", "from": "node/*", "to": "app == 'web'", "port": 80}])
    places = {network.intent.endpoint(network.endpoint_id(f"shop/web-{number}")).router for number in (0, 1)}
    assert len(places) == 2
    assert staged(network).count(allowed_now=True) == 2                  # of four, two come from the pod's own node


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_hits_count_decisions_of_a_run(tmp_path: Path, engine: str) -> None:
    network = Network(load(written(tmp_path, DB, PODS, traffic=WEB)), engine=engine)
    report = hits(network)
    counted = {(one.policy, one.way): one.hits for one in report.rows}
    assert counted["NetworkPolicy shop/db", "ingress"] == 2              # connections, each of three packets
    assert counted["Tier default", "both"] == 1
    assert counted["Profile kns.*", "egress"] == 3 and report.hits == 6
