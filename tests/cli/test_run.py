"""``calisim run --replay``: a capture through the cluster, its account, and how a broken one ends."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import calisim
from calisim.analysis.network import Network
from calisim.cli.main import cli
from calisim.wire import icmp, ipv4, pcap, udp
from calisim.wire.fragments import fragment
from calisim.wire.frame import Frame
from calisim.wire.linktypes import RAW

TWO_ZONES = str(Path(__file__).parents[1] / "cases" / "scenarios" / "two-zones.yaml")


def call(*arguments: str, input: bytes | None = None):
    return CliRunner().invoke(cli, ["run", TWO_ZONES, "--engine", "reference", *arguments], input=input, prog_name="calisim")


@pytest.fixture(scope="module")
def content() -> bytes:
    """A question, its answer, and a packet of somebody who is not there."""
    intent = Network(calisim.load(TWO_ZONES)).intent
    one, other = (intent.endpoint(intent.endpoint_ids[name]).address for name in ("shop/web-a-1-0", "shop/web-b-1-0"))
    stream = io.BytesIO()
    writer = pcap.Writer(stream, RAW)
    for time, (src, dst, sport, dport) in enumerate([(one, other, 999, 53), (other, one, 53, 999), (1, other, 5, 53)]):
        data = ipv4.emit(ipv4.Ipv4(src, dst, ipv4.UDP), udp.emit(udp.Udp(sport, dport), b"?", src, dst))
        writer.write(Frame(time, data, len(data), RAW))
    return stream.getvalue()


@pytest.fixture
def file(tmp_path, content) -> str:
    path = tmp_path / "talk.pcap"
    path.write_bytes(content)
    return str(path)


def test_json_has_the_account(file):
    result = call("--replay", file, "--json")
    made = json.loads(result.stdout)
    assert result.exit_code == 0 and made["packets"]["delivered"] == 2 and made["traffic"][0]["name"] == "talk.pcap"
    assert made["replay"] == {
        "name": "talk.pcap", "read": 3, "sent": 2, "waves": 2, "opened": 0, "reordered": 0, "error": None, "leftOut": [
            {"reason": "sender unknown", "packets": 1, "first": 3, "example": made["replay"]["leftOut"][0]["example"]}]}


def test_text_has_the_account(file):
    text = call("--replay", file, "--counters", "--events").stdout
    for words in ("Traffic talk.pcap", "IPIP +20 B", "Left out of talk.pcap", "sender unknown", "0.0.0.1",
                  "3 packets read, 2 sent in 2 waves, 1 left out", "2 packets sent, 2 arrived, 0 lost"):
        assert words in text


def test_standard_input(content):
    assert "2 sent in 2 waves" in call("--replay", "-", input=content).stdout


def test_a_broken_file_reports_what_was_read(file, tmp_path):
    path = Path(file)
    path.write_bytes(path.read_bytes()[:-1])
    answer = tmp_path / "answer.json"
    result = call("--replay", file, "--json", "-o", str(answer))
    assert result.exit_code == 2 and "talk.pcap: packet 3, byte" in result.stderr and "Traceback" not in result.output
    made = json.loads(answer.read_text())
    assert made["packets"]["delivered"] == 2 and made["replay"]["error"]["packet"] == 3


def test_a_capture_of_somebody_else_is_warned_of(content):
    record = 16 + 29                                                   # bytes of each of the three
    strangers = content[:24] + content[-record:]
    result = call("--replay", "-", input=strangers)
    assert result.exit_code == 0 and "1 packet read, 0 sent in 0 waves, 1 left out" in result.stdout
    assert "warning: no packet of <stdin> was sent" in result.stderr


@pytest.mark.parametrize(("arguments", "says"), [
    (["--replay", "nowhere.pcap"], "nowhere.pcap"), (["--replay", TWO_ZONES], "neither pcap nor pcapng"),
    (["--replay", TWO_ZONES, "--traffic", "mesh"], "exclude each other"),
    (["--replay", TWO_ZONES, "--replies"], "exclude each other")])
def test_wrong_calls(arguments, says):
    result = call(*arguments)
    assert result.exit_code == 2 and says in result.stderr and "Traceback" not in result.output


def test_fragments_and_errors_of_a_capture_are_sent(tmp_path) -> None:
    intent = Network(calisim.load(TWO_ZONES)).intent
    one, other = (intent.endpoint(intent.endpoint_ids[name]).address for name in ("shop/web-a-1-0", "shop/web-b-1-0"))
    whole, torn = (
        fragment(ipv4.emit(ipv4.Ipv4(one, other, ipv4.UDP, id=number), udp.emit(udp.Udp(999, 53), bytes(3000), one, other)), 1400)
        for number in (1, 2))
    error = ipv4.emit(ipv4.Ipv4(other, one, ipv4.ICMP), icmp.emit(icmp.unreachable(icmp.PORT_UNREACHABLE), whole[0][:28]))
    path = tmp_path / "pieces.pcap"
    with path.open("wb") as stream:
        writer = pcap.Writer(stream, RAW)
        for time, data in enumerate([*whole, *torn[1:], error]):
            writer.write(Frame(time, data, len(data), RAW))
    said = json.loads(call("--replay", str(path), "--json").output)
    assert said["packets"] == {
        "sent": 6, "delivered": 4, "exited": 0, "dropped": {}, "refused": 0, "undetermined": 0, "continued": 2}
    assert said["replay"]["waves"] == 2 and not said["replay"]["leftOut"]
    assert "fragments missing" in call("--replay", str(path)).output
