"""`calisim policy` as it is called: every question in both forms, exit codes, wrong calls."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner, Result

from calisim.cli.main import cli
from tests.analysis.worlds import calico, kubernetes, pod, written

PODS = [pod("shop/web", count=2), pod("shop/db", ports=[{"name": "pg", "port": 5432}]), pod("other/job")]
DB = kubernetes("db", "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], "
                "ports: [{port: pg}]}]}")
STAGED = calico("all", "{types: [Ingress], selector: app == 'web'}", "StagedGlobalNetworkPolicy")
TRAFFIC = [{"name": "job", "from": "app == 'job'", "to": "app == 'web'", "port": 80}]


@pytest.fixture
def shop(tmp_path: Path) -> str:
    return written(tmp_path, DB + STAGED, PODS, traffic=TRAFFIC)


def policy(*line: str) -> Result:
    return CliRunner().invoke(cli, ["policy", *line])


def answered(*line: str) -> dict[str, object]:
    done = policy(*line, "--json")
    assert done.exit_code in (0, 1), done.output
    found: dict[str, object] = json.loads(done.stdout)
    assert found["apiVersion"] == "calisim/v1"
    return found


QUESTIONS: dict[str, tuple[str, ...]] = {
    "PolicyList": (), "PodPolicy": ("--pod", "db"), "PolicyMatrix": ("--matrix", "--port", "5432"),
    "PolicyConnections": ("--matrix",), "PolicyLint": ("--lint",), "PolicyHits": ("--hits",), "PolicyStaged": ("--staged",),
}


@pytest.mark.parametrize("kind", QUESTIONS)
def test_every_question_has_a_table_and_a_document(shop: str, kind: str) -> None:
    assert answered(shop, *QUESTIONS[kind])["kind"] == kind
    table = policy(shop, *QUESTIONS[kind])
    assert table.exit_code in (0, 1) and table.stdout.strip()
    with pytest.raises(json.JSONDecodeError):
        json.loads(table.stdout)


def test_a_truth_table_is_drawn_for_each_side_and_both(shop: str) -> None:
    shown = policy(shop, "--matrix", "--port", "5432", "--to", "shop/db").stdout
    rows = {line.split()[0]: line.split()[-1] for line in shown.split("Combined")[1].splitlines()[1:]}
    assert rows == {"shop/web-0": ".", "shop/web-1": ".", "shop/db": "–", "other/job": "X", "outside": "X"}
    assert shown.index("Ingress") < shown.index("Egress") < shown.index("Combined")


def test_a_protocol_without_ports_can_be_asked_for(shop: str) -> None:
    found = answered(shop, "--matrix", "--protocol", "icmp", "--from", "shop/web-0", "--to", "shop/db")
    assert (found["service"], found["combined"]) == ("ICMP", [[False]])


def test_lint_exits_1_only_where_it_found_something(tmp_path: Path) -> None:
    assert policy(written(tmp_path, DB, PODS), "--lint").exit_code == 0
    wrong = policy(written(tmp_path, DB + kubernetes("x", "{podSelector: {matchLabels: {app: x}}}"), PODS), "--lint")
    assert wrong.exit_code == 1 and "[SELECTS_NOTHING]" in wrong.stdout and "small.yaml:" in wrong.stdout


def test_diff_takes_scenarios_and_policy_files_on_top(shop: str, tmp_path: Path) -> None:
    more = tmp_path / "more.yaml"
    more.write_text(kubernetes("job", "{podSelector: {matchLabels: {app: job}}}", "other"))
    same = policy(shop, "--diff", shop, shop)
    assert same.exit_code == 0 and "No verdict changes" in same.stdout
    other = policy(shop, "--diff", shop, str(more))
    assert other.exit_code == 1 and "other/job" in other.stdout and "more.yaml:" in other.stdout
    document = answered(shop, "--diff", str(more), shop)
    (first, *_) = document["changes"]  # type: ignore[misc]
    assert first["gained"] == "everything" and not first["before"]["allowed"] and first["after"]["allowed"]
    assert first["before"]["sides"][-1]["tiers"][0]["policies"][0]["policy"]["name"] == "other/job"


def test_a_missing_file_of_a_diff_is_told_with_its_name(shop: str) -> None:
    done = policy(shop, "--diff", shop, "nowhere.yaml")
    assert done.exit_code == 2 and "nowhere.yaml" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(("line", "said"), [
    (("--lint", "--hits"), "one at a time"), (("--port", "80"), "--matrix"), (("--traffic", "job"), "--hits and --staged"),
    (("--pod", "nobody"), "nobody"), (("--matrix", "--from", "app == 'x'"), "selects nobody"),
    (("--matrix", "--port", "80", "--protocol", "tpc"), "tpc"), (("--hits", "--traffic", "jbo"), "did you mean job"),
])
def test_a_wrong_call_exits_2_and_says_what_is_wrong(shop: str, line: tuple[str, ...], said: str) -> None:
    done = policy(shop, *line)
    assert done.exit_code == 2 and said in done.stderr


def test_staged_says_who_would_decide(shop: str) -> None:
    found = answered(shop, "--staged")
    (flow,) = found["flows"]  # type: ignore[misc]
    assert (flow["now"], flow["then"], flow["packets"], flow["from"]) == ("allowed", "denied", 2, "other/job")
    assert flow["decision"]["tiers"][-1]["policies"][0]["policy"]["kind"] == "StagedGlobalNetworkPolicy"


def test_tab_offers_pods(shop: str) -> None:
    completed = BashComplete(cli, {}, "calisim", "_CALISIM_COMPLETE").get_completions(["policy", shop, "--pod"], "shop/w")
    assert [item.value for item in completed] == ["shop/web-0", "shop/web-1"]


def test_help_has_examples_of_every_question() -> None:
    shown = policy("--help").stdout
    assert all(f"--{name}" in shown.split("Examples:")[1] for name in ("matrix", "pod", "lint", "diff", "staged"))


def test_a_trace_that_policy_denies_says_why_and_how_to_allow_it(shop: str) -> None:
    done = CliRunner().invoke(cli, ["trace", shop, "other/job", "shop/db", "--port", "5432"])
    assert done.exit_code == 1
    assert "NetworkPolicy shop/db" in done.stdout and "without a namespaceSelector the rule means shop only" in done.stdout
    start = done.stdout.index("apiVersion: networking.k8s.io/v1")
    cure = done.stdout[start:done.stdout.index("EOF\n", start)]
    cured = CliRunner().invoke(cli, ["trace", shop, "other/job", "shop/db", "--port", "5432", "--apply", "-"], input=cure)
    assert cured.exit_code == 0, cured.output


def test_a_trace_as_json_names_policy_tier_rule_file_and_line_on_both_sides(shop: str) -> None:
    done = CliRunner().invoke(cli, ["trace", shop, "shop/web-0", "shop/db", "--port", "5432", "--json"])
    egress, ingress = json.loads(done.stdout)["request"]["policy"]
    assert egress["allowed"] and egress["tier"] is None
    assert ingress["decidedBy"]["name"] == "NetworkPolicy shop/db ingress[0]" and ingress["tier"]["name"] == "default"
    assert ingress["policy"]["name"] == "shop/db" and ingress["decidedBy"]["line"] > 1


def test_both_ends_that_deny_are_cured_one_after_the_other(tmp_path: Path) -> None:
    deny = kubernetes("deny", "{podSelector: {matchLabels: {app: job}}, policyTypes: [Egress]}", "other")
    path = written(tmp_path, DB + deny, PODS)
    done = CliRunner().invoke(cli, ["trace", path, "other/job", "shop/db", "--port", "5432", "--all-blockers", "--json"])
    found = json.loads(done.stdout)
    assert [one["reason"] for one in found["blockers"]] == ["POLICY_EGRESS", "POLICY_INGRESS"]
    assert found["cleared"] and [side["allowed"] for side in found["request"]["policy"]] == [False, False]


def test_a_trace_where_nobody_is_policed_says_nothing_of_policy(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["trace", written(tmp_path, "", PODS), "shop/web-0", "shop/db"])
    assert done.exit_code == 0 and "Policy" not in done.stdout


def test_where_nobody_enforces_policy_that_is_said(tmp_path: Path) -> None:
    done = policy(written(tmp_path, DB, PODS, settings={"filter": "none"}), "--matrix")
    assert done.exit_code == 0 and "nobody enforces policy" in done.stderr
