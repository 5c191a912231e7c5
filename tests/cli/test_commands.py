"""The command line as users meet it: exit codes, where things are printed, JSON, files, interrupts."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from calisim.cli.main import COMMANDS, cli

ROOT = Path(__file__).parents[2]
TWO_ZONES = str(ROOT / "tests" / "cases" / "scenarios" / "two-zones.yaml")
PLAIN = ["--engine", "reference"]


def call(*arguments: str, input: str | None = None):
    return CliRunner().invoke(cli, list(arguments), input=input, prog_name="calisim")


def document(*arguments: str, code: int = 0):
    result = call(*arguments, "--json")
    assert result.exit_code == code, result.output
    made = json.loads(result.stdout)
    assert made["apiVersion"] == "calisim/v1"
    return made


@pytest.mark.parametrize("command", list(COMMANDS))
def test_help_has_examples(command):
    result = call(command, "--help")
    assert result.exit_code == 0 and f"calisim {command}" in result.stdout.split("Examples:")[1]


def test_help_of_all_names_completion():
    result = call("--help")
    assert all(command in result.stdout for command in COMMANDS) and "_CALISIM_COMPLETE=bash_source" in result.stdout


def test_unknown_command_is_guessed():
    result = call("comparo")
    assert result.exit_code == 2 and "Did you mean 'compare'?" in result.stderr


def test_run_totals():
    made = document("run", TWO_ZONES, *PLAIN)
    assert made["kind"] == "Run" and made["packets"] == {
        "sent": 36, "delivered": 36, "exited": 0, "dropped": {}, "refused": 0, "undetermined": 0}
    assert made["scopes"]["other-subnet"] == {
        "sent": 16, "delivered": 16, "exited": 0, "encap": {"none": 0, "ipip": 16, "vxlan": 0},
        "bytes": {"inner": 16_000, "wire": 16_320}, "snat": 0}
    assert made["scopes"]["external"]["snat"] == 6
    assert made["counters"]["interfaces"]["ipip"]["out"] == {"packets": 16, "bytes": 16_000}


def test_run_tables_and_counters():
    result = call("run", TWO_ZONES, "--counters", "--traffic", "mesh", *PLAIN)
    assert result.exit_code == 0
    for text in ("Packets", "Share", "(%)", "(B)", "same-subnet", "IPIP +20 B", "30 packets sent, 30 arrived, 0 lost", "a-2"):
        assert text in result.stdout


def test_run_events_and_replies():
    made = document("run", TWO_ZONES, "--traffic", "out", "--replies", "--events", *PLAIN)
    assert made["replies"]["delivered"] == 6
    first = made["events"][0]
    assert first["direction"] == "in" and first["stage"] == "endpoint" and first["headers"][0]["dport"] == 443


def test_compare_json_is_the_contract():
    made = document("compare", TWO_ZONES, "--pairs", *PLAIN)
    assert made["kind"] == "Comparison" and made["scenario"] == "two-zones"
    assert [variant["id"] for variant in made["variants"]] == ["overlay-ipip", "calico-cross-subnet", "calico-no-encap"]
    assert [step["title"] for step in made["steps"]] == ["check on", "check off"]
    cross = made["variants"][1]
    assert cross["podMtu"] == 8981 and cross["packets"]["delivered"] == 36
    need = cross["needs"][0]
    assert need["need"] == "source/destination check off"
    assert need["ifForgotten"] == {
        "lost": 8, "example": {"from": "shop/web-a-1-0", "to": "shop/web-a-2-0", "reason": "SOURCE_CHECK"}}
    assert made["pairs"][0]["outcomes"]["overlay-ipip"] == "IPIP +20 B"
    assert made["answer"].startswith("Cross-subnet") and made["assumptions"]


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_pairs_keep_variant_names_whole(columns, monkeypatch):
    """Where a column for each variant has no room they stand beside the outcome that they share."""
    monkeypatch.setenv("COLUMNS", str(columns))
    text = call("compare", TWO_ZONES, "--variants", "all", "--pairs", *PLAIN).stdout
    _, pairs = text.split("Pairs that fare differently")
    pairs = pairs.split("\n\n")[0]
    for name in ("as-is", "overlay-vxlan", "calico-cross-subnet", "calico-cross-subnet-vxlan", "shop/web-a-1-0", "mesh"):
        assert re.search(rf"(?<![\w-]){name}(?![\w-])", pairs), pairs
    assert ("In variants" in pairs) == (columns < 200)
    assert max(map(len, pairs.splitlines())) <= columns



def test_compare_prints_story_table_needs_answer_in_this_order():
    text = call("compare", TWO_ZONES, *PLAIN).stdout
    parts = ("Step by step", "Variants: the same 36 packets", "Needs:", "Cross-subnet: both", "Rests on")
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "Overhead" in text and "(B)" in text and "(%)" in text


@pytest.mark.parametrize("columns", ["80", "120", "200"])
def test_tables_keep_to_the_width(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    for arguments in (["compare", TWO_ZONES], ["run", TWO_ZONES, "--traffic", "mesh"], ["check", TWO_ZONES]):
        text = call(*arguments, *PLAIN).stdout
        tables = [line for line in text.splitlines() if not line.startswith("/")]
        assert max(map(len, tables)) <= int(columns)
        assert all(line == line.rstrip() for line in text.splitlines())
        assert "\x1b" not in text


def test_compare_chooses_variants():
    made = document("compare", TWO_ZONES, "--variants", "overlay-vxlan,as-is", *PLAIN)
    assert [variant["id"] for variant in made["variants"]] == ["overlay-vxlan", "as-is"]
    wrong = call("compare", TWO_ZONES, "--variants", "overlay-gre")
    assert wrong.exit_code == 2 and "overlay-ipip" in wrong.stderr and "Traceback" not in wrong.output


def test_trace_exit_codes_and_json():
    made = document("trace", TWO_ZONES, "shop/web-a-1-0", "shop/web-b-1-0", *PLAIN)
    assert made["kind"] == "Trace" and made["verdict"] == "delivered" and made["reply"]["verdict"] == "delivered"
    leaving = next(step for step in made["request"]["steps"] if step["stage"] == "fabric_out")
    assert [header["layer"] for header in leaving["headers"]] == ["outer", "inner"]
    assert leaving["decidedBy"]["kind"] == "IPPool" and leaving["decidedBy"]["line"] > 0
    lost = document("trace", TWO_ZONES, "shop/web-a-1-0", "shop/web-a-2-0", "--step", "1", "--all-blockers", *PLAIN, code=1)
    assert lost["request"]["reason"] == "SOURCE_CHECK" and lost["request"]["cure"] and lost["reply"] is None
    assert [one["reason"] for one in lost["blockers"]] == ["SOURCE_CHECK", "DEST_CHECK"] and lost["cleared"]


def test_trace_in_sentences():
    result = call("trace", TWO_ZONES, "web-a-1-0", "web-a-2-0", "--set", "nodes.a.sourceDestCheck=true", *PLAIN)
    assert result.exit_code == 1
    assert "Reason  SOURCE_CHECK" in result.stdout and "Cure    aws ec2 modify-instance-attribute" in result.stdout
    assert "Try it  calisim trace" in result.stdout


def test_check_passes_fails_and_writes_junit(tmp_path):
    junit = tmp_path / "report.xml"
    good = call("check", TWO_ZONES, TWO_ZONES, "--junit", str(junit), *PLAIN)
    assert good.exit_code == 0 and "8 expectations in 2 files: 8 passed, 0 failed" in good.stdout
    suites = ElementTree.parse(junit).getroot()
    assert (suites.get("tests"), suites.get("failures"), len(suites)) == ("8", "0", 2)
    bad = call("check", TWO_ZONES, "--set", "nodes.*.sourceDestCheck=true", "--junit", str(junit), *PLAIN)
    assert bad.exit_code == 1 and "FAILED" in bad.stdout and "see: calisim trace" in bad.stdout
    failure = ElementTree.parse(junit).getroot().find(".//failure")
    assert failure is not None and "SOURCE_CHECK" in failure.get("message", "")


def test_check_json():
    made = document("check", TWO_ZONES, *PLAIN)
    assert made["kind"] == "CheckReport" and (made["passed"], made["failed"]) == (4, 0)
    assert made["checks"][0]["line"] > 0


def test_lint_exit_codes():
    assert call("lint", TWO_ZONES).exit_code == 0
    bad = call("lint", TWO_ZONES, "--set", "nodes.a.sourceDestCheck=true")
    assert bad.exit_code == 1 and "[CHECK_ON]" in bad.stdout and "cure:" in bad.stdout
    assert document("lint", TWO_ZONES, "--set", "nodes.a.sourceDestCheck=true", code=1)["findings"][0]["code"] == "CHECK_ON"


def test_routes_and_ipam():
    assert "dev tunl0 proto bird onlink" in call("routes", TWO_ZONES, "a-1").stdout
    assert document("routes", TWO_ZONES, "node/a-1", "--variant", "calico-no-encap")["routes"]
    assert call("ipam", TWO_ZONES, "--show-blocks").stdout.count("Block") == 3
    assert document("ipam", TWO_ZONES)["pools"][0]["inUse"] == 9
    unknown = call("routes", TWO_ZONES, "a-9")
    assert unknown.exit_code == 2 and unknown.stderr.startswith("calisim: there is no node 'a-9'; did you mean a-")


def test_apply_from_standard_input():
    pool = "apiVersion: v1\nkind: ipPool\nmetadata: {cidr: 192.168.0.0/24}\nspec: {ipip: {enabled: true, mode: always}}\n"
    result = call("routes", TWO_ZONES, "a-1", "--apply", "-", "--json", input=pool)
    assert result.exit_code == 0 and result.stdout.count('"dev": "tunl0"') == 2


@pytest.mark.parametrize("command", [["run"], ["compare"], ["check"], ["lint"], ["ipam"], ["routes", "a-1"], ["trace", "a", "b"]])
def test_wrong_input_is_told_without_traceback(command, tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("apiVersion: calisim/v1\nkind: Scenario\nmetadata: {name: x}\nspec: {nods: []}\n")
    for path in (str(wrong), str(tmp_path / "nowhere.yaml"), str(tmp_path)):
        result = call(command[0], path, *command[1:])
        assert result.exit_code == 2, result.output
        assert result.stdout == "" and path in result.stderr and "Traceback" not in result.stderr


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    target = tmp_path / "run.json"
    target.write_text("before")
    target.chmod(0o640)
    assert call("run", TWO_ZONES, "--set", "nodes.a.subnet=nowhere", "-o", str(target)).exit_code == 2
    assert target.read_text() == "before"
    assert call("run", TWO_ZONES, "--json", "-o", str(target), *PLAIN).stdout == ""
    assert json.loads(target.read_text())["kind"] == "Run" and target.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["run.json"]
    absent = call("run", TWO_ZONES, "-o", str(tmp_path / "no" / "run.txt"), *PLAIN)
    assert absent.exit_code == 2 and "cannot be written" in absent.stderr


def test_conformance_of_a_folder(tmp_path):
    case = {"id": "one", "selector": "all()"}
    (tmp_path / "nobody_judges_this.json").write_text(json.dumps({"cases": [case]}))
    result = call("conformance", "calico", str(tmp_path))
    assert result.exit_code == 0 and "not covered" in result.stdout
    assert call("conformance", "calico", str(tmp_path / "nowhere")).exit_code == 2


def run(*arguments: str, **options):
    return subprocess.run([sys.executable, "-m", "calisim", *arguments], cwd=ROOT, capture_output=True, text=True, **options)


def test_as_a_process():
    result = run("check", TWO_ZONES, "--engine", "reference", "--quiet")
    assert result.returncode == 0 and result.stdout == "4 expectations in 1 file: 4 passed, 0 failed\n" and result.stderr == ""


def test_a_closed_pipe_is_quiet():
    command = f"{sys.executable} -m calisim run {TWO_ZONES} --engine reference --events | head -1"
    result = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.stderr == "" and result.stdout.count("\n") == 1


@pytest.mark.parametrize("arguments", [["routes", TWO_ZONES, "a-1", "--json"], ["--help"], ["run", TWO_ZONES, *PLAIN]])
def test_a_closed_pipe_ends_it_by_sigpipe(arguments):
    """Never by 1, which would be a failed check where the shell has pipefail."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = subprocess.run(
            [sys.executable, "-m", "calisim", *arguments], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(writer)
    assert (result.returncode, result.stderr) == (-signal.SIGPIPE, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [
    ["--help"], ["routes", TWO_ZONES, "a-1"], ["run", TWO_ZONES, *PLAIN], ["run", TWO_ZONES, "--json", *PLAIN]])
def test_a_full_disk_is_told_in_one_line(arguments):
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "calisim", *arguments], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr == "calisim: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_outputs_keep_the_exit_code(closed):
    command = f"{sys.executable} -m calisim check {TWO_ZONES} --engine reference --quiet {closed}"
    result = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0 and result.stderr == ""


def test_a_device_is_written_to_and_a_link_followed(tmp_path):
    """``-o /dev/null`` of an administrator must not put a file in the device's place."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True)
    assert call("routes", TWO_ZONES, "a-1", "-o", str(pipe)).exit_code == 0
    assert reader.communicate(timeout=60)[0].startswith("default via") and pipe.is_fifo()
    link.symlink_to("target")
    assert call("routes", TWO_ZONES, "a-1", "-o", str(link)).exit_code == 0
    assert link.is_symlink() and (tmp_path / "target").read_text().startswith("default via")


@pytest.mark.parametrize("columns", [60, 80])
def test_words_stay_whole_in_narrow_terminals(columns):
    text = CliRunner().invoke(cli, ["run", TWO_ZONES, *PLAIN], env={"COLUMNS": str(columns)}).stdout
    assert "other-subnet" in text and "delivered" in text and "IPIP +20 B" in text
    assert max(map(len, text.splitlines())) <= columns


def test_a_packet_to_oneself_is_refused():
    result = call("trace", TWO_ZONES, "web-a-1-0", "web-a-1-0")
    assert result.exit_code == 2 and "is both ends" in result.stderr


def test_interrupt_is_one_line(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("calisim.cli.options.load", interrupted)
    result = call("run", TWO_ZONES)
    assert result.exit_code == 130 and result.stderr == "calisim: interrupted\n"


def test_an_encoding_that_knows_no_arrows():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    result = run("trace", TWO_ZONES, "web-a-1-0", "web-b-1-0", "--engine", "reference", env=environment)
    assert result.returncode == 0 and result.stderr == ""


def test_nothing_heavy_is_imported_for_help():
    heavy = "('numpy', 'networkx', 'pydantic', 'rich', 'yaml')"
    code = f"import sys, calisim, calisim.cli.main; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_help_names_the_variants_that_are_compared_by_default():
    told = " ".join(call("compare", "--help").stdout.split())
    assert "default: the scenario's own, else overlay-ipip, calico-cross-subnet, calico-no-encap." in told
