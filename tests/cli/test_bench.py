"""``calisim bench`` on a tiny cluster: what it prints, what it keeps, how it compares, and that its digests are of the work."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from calisim.bench import rows as module
from calisim.bench.results import Change, compare
from calisim.cli.main import cli

TINY = {"nodes": 9, "lookups": 4096, "packets": 4096, "flows": 1000, "manyFlows": 2000, "few": 200, "rounds": 2}


def call(*arguments: str, code: int = 0):
    result = CliRunner().invoke(cli, ["bench", *arguments], prog_name="calisim")
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUICK", TINY)


@pytest.fixture(scope="module")
def measured():
    """All rows, once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "QUICK", TINY)
        return json.loads(call("--quick", "--json").stdout)


def test_json_has_every_row_with_its_spread_and_digest(measured):
    assert measured["apiVersion"] == "calisim/v1" and measured["kind"] == "Benchmark" and measured["setting"] == TINY
    assert tuple(row["id"] for row in measured["rows"]) == module.ROWS
    for row in measured["rows"]:
        spread = row["nanoseconds"]
        assert 0 < spread["min"] <= spread["median"] <= spread["max"] and row["perSecond"] > 0, row["id"]
        assert len(row["digest"]) == 16 or row["id"].startswith("start-")


def test_machine_is_told(measured):
    assert {"cpu", "cores", "python", "compiler", "numpy", "load"} <= measured["machine"].keys()
    assert measured["date"].endswith("+00:00") and measured["version"]


def test_rivals_do_the_same_work(measured):
    compared = {(row["id"], rival["name"]): rival for row in measured["rows"] for rival in row["rivals"]}
    assert all(rival["agrees"] is not False for rival in compared.values())
    for name in ("lookup-uniform", "lookup-zipf", "path-pods-uniform", "path-uniform", "path-zipf"):
        assert compared[name, "numpy"]["agrees"] and compared[name, "numpy"]["claims"]
    assert compared["path-uniform", "numpy"]["claims"] == sorted(module.CLAIMS)
    assert compared["threads-2", "one thread, 64 k"]["agrees"]


def test_who_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(module, "missing", lambda names: dict.fromkeys(names, "not installed (pip install it)"))
    text = call("--quick", "--only", "lookup-uniform").stdout
    assert "skipped: numba, not installed" in text and "skipped: py-radix" in text and "numpy" in text


def test_digests_are_of_the_work_not_of_the_run(measured):
    again = json.loads(call("--quick", "--json", "--only", "lookup-u", "--only", "path-u", "--only", "snat-new").stdout)
    before = {row["id"]: row["digest"] for row in measured["rows"]}
    assert len(again["rows"]) == 3
    assert {row["id"]: before[row["id"]] for row in again["rows"]} == {row["id"]: row["digest"] for row in again["rows"]}
    assert len({row["digest"] for row in again["rows"]}) == 3


def test_a_rival_that_gives_something_else_is_told(monkeypatch):
    from calisim.bench.rivals import vectors

    right = vectors.Pipeline.forward
    monkeypatch.setattr(vectors.Pipeline, "forward", lambda self, wave: {**right(self, wave), "ttl": np.zeros(len(wave))})
    result = call("--quick", "--only", "path-pods-uniform", code=1)
    assert "numpy gives other" in result.stderr and "NO" in result.stdout


def test_table_has_units_and_says_what_it_is_not():
    text = call("--quick", "--only", "lookup-uniform").stdout
    assert "(per s)" in text and "(each)" in text and "9 nodes, 270 pods" in text
    assert "calisim simulates packets, routers move them" in text


def test_rows_are_chosen_by_the_beginning_of_their_id():
    assert [row["id"] for row in json.loads(call("--quick", "--json", "--only", "start-imp").stdout)["rows"]] == ["start-import"]
    assert "there are lookup-uniform" in call("--only", "looking", code=2).stderr


def test_against_itself_is_noise(measured, tmp_path):
    earlier = tmp_path / "before.json"
    slow = {**measured, "rows": [{**row, "nanoseconds": {"min": 1.0, "median": 50.0, "max": 1e12}} for row in measured["rows"]]}
    earlier.write_text(json.dumps(slow))
    result = call("--quick", "--only", "lookup-uniform", "--against", str(earlier))
    assert "noise" in result.stdout and "same" in result.stdout


def test_against_something_faster_is_exit_1(measured, tmp_path):
    earlier = tmp_path / "before.json"
    fast = {"min": 1e-6, "median": 2e-6, "max": 3e-6}
    rows = [{**row, "nanoseconds": fast, "digest": "x"} for row in measured["rows"]]
    earlier.write_text(json.dumps({**measured, "rows": rows}))
    result = call("--quick", "--only", "lookup-uniform", "--against", str(earlier), "--json", code=1)
    change, = json.loads(result.stdout)["against"]
    assert change["verdict"] == "slower" and not change["sameOutput"] and change["factor"] < 0.01


@pytest.mark.parametrize(("before", "now", "verdict"), [
    ((10, 11, 12), (13, 15, 16), "slower"), ((10, 11, 12), (11, 15, 16), "noise"), ((10, 11, 12), (12.5, 14, 15), "noise"),
    ((13, 15, 16), (10, 11, 12), "faster"), ((13, 15, 16), (10, 11, 14), "noise"),
])
def test_noise_is_what_touches_or_is_near(before, now, verdict):
    spreads = [dict(zip(("min", "median", "max"), spread, strict=True)) for spread in (before, now)]
    assert Change("", *spreads, True).verdict == verdict


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": "Run"}', '{"kind": "Benchmark", "rows": [{"id": "run"}]}',
                                  '{"kind": "Benchmark", "rows": [{"id": 1, "digest": "", "nanoseconds": {"min": "a"}}]}',
                                  '{"kind": "Benchmark", "rows": [{"id": "run", "digest": "", "nanoseconds": {"min": 0, '
                                  '"median": 1, "max": 1}}]}'])
def test_a_wrong_file_is_refused_before_anything_is_measured(text, tmp_path):
    earlier = tmp_path / "before.json"
    earlier.write_text(text)
    result = call("--quick", "--against", str(earlier), code=2)
    assert "before.json is no" in result.stderr and "Traceback" not in result.stderr


def test_another_setting_is_no_comparison(measured):
    from calisim.errors import UsageError

    with pytest.raises(UsageError, match="with or without --quick"):
        compare({**measured, "setting": {"nodes": 12}}, measured, "before.json")
