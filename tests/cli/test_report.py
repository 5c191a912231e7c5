"""``calisim report``: a whole file or none, and errors as every command says them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from click.testing import CliRunner

from calisim.cli.main import cli

ROOT = Path(__file__).parents[2]
TWO_ZONES = str(ROOT / "tests" / "cases" / "scenarios" / "two-zones.yaml")


def call(*arguments: str):
    return CliRunner().invoke(cli, ["report", *arguments], prog_name="calisim")


def shown(path: Path) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text("utf-8"), re.DOTALL)[1])


def test_one_variant_unless_more_are_asked_for(tmp_path):
    made = tmp_path / "report.html"
    for arguments, variants in (
        ([], ["as-is"]), (["--variant", "overlay-ipip"], ["overlay-ipip"]),
        (["--variants", "overlay-vxlan,calico-no-encap"], ["overlay-vxlan", "calico-no-encap"]),
    ):
        assert call(TWO_ZONES, *arguments, "-o", str(made)).exit_code == 0
        assert [one["id"] for one in shown(made)["variants"]] == variants


def test_compare_shows_the_variants_of_the_scenario(tmp_path):
    made = tmp_path / "report.html"
    assert call(TWO_ZONES, "--compare", "-o", str(made)).exit_code == 0
    told = shown(made)
    ids = [one["id"] for one in told["variants"]]
    assert [one["id"] for one in told["comparison"]["variants"]] == ids and len(ids) > 1


def test_a_packet_that_is_asked_for_comes_first(tmp_path):
    made = tmp_path / "ticket.html"
    packet = ("--packet", "node/a-1", "10.9.9.9", "--protocol", "udp", "--port", "53")
    result = call(TWO_ZONES, *packet, "--set", "seed=7", "-o", str(made))
    assert result.exit_code == 0, result.output
    first = shown(made)["journeys"][0]
    assert (first["from"], first["to"], first["port"], first["packets"]) == ("node/a-1", "10.9.9.9", 53, 0)
    assert "--protocol udp --set seed=7" in first["commands"]["as-is"]


def test_mistakes_leave_the_file_as_it_was(tmp_path):
    made = tmp_path / "report.html"
    made.write_text("before")
    for arguments, cause in (
        ([TWO_ZONES, "--variant", "nowhere"], "nowhere"), ([TWO_ZONES, "--variant", "as-is", "--compare"], "exclude each other"),
        ([TWO_ZONES, "--packet", "node/a-1", "nobody"], "'nobody'"),
        ([TWO_ZONES, "--packet", "node/a-1", "node/a-1"], "both ends"), ([str(tmp_path / "none.yaml")], "none.yaml"),
    ):
        result = call(*arguments, "-o", str(made))
        assert result.exit_code == 2 and cause in result.stderr and "Traceback" not in result.output
    assert made.read_text() == "before" and list(tmp_path.iterdir()) == [made]


def test_a_folder_that_is_not_there_is_said(tmp_path):
    result = call(TWO_ZONES, "-o", str(tmp_path / "none" / "report.html"))
    assert result.exit_code == 2 and "cannot be written" in result.stderr


def test_output_is_the_same_every_time(tmp_path):
    texts = []
    for name in ("one.html", "other.html"):
        assert call(TWO_ZONES, "--compare", "-o", str(tmp_path / name)).exit_code == 0
        texts.append((tmp_path / name).read_text("utf-8"))
    assert texts[0] == texts[1]
