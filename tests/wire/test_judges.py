"""tshark and tcpdump read what is written here: layers, names, comments, checksums. Skipped where they are not installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from calisim.vocabulary import Direction
from calisim.wire import ethernet, linktypes, pcap, pcapng
from calisim.wire.frame import Frame
from tests import fuzz_wire

TIME = 1_700_000_000_123_456_789
LAYERS = ["ip:udp:data", "ip:tcp", "ip:icmp:data", "ip:ip:tcp", "ip:udp:vxlan:eth:ethertype:ip:udp:data", "ip:icmp:ip:ip:tcp"]
BAD = " || ".join(["_ws.malformed", *(f"{name}.checksum.status == 0" for name in ("ip", "tcp", "udp", "icmp"))])


def judge(*command: str) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert not [line for line in done.stderr.splitlines() if "reading from file" not in line and "running as" not in line.lower()]
    return done.stdout


def frames(linktype: int) -> list[Frame]:
    """One of each kind of packet, in whole and in fragments."""
    mac = ethernet.Ethernet(b"\2" * 6, b"\4" * 6)
    inside = [ethernet.emit(mac, data) if linktype == linktypes.ETHERNET else data for data in fuzz_wire.packets()]
    return [Frame(TIME + number, data, len(data), linktype, f"node/n{number % 3}", Direction(number & 1), f"why {number}")
            for number, data in enumerate(inside)]


# libpcap refuses a pcapng file with more than one interface of type 101 (its reader compares it with another number); 228 is good
@pytest.fixture(params=[linktypes.ETHERNET, linktypes.IPV4], ids=["ethernet", "ipv4"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Path]:
    """The same frames in both formats."""
    paths = {name: tmp_path / f"frames.{name}" for name in ("pcap", "pcapng")}
    with paths["pcap"].open("wb") as one, paths["pcapng"].open("wb") as other:
        writers = pcap.Writer(one, request.param), pcapng.Writer(other)
        for frame in frames(request.param):
            for writer in writers:
                writer.write(frame)
    return paths


def tshark(path: Path, *arguments: str) -> list[list[str]]:
    checks = [part for name in ("ip", "tcp", "udp") for part in ("-o", f"{name}.check_checksum:TRUE")]
    return [line.split("\t") for line in judge("tshark", "-n", "-r", str(path), *checks, *arguments).splitlines()]


@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
def test_tshark_agrees(written: dict[str, Path], kind: str) -> None:
    rows = tshark(written[kind], "-T", "fields", "-e", "frame.protocols", "-e", "frame.time_epoch")
    assert len(rows) == len(fuzz_wire.packets())
    found = [protocols.removeprefix("eth:ethertype:").removeprefix("raw:") for protocols, _ in rows]
    assert [layers.startswith(expected) for layers, expected in zip(found, LAYERS, strict=False)] == [True] * len(LAYERS), found
    assert [time.rpartition(".")[2] for _, time in rows] == [f"{123_456_789 + number}" for number in range(len(rows))]
    assert tshark(written[kind], "-Y", BAD) == []


def test_tshark_sees_a_wrong_checksum(tmp_path: Path) -> None:
    """Otherwise its silence says nothing."""
    data = bytearray(fuzz_wire.packets()[0])
    data[-1] ^= 1
    with (tmp_path / "wrong.pcap").open("wb") as stream:
        pcap.Writer(stream, linktypes.IPV4).write(Frame(TIME, bytes(data), len(data), linktypes.IPV4))
    assert len(tshark(tmp_path / "wrong.pcap", "-Y", BAD)) == 1


def test_tshark_reads_names_and_comments(written: dict[str, Path]) -> None:
    fields = ("frame.interface_name", "frame.comment", "frame.packet_flags_direction")
    rows = tshark(written["pcapng"], "-T", "fields", *(part for field in fields for part in ("-e", field)))
    assert [row[:2] for row in rows] == [[f"node/n{number % 3}", f"why {number}"] for number in range(len(rows))]
    assert [int(row[2], 0) for row in rows] == [1 + (number & 1) for number in range(len(rows))]


@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
def test_tcpdump_agrees(written: dict[str, Path], kind: str) -> None:
    text = judge("tcpdump", "-nvv", "-r", str(written[kind]))
    assert "IP (tos 0x0, ttl 64" in text and "VXLAN" in text and "ipip" in text.lower()
    assert not [word for word in ("bad", "incorrect", "wrong", "truncated", "[|") if word in text]
