"""Policy suites through the reader, the resolver and packets through both engines; and the judge on cases of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from calisim import conformance
from calisim.cli.main import cli
from calisim.conformance import policy
from calisim.errors import UsageError
from calisim.vocabulary import EndpointKind

ROOT = Path(__file__).parents[2]
DATA = ROOT / conformance.data_directory("policy")

CLUSTER = """
nodes: [{name: node-1, ip: 192.0.2.11, labels: {}}, {name: node-2, ip: 192.0.2.12, labels: {}}]
namespaces: [{name: x, labels: {}}]
pods:
- {namespace: x, name: a, labels: {app: a}, ip: 10.244.0.1, node: node-1, ports: []}
- {namespace: x, name: B, labels: {app: b}, ip: 10.244.0.2, node: node-2, ports: []}
"""
DENY_A = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: Deny, namespace: x}
spec: {podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress]}
"""


def write(folder, expected, policies=DENY_A, cluster=CLUSTER, features=("NP",)):
    case = folder / "case"
    case.mkdir(parents=True)
    (case / "cluster.yaml").write_text(cluster)
    (case / "policies.yaml").write_text(policies)
    flows = [dict(zip(("src", "dst", "protocol", "port", "verdict"), flow, strict=True)) for flow in expected]
    (case / "expected.json").write_text(json.dumps({"suite": "own", "features": list(features), "flows": flows}))
    return folder


def cases():
    return sorted(path.parent for path in DATA.glob("*/cluster.yaml")) if DATA.is_dir() else []


def test_the_suites_are_there():
    if not cases():
        pytest.skip(f"no conformance data: {DATA} is absent (set CALISIM_CONFORMANCE)")
    assert len(policy.run(DATA, [case.name for case in cases()[:1]])) == 1


@pytest.mark.parametrize("folder", cases(), ids=lambda folder: folder.name)
def test_every_case_of_the_suites_agrees(folder):
    result = policy.judged(folder)
    assert result.fault == "" and result.mismatches == ()


def test_the_order_of_documents_and_the_names_of_pods_decide_nothing(tmp_path):
    """Every case once more, turned round and renamed."""
    if not cases():
        pytest.skip(f"no conformance data: {DATA} is absent (set CALISIM_CONFORMANCE)")
    for folder in cases():
        turned = tmp_path / folder.name
        turned.mkdir()
        text = (folder / "policies.yaml").read_text()
        documents = [one for one in yaml.load_all(text, yaml.CSafeLoader) if one]
        (turned / "policies.yaml").write_text(yaml.dump_all(documents[::-1], Dumper=yaml.CSafeDumper))
        cluster = yaml.load((folder / "cluster.yaml").read_text(), yaml.CSafeLoader)
        expected = json.loads((folder / "expected.json").read_text())
        names = {}
        for number, pod in enumerate(cluster["pods"]):
            names[f"{pod['namespace']}/{pod['name']}"] = f"{pod['namespace']}/x{number}"
            pod["name"] = f"x{number}"
        for flow in expected["flows"]:
            flow.update({end: names.get(flow[end], flow[end]) for end in ("src", "dst")})
        (turned / "cluster.yaml").write_text(json.dumps({**cluster, "pods": cluster["pods"][::-1]}))
        (turned / "expected.json").write_text(json.dumps(expected))
    results = policy.run(tmp_path, models=policy.MODELS[1:2], engines=["fast"])
    assert [(one.name, one.fault, one.mismatches) for one in results if not one.ok] == [] and len(results) == len(cases())


def test_verdicts_of_both_sides_make_the_whole(tmp_path):
    result, = policy.run(write(tmp_path, [("x/B", "x/a", "TCP", 80, "deny"), ("x/a", "x/B", "TCP", 80, "allow")]))
    assert result.ok and result.flows == 2


def test_a_wrong_expectation_is_told_with_its_side(tmp_path):
    result, = policy.run(write(tmp_path, [("x/B", "x/a", "TCP", 80, "allow")]))
    assert [(one.side, one.expected) for one in result.mismatches] == [("verdict", "allow")] and not result.ok


def test_a_feature_out_of_scope_is_listed_and_not_judged(tmp_path):
    result, = policy.run(write(tmp_path, [("x/B", "x/a", "TCP", 80, "allow")], features=("NP", "IPv6")))
    assert result.out_of_scope == "IPv6" and result.mismatches == ()


def test_a_case_that_cannot_run_is_a_failure(tmp_path):
    broken = DENY_A.replace("podSelector", "podSelectors")
    result, = policy.run(write(tmp_path, [("x/B", "x/a", "TCP", 80, "deny")], policies=broken))
    assert not result.ok and "podSelectors" in result.fault


def test_what_only_the_api_refuses_is_read_past_it_and_told(tmp_path):
    unlawful = """
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: gnp}
spec: {selector: app == 'a', types: [Ingress], ingress: [{action: Allow, icmp: {type: 8}}]}
"""
    result, = policy.run(write(tmp_path, [("x/B", "x/a", "TCP", 80, "deny")], policies=unlawful))
    assert result.ok and result.unlawful == ("gnp",)


def test_the_expectations_are_not_needed_to_answer(tmp_path):
    case = write(tmp_path, [("x/B", "x/a", "TCP", 80, "allow")]) / "case"
    (case / "expected.json").unlink()
    for model in policy.MODELS:
        travel = policy.Travel(policy.read(case, model), "fast")
        flow = {"src": "x/B", "dst": "x/a", "protocol": "TCP", "port": 80}
        assert travel.verdicts([flow]) == [policy.Sides(True, False)]


def test_packets_cross_nodes_in_the_models_own_way_and_both_sides_are_told(tmp_path, monkeypatch):
    """A folder whose pods share a node: they are put apart."""
    deny = DENY_A.replace("[Ingress]", "[Ingress, Egress]") + "---" + DENY_A.replace("Deny", "b").replace("app: a", "app: b")
    cluster = CLUSTER.replace("node: node-2", "node: node-1")
    flows = [("x/a", "x/B", "TCP", 80, "deny"), ("x/B", "x/a", "UDP", 80, "deny")]
    folder = write(tmp_path, flows, policies=deny, cluster=cluster)
    for model in policy.MODELS:
        case = policy.read(folder / "case", model)
        assert len({one.router for one in case.intent.endpoints if one.kind is EndpointKind.POD}) == 2
        for engine in policy.ENGINES:
            asked = [dict(zip(("src", "dst", "protocol", "port"), flow[:4], strict=True)) for flow in flows]
            assert policy.Travel(case, engine).verdicts(asked) == [policy.Sides(False, False), policy.Sides(True, False)]
    monkeypatch.setattr(policy.Model, "tunnels", lambda self, one_subnet: self.ipip == "Never")
    open_ = write(tmp_path / "open", [("x/a", "x/B", "TCP", 80, "allow")], policies="", cluster=cluster)
    assert "did not take its way" in policy.run(open_)[0].fault


def test_what_no_packet_can_tell_is_asked_of_the_stage_alone(tmp_path):
    flows = [("x/B", "224.0.0.1", "TCP", 80, "allow"), ("x/B", "x/B", "TCP", 80, "allow"), ("x/a", "x/a", "TCP", 80, "deny")]
    result, = policy.run(write(tmp_path, flows))
    assert result.ok and result.alone == 3


def test_a_folder_or_case_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no folder"):
        policy.run(tmp_path / "absent")
    with pytest.raises(UsageError, match=r"no CASE/cluster\.yaml"):
        policy.run(tmp_path)
    with pytest.raises(UsageError, match="no case other"):
        policy.run(write(tmp_path, []), ["other"])


def test_a_case_may_name_any_address_and_labels_that_yaml_took_for_numbers(tmp_path):
    strange = ["0.0.0.0", "255.255.255.255", "192.0.2.1", "192.0.2.255", "224.0.0.1", "127.0.0.1", "10.244.0.0"]
    flows = [(end, "x/a", "UDP", 1, "deny") for end in strange] + [("x/a", end, "253", 0, "allow") for end in strange]
    cluster = CLUSTER.replace("app: a}", "app: a, version: 1, canary: true, none: null}")
    result, = policy.run(write(tmp_path, flows, cluster=cluster))
    assert result.ok, (result.fault, result.mismatches)


def command(*arguments):
    return CliRunner().invoke(cli, ["conformance", "policy", *map(str, arguments)], prog_name="calisim")


def test_the_command_counts_by_suite_and_feature_and_names_each_disagreement(tmp_path):
    good = command(write(tmp_path, [("x/B", "x/a", "TCP", 80, "deny")]))
    assert good.exit_code == 0 and "1 of 1 cases agree, 1 flows, under 3 models" in good.stdout
    assert [line.split()[:3] for line in good.stdout.splitlines() if line.split()[:1] in (["own"], ["NP"])] == [
        ["own", "1", "1"], ["NP", "1", "1"]]
    path = tmp_path / "case" / "expected.json"
    path.write_text(path.read_text().replace("deny", "allow"))
    bad = command(tmp_path)
    assert bad.exit_code == 1 and "case: verdict of x/B -> x/a TCP 80 should be allow" in bad.stdout


def test_the_command_gives_json_with_every_case(tmp_path):
    made = json.loads(command(write(tmp_path, [("x/B", "x/a", "TCP", 80, "allow")]), "--json").stdout)
    assert made["group"] == "policy" and made["totals"] == {
        "cases": 1, "casesAgree": 0, "flows": 1, "flowsAlone": 0, "mismatches": 1, "outOfScope": 0}
    assert made["cases"][0]["mismatches"] == [
        {"flow": {"src": "x/B", "dst": "x/a", "protocol": "TCP", "port": 80}, "side": "verdict", "expected": "allow",
         "under": [f"{engine}, {model.name}" for model in policy.MODELS for engine in policy.ENGINES]}]


def test_the_command_tells_what_is_out_of_scope_and_fails_where_a_case_cannot_run(tmp_path):
    folder = write(tmp_path, [("x/B", "x/a", "TCP", 80, "allow")], features=["IPv6"])
    beyond = command(folder)
    assert beyond.exit_code == 0 and "Out of scope: 1 cases with IPv6" in beyond.stdout and "0 of 0 cases" in beyond.stdout
    (folder / "case" / "expected.json").write_text("{")
    assert command(folder).exit_code == 1
