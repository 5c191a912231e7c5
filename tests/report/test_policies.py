"""Answers about policy for people: they fit, they name places, and large ones become lists instead of grids."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest

from calisim.analysis.policy_applies import applies, listed
from calisim.analysis.policy_diff import diff
from calisim.analysis.policy_matrix import truth_table
from calisim.analysis.policy_staged import staged
from calisim.report import policies
from calisim.report.text import show
from tests.analysis.worlds import calico, kubernetes, pod, small

PODS = [pod("shop/web", count=2), pod("shop/db", ports=[{"name": "pg", "port": 5432}])]
DB = kubernetes("db", "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], "
                "ports: [{port: pg}]}]}")


def shown(parts: object) -> str:
    text = StringIO()
    show(parts, text)  # type: ignore[arg-type]
    return text.getvalue()


def test_a_cluster_without_policies_says_so(tmp_path: Path) -> None:
    assert "everybody may talk to everybody" in shown(policies.list_parts(listed(small(tmp_path, "", PODS))))


def test_a_list_counts_rules_by_direction_and_shows_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    out = kubernetes("out", "{podSelector: {}, policyTypes: [Egress]}")
    text = shown(policies.list_parts(listed(small(tmp_path, DB + out, PODS))))
    row = next(line for line in text.splitlines() if "shop/db " in line)
    assert "1 in" in row and "out" not in row.split("1 in")[1] and "small.yaml:" in row
    assert "0 out" in next(line for line in text.splitlines() if "shop/out" in line)
    assert "2 policies, 0 of them staged" in text


def test_a_pod_that_nobody_isolates_is_told_so(tmp_path: Path) -> None:
    text = "\n".join(policies.pod_lines(applies(small(tmp_path, DB, PODS), "web-0")))
    assert text.count("not isolated") == 2 and "profile kns.*" in text and "1 other pod" in text


def test_a_staged_policy_is_marked(tmp_path: Path) -> None:
    would = calico("x", "{types: [Ingress]}", "StagedGlobalNetworkPolicy")
    text = "\n".join(policies.pod_lines(applies(small(tmp_path, would, PODS), "db")))
    assert "StagedGlobalNetworkPolicy x, STAGED: not in force" in text
    assert text.count("not isolated") == 2
    text = "\n".join(policies.pod_lines(applies(small(tmp_path, would + DB, PODS), "db")))
    assert text.count("not isolated") == 1


@pytest.mark.parametrize("columns", ["80", "200"])
def test_a_grid_never_is_wider_than_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    many = [pod(f"shop/p{number}") for number in range(40)]
    lines = list(policies.truth_lines(truth_table(small(tmp_path, DB, [*PODS, *many]), "tcp", 80)))
    grid = any(line.startswith("Ingress") for line in lines)
    assert grid is (columns == "200")
    assert not grid or max(map(len, lines)) <= 200
    assert grid or any(line.startswith("  shop/p0 → ") for line in lines)


def test_names_that_are_too_long_are_cut_in_a_grid_only(tmp_path: Path) -> None:
    table = truth_table(small(tmp_path, DB, [pod(f"shop/{'x' * 60}"), *PODS]), "tcp", 80)
    assert table.sources[0].name == f"shop/{'x' * 60}"
    assert f"shop/{'x' * 34}…" in "\n".join(policies.truth_lines(table))


def test_no_difference_says_how_much_was_compared(tmp_path: Path) -> None:
    network = small(tmp_path, DB, PODS)
    assert "No verdict changes: 9 pairs" in shown(policies.diff_parts(diff(network, network)))


def test_without_staged_policies_nothing_is_counted(tmp_path: Path) -> None:
    assert "no staged policies" in shown(policies.staged_parts(staged(small(tmp_path, DB, PODS))))


def test_a_grid_has_a_dot_for_what_is_allowed_and_an_x_for_what_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    lines = list(policies.truth_lines(truth_table(small(tmp_path, DB, PODS), "tcp", 5432, "app in {'web', 'db'}", "app == 'db'")))
    assert ". allowed, X denied" in lines[0]
    cells = [line.split()[-1] for line in lines if line.strip().startswith("shop/")]
    assert cells == [".", ".", "–"] * 3
    lines = list(policies.truth_lines(truth_table(small(tmp_path, DB, PODS), "tcp", 80, "app == 'web'", "app == 'db'")))
    assert [line.split()[-1] for line in lines if line.strip().startswith("shop/")] == ["X", "X", ".", ".", "X", "X"]


def test_a_change_is_shown_as_it_was_and_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "after").mkdir()
    web = DB.replace("[{podSelector: {matchLabels: {app: web}}}]", "[{podSelector: {matchLabels: {app: db}}}]")
    text = shown(policies.diff_parts(diff(small(tmp_path, DB, PODS), small(tmp_path / "after", web, PODS))))
    assert "was allowed: " in text and "is  denied: " in text
    assert "was denied" not in text and "is  allowed" not in text
