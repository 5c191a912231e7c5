"""Recordings: frames of every crossing, comments of losses, made-up fields that agree; tshark and tcpdump judge."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import calisim
from calisim.analysis.network import Network
from calisim.errors import UsageError
from calisim.report import capture
from calisim.report.capture import Recording, file_names, record, tunnel_mac
from calisim.traffic.batch import ACK, FIN, SYN, TCP, packet
from calisim.vocabulary import RESULT, Direction, DropReason, Stage, Verdict
from calisim.wire import ipv4, pcap, pcapng, tcp
from calisim.wire.dissect import dissect
from calisim.wire.fragments import reassemble
from calisim.wire.linktypes import IPV4

TWO_ZONES = Path(__file__).parents[1] / "cases" / "scenarios" / "two-zones.yaml"
CHECKS = [part for name in ("ip", "udp", "tcp") for part in ("-o", f"{name}.check_checksum:TRUE")]
BAD = " || ".join(["_ws.malformed", *(f"{name}.checksum.status == 0" for name in ("ip", "tcp", "udp", "icmp"))])


def network(variant: str = "as-is", **edits: str) -> Network:
    said = [f"{path.replace('__', '.')}={value}" for path, value in edits.items()]
    return Network(calisim.load(TWO_ZONES, set=said), variant, engine="reference")


def protocols(recording: Recording) -> set[str]:
    return {">".join(type(layer.header).__name__ for layer in dissect(frame.data).layers) for frame in recording.frames()}


def test_every_crossing_is_a_frame() -> None:
    recording = record(network("overlay-ipip"), "mesh")
    frames = list(recording.frames())
    assert len(frames) == len(recording) == len(recording.run.events)
    assert protocols(recording) == {"Ipv4>Tcp", "Ipv4>Ipv4>Tcp"}
    assert {frame.interface for frame in frames} == set(recording.interfaces) and "a-1/tunl0" in recording.interfaces
    assert {frame.linktype for frame in frames} == {IPV4} and {frame.comment for frame in frames} == {""}
    first = frames[0]
    assert (first.time, first.direction) == (int(recording.run.events[0]["time"]), Direction.IN)


def test_both_orders_hold_the_same_frames() -> None:
    recording = record(network(), None, replies=True)
    by_interface = {name: list(frames) for name, frames in recording.by_interface()}
    for name, frames in by_interface.items():
        assert frames == [frame for frame in recording.frames() if frame.interface == name]
    assert sum(map(len, by_interface.values())) == len(recording)


def test_all_checksums_are_right() -> None:
    for variant in ("overlay-ipip", "overlay-vxlan", "calico-no-encap"):
        for frame in record(network(variant), None, replies=True).frames():
            assert dissect(frame.data).wrong == () and dissect(frame.data).fault is None


def test_a_loss_is_told_on_the_last_frame() -> None:
    recording = record(network("calico-no-encap", **{"nodes__*__sourceDestCheck": "true"}), "mesh")
    comments = [frame for frame in recording.frames() if frame.comment]
    lost = {reason.name: count for reason, count in recording.run.tally.lost().items()}
    assert lost["SOURCE_CHECK"] == len(comments) and sum(lost.values()) == len(comments)
    assert comments[0].comment.startswith("SOURCE_CHECK at a-1: ") and comments[0].interface == "a-1/eth0"
    assert recording.unseen() == {}


def test_what_was_never_on_an_interface_is_counted() -> None:
    recording = record(network(traffic__mesh__size="30"), "mesh")
    assert recording.unseen() == {"MALFORMED": 30} and len(recording) == 0 and not recording.interfaces


def test_an_undetermined_packet_says_where() -> None:
    made = network()
    run = made.run("mesh", events=True)
    results = run.families[0][0].results.results
    results["verdict"], results["stage"] = Verdict.UNDETERMINED, Stage.FRAGMENT
    frames = list(Recording(made.intent, run).frames())
    assert [frame.comment for frame in frames if frame.comment] == ["undetermined at stage fragment"] * 30
    assert frames[-1].comment


def test_tcp_numbers_follow_the_connection() -> None:
    """Through the masquerade, too: the outside host acknowledges what it got from the node's address."""
    recording = record(network(), "out", replies=True)
    request, answer = recording.run.packets[0], recording.run.packets[6]
    assert (answer["src"], answer["sport"]) == (request["dst"], request["dport"]) and answer["dst"] != request["src"]
    first = np.searchsorted(recording.run.events["row"], (0, 6))
    frames = list(recording.frames())
    sent, back = (tcp.parse(ipv4.parse(frames[position].data)[1])[0] for position in first)
    assert (sent.seq, back.seq, back.ack) == (1, 1, 1 + int(request["length"]) - 40)


def test_syn_and_fin_take_a_number_each() -> None:
    ends = {"src": 1, "dst": 2, "protocol": TCP, "sport": 4000, "dport": 80}
    wave = np.concatenate([packet(**ends, length=length, tcp_flags=flags)
                           for length, flags in ((40, SYN), (140, ACK), (50, ACK | FIN), (40, ACK))])
    results = np.zeros(len(wave), RESULT)
    for column in ("src", "dst", "sport", "dport"):
        results[column] = wave[column]
    assert capture.tcp_numbers(wave, results)[:, 0].tolist() == [0, 1, 101, 112]


def test_more_packets_than_a_capture_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "MOST_PACKETS", 20)
    with pytest.raises(UsageError, match=r"at most 20 packets, .* has 36: --traffic out sends 6; .*traffic\.mesh\.from="):
        record(network(), None)
    assert record(network(), "out").run.tally.sent == 6
    with pytest.raises(UsageError, match="no set is small enough"):
        record(network(), "mesh")


def test_file_names_are_safe_and_unlike() -> None:
    assert file_names(("a/eth0", "a_eth0", "host/x y/eth0")) == {
        "a/eth0": "a_eth0.pcap", "a_eth0": "a_eth0_2.pcap", "host/x y/eth0": "host_x_y_eth0.pcap"}


def test_tunnel_macs_are_the_nodes_own() -> None:
    assert tunnel_mac("a-1")[:1] == b"\x66" and len({tunnel_mac(name) for name in ("a-1", "a-2", "b-1")}) == 3


def big(variant: str = "overlay-ipip", **edits: str) -> Network:
    """Datagrams of 3,000 bytes without DF, on links of 1,500."""
    return network(variant, provider="linux", **{
        f"traffic__{name}__{key}": value for name in ("mesh", "out") for key, value in (
            ("protocol", "udp"), ("size", "3000"), ("df", "false"))} | edits)


def test_pieces_and_what_they_become_are_frames() -> None:
    recording = record(big(), "mesh")
    of_one = [frame.data for frame in recording.frames() if ipv4.parse(frame.data)[0].id == 1]
    pieces = [data for data in of_one if ipv4.parse(data)[0].protocol == ipv4.UDP]
    assert all(ipv4.parse(data)[0].is_fragment for data in pieces)
    made = reassemble(pieces[:3])                       # as the pod sends them
    assert made is not None and len(made.packet) == 3000 and dissect(made.packet).wrong == ()
    assert {frame.comment for frame in recording.frames()} == {""} and recording.unseen() == {}
    assert len(recording) == len(recording.run.events)


def test_outer_pieces_are_cut_from_one_packet() -> None:
    """A router's narrow leg cuts VXLAN's outer packets, whose identification all their pieces share."""
    made = network("overlay-vxlan", provider="linux", traffic__mesh__size="1400", nodes__b__mtu="1500",
                   **{"vpcs__prod__subnets__zone-b__mtu": "1200"})
    recording = record(made, "mesh")
    at_b = [frame.data for frame in recording.frames() if (frame.interface, frame.direction) == ("b-1/eth0", Direction.IN)]
    cut = [data for data in at_b if ipv4.parse(data)[0].is_fragment]
    assert len(cut) >= 2 and recording.run.tally.lost() == {DropReason.FABRIC_MTU: 8}         # what b itself sends is too long
    whole = reassemble(cut[:2])
    assert whole is not None and len(whole.packet) == 1450 and dissect(whole.packet).wrong == ()


def test_errors_come_when_they_are_sent() -> None:
    recording = record(network("overlay-ipip", traffic__mesh__ttl="1"), "mesh")
    errors = [frame for frame in recording.frames() if ipv4.parse(frame.data)[0].protocol == ipv4.ICMP]
    assert errors and all(dissect(frame.data).wrong == () for frame in errors)
    times = [frame.time for frame in recording.frames()]
    assert times == sorted(times) and recording.run.tally.lost() == {DropReason.TTL_EXCEEDED: 30}
    assert sum(bool(frame.comment) for frame in recording.frames()) == 30


def test_a_loss_to_a_learnt_path_mtu_names_no_device() -> None:
    """IP-in-IP with DF behind a narrow leg: the node is told, and the next packet is too long for what it has learnt."""
    again = {f"traffic__{name}__{key}": value for name in ("mesh", "out") for key, value in (("to", "all()"), ("size", "1480"))}
    made = network("overlay-ipip", provider="linux", nodes__b__mtu="1500", **again,
                   **{"vpcs__prod__subnets__zone-a__mtu": "1500", "vpcs__prod__subnets__zone-b__mtu": "1400"})
    told = {frame.comment.partition(" [")[0] for frame in record(made, None).frames() if "MTU_EXCEEDED" in frame.comment}
    assert told and told == {
        f"MTU_EXCEEDED at {node}: 1,500 bytes with DF set are more than the path takes, as {node} has learnt from an ICMP 3/4"
        for node in ("a-1", "a-2")}


def test_answers_of_stacks_are_frames() -> None:
    recording = record(network("overlay-ipip", settings__stack="answer", traffic__mesh__protocol="icmp"), "mesh")
    kinds = {ipv4.parse(frame.data)[1][0] for frame in recording.frames() if ipv4.parse(frame.data)[0].protocol == ipv4.ICMP}
    assert kinds == {0, 8} and recording.run.tallies["mesh (replies)"].success == 30


# --- other programs

def judge(*command: str) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.fixture(params=[
    ("overlay-ipip", "tcp"), ("overlay-vxlan", "tcp"), ("calico-no-encap", "tcp"), ("overlay-ipip", "udp"),
    ("overlay-vxlan", "icmp"), ("calico-no-encap", "ipip"), ("overlay-ipip", "sctp")], ids="-".join)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Recording, Path]:
    """All traffic and its answers, with the check on: tunnels, NAT and losses."""
    variant, protocol = request.param
    made = network(variant, **{"nodes__*__sourceDestCheck": "true", "traffic__mesh__protocol": protocol})
    recording = record(made, None, replies=True)
    path = tmp_path / "hops.pcapng"
    with path.open("wb") as stream:
        writer = pcapng.Writer(stream)
        for frame in recording.frames():
            writer.write(frame)
    outer = {"overlay-ipip": "ip:", "overlay-vxlan": "ip:udp:vxlan:eth:ethertype:"}.get(variant, "")
    return outer + {"ipip": "ip:ip"}.get(protocol, f"ip:{protocol}"), recording, path


def test_tshark_finds_nothing_wrong(written: tuple[str, Recording, Path]) -> None:
    layers, recording, path = written
    assert judge("tshark", "-n", "-r", str(path), *CHECKS, "-Y", BAD) == ""
    fields = ("frame.protocols", "frame.interface_name", "frame.comment", "frame.time_epoch")
    rows = [line.split("\t") for line in judge(
        "tshark", "-n", "-r", str(path), "-T", "fields", *(part for field in fields for part in ("-e", field))).splitlines()]
    frames = list(recording.frames())
    assert [(row[1], row[2], row[3].replace(".", "")) for row in rows] == [
        (frame.interface, frame.comment, f"{frame.time:010}") for frame in frames]
    assert any(row[0].removeprefix("raw:").startswith(layers) for row in rows)


@pytest.mark.parametrize(("variant", "edits"), [
    ("overlay-ipip", {}), ("overlay-vxlan", {}), ("calico-no-encap", {"traffic__mesh__ttl": "1"})])
def test_tshark_puts_all_pieces_together(variant: str, edits: dict[str, str], tmp_path: Path) -> None:
    recording = record(big(variant, **edits), None, replies=True)
    with (tmp_path / "hops.pcapng").open("wb") as stream:
        writer = pcapng.Writer(stream)
        for frame in recording.frames():
            writer.write(frame)
    assert judge("tshark", "-n", "-r", str(tmp_path / "hops.pcapng"), *CHECKS, "-Y", f"{BAD} || ip.fragment.error") == ""
    assert judge("tshark", "-n", "-r", str(tmp_path / "hops.pcapng"), "-Y", "udp.length == 2980 && !icmp").count("\n") >= 30


def test_tcpdump_finds_nothing_wrong(written: tuple[str, Recording, Path], tmp_path: Path) -> None:
    _, recording, path = written
    name, frames = max(((name, list(frames)) for name, frames in recording.by_interface()), key=lambda item: len(item[1]))
    with (tmp_path / "one.pcap").open("wb") as stream:
        writer = pcap.Writer(stream, IPV4)
        for frame in frames:
            writer.write(frame)
    for file, count in ((path, len(recording)), (tmp_path / "one.pcap", len(frames))):
        text = judge("tcpdump", "-nvv", "-r", str(file))
        assert text.count("IP (tos") >= count
        assert not re.findall(r"\b(?:bad|incorrect|wrong|truncated)\b|\[\|", text), name
