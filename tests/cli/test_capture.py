"""``calisim capture``: what is written where, and which calls are refused."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from calisim.cli.main import cli
from calisim.wire.capture import read

TWO_ZONES = str(Path(__file__).parents[1] / "cases" / "scenarios" / "two-zones.yaml")


def call(*arguments: str):
    return CliRunner().invoke(cli, ["capture", TWO_ZONES, "--engine", "reference", *arguments], prog_name="calisim")


def test_file_and_folder_hold_the_same_frames(tmp_path):
    single, folder = tmp_path / "hops.pcapng", tmp_path / "hops"
    for target in (single, folder):
        result = call("--replies", "-o", str(target))
        assert result.exit_code == 0 and f"in {target}" in result.stdout, result.output
    with single.open("rb") as stream:
        together = list(read(stream))
    apart = {}
    for path in folder.iterdir():
        with path.open("rb") as stream:
            apart[path.stem] = [(frame.time, frame.data) for frame in read(stream)]
    assert apart.keys() == {frame.interface.replace("/", "_") for frame in together}
    for name, frames in apart.items():
        assert frames == [(frame.time, frame.data) for frame in together if frame.interface.replace("/", "_") == name]


def test_standard_output_and_losses(tmp_path):
    result = call("-o", "-", "--set", "nodes.*.sourceDestCheck=true", "--variant", "calico-no-encap")
    frames = list(read(io.BytesIO(result.stdout_bytes)))
    lost = [frame for frame in frames if "SOURCE_CHECK" in frame.comment]
    assert lost and f"last frame says why: SOURCE_CHECK {len(lost)}" in result.stderr


def test_json(tmp_path):
    made = json.loads(call("-o", str(tmp_path / "x.pcapng"), "--traffic", "out", "--json").stdout)
    assert made["kind"] == "Capture" and made["packets"]["sent"] == 6 and made["frames"] == 18 and made["unseen"] == {}
    assert "host/api/eth0" in made["interfaces"]


def test_a_replay_of_a_capture_sends_what_was_captured_at_the_pods(tmp_path):
    call("-o", str(tmp_path / "hops"), "--traffic", "mesh")
    interface = next((tmp_path / "hops").glob("a-1_cali*.pcap"))
    result = CliRunner().invoke(cli, ["run", TWO_ZONES, "--replay", str(interface), "--engine", "reference", "--json"])
    made = json.loads(result.stdout)
    assert made["replay"]["read"] == made["replay"]["sent"] == made["packets"]["delivered"] == 10


@pytest.mark.parametrize(("output", "says"), [
    ("hops.pcap", "FILE.pcapng"), ("taken", "FILE.pcapng"), ("full", "not empty"), ("nowhere/x.pcapng", "cannot be written")])
def test_wrong_outputs(tmp_path, output, says):
    (tmp_path / "taken").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    result = call("-o", str(tmp_path / output))
    assert result.exit_code == 2 and says in result.stderr and "Traceback" not in result.output
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["full", "mine", "taken"]


def test_the_limit_is_named_with_its_cure(tmp_path):
    result = call("-o", str(tmp_path / "x.pcapng"), "--set", "traffic.mesh.packets=100000")
    assert result.exit_code == 2 and "at most 100,000 packets" in result.stderr and "--traffic out sends 6" in result.stderr
    assert not list(tmp_path.iterdir())
