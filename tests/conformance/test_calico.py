"""Calico's own cases, as many as the data folder holds, through the code that users run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calisim import conformance
from calisim.errors import UsageError

ROOT = Path(__file__).parents[2]
DATA = ROOT / conformance.data_directory("calico")


@pytest.mark.parametrize("topic", sorted(conformance.judges()))
def test_every_case_of_the_topic_agrees(topic):
    if not (DATA / f"{topic}.json").is_file():
        pytest.skip(f"no conformance data: {DATA / topic}.json is absent (set CALISIM_CONFORMANCE)")
    results = conformance.run(DATA, [topic])
    assert results, f"{topic}.json holds no cases"
    assert [f"{result.id}: {result.message}" for result in results if not result.ok] == []


def write(folder, name, content):
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def test_a_topic_without_a_judge_is_listed_case_by_case(tmp_path):
    write(tmp_path, "tea_ceremony.json", {"cases": [{"id": "a"}, {"id": "b"}]})
    results = conformance.run(tmp_path)
    assert [(result.id, result.ok, result.covered) for result in results] == [("a", False, False), ("b", False, False)]
    assert "not covered" in results[0].message


def test_a_case_that_cannot_run_is_a_failure(tmp_path):
    whole = {"id": "whole", "selector": "", "labels": {}, "match": True}
    write(tmp_path, "selector_match.json", {"cases": [{"id": "half"}, whole]})
    half, whole = conformance.run(tmp_path)
    assert not half.ok and half.covered and "KeyError" in half.message
    assert whole.ok


def test_a_wrong_expectation_is_told_with_both_sides(tmp_path):
    write(tmp_path, "num_or_string.json", {"cases": [
        {"id": "value", "kind": "port", "json": "80", "accept": True, "value": 81},
        {"id": "type", "kind": "port", "json": '"80"', "accept": True, "value": "80"},
        {"id": "accept", "kind": "port", "json": "80", "accept": False},
        {"id": "reject", "kind": "port", "json": "65536", "accept": True, "value": 65536},
        {"id": "json", "kind": "port", "json": '"80', "accept": True, "value": 80}]})
    results = conformance.run(tmp_path)
    assert not any(result.ok for result in results)
    assert results[0].message == "80, but Calico says 81"
    assert "accepted, but" in results[2].message and "rejected, but" in results[3].message


@pytest.mark.parametrize("content", [
    "{", "[]", '"text"', '{"cases": {}}', '{"cases": [1]}', '{"cases": [{"no": "id"}]}', "[" * 100_000, "\xff"])
def test_a_malformed_file_is_refused_by_name(tmp_path, content):
    (tmp_path / "v1_names.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(UsageError, match="v1_names"):
        conformance.run(tmp_path)


def test_a_folder_or_topic_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no folder"):
        conformance.run(tmp_path / "absent")
    with pytest.raises(UsageError, match="no <topic>"):
        conformance.run(tmp_path)
    write(tmp_path, "v1_names.json", {"cases": []})
    with pytest.raises(UsageError, match="no topic v1_name; it has v1_names"):
        conformance.run(tmp_path, ["v1_name"])
    with pytest.raises(UsageError):
        conformance.run(tmp_path, ["../" + tmp_path.name + "/v1_names"])
