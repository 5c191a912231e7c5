"""What a real kernel put on the wire: every byte is understood, every checksum right, and emitting gives the same bytes."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from calisim.wire import capture, ipv4, linktypes, tcp, udp
from calisim.wire.dissect import Layer, assemble, dissect
from calisim.wire.fragments import fragment, reassemble

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("CALISIM_CONFORMANCE") or ROOT / "../shared/conformance") / "kernel"
CASES = sorted(DATA.glob("*/golden.json"))


def golden(path: Path) -> set[bytes]:
    packets = json.loads(path.read_text())["packets"]
    return {bytes.fromhex(text) for packet in packets for text in [*packet["bytes"], packet.get("sent", "")] if text}


def unfilled(layer: Layer, *, cut: bool) -> Layer:
    """A layer whose lengths and checksum are to be computed anew, where all that they cover is there."""
    header = layer.header
    if layer.right:
        header = replace(header, checksum=None)                                     # type: ignore[call-arg]
    if isinstance(header, ipv4.Ipv4 | udp.Udp) and not cut:
        header = replace(header, length=None)
    return replace(layer, header=header)


@pytest.mark.parametrize("path", CASES or [None], ids=lambda path: path.parent.name if path else "absent")
def test_golden_bytes(path: Path | None) -> None:
    if path is None:
        pytest.skip(f"no conformance data: {DATA} is absent (set CALISIM_CONFORMANCE)")
    packets = golden(path)
    assert packets
    for data in packets:
        seen = dissect(data)
        assert seen.fault is None and not seen.wrong, data.hex()
        assert assemble(seen.layers, seen.payload) == data
        partial = ipv4.parse(data)[0].is_fragment or any(
            isinstance(layer.header, ipv4.Ipv4) and layer.header.is_fragment for layer in seen.layers)
        computed = tuple(unfilled(layer, cut=partial or layer.quoted) for layer in seen.layers)
        assert assemble(computed, seen.payload) == data
        assert all(layer.right for layer in seen.layers
                   if isinstance(layer.header, ipv4.Ipv4 | tcp.Tcp) and not (partial or layer.quoted))


def test_golden_fragments() -> None:
    """The pieces of each packet of the fragment cases give a whole one that is right, and cut again give the same pieces."""
    if not (DATA / "nat-fragments").exists():
        pytest.skip(f"no conformance data: {DATA}/nat-fragments is absent (set CALISIM_CONFORMANCE)")
    groups: dict[tuple[int, ...], set[bytes]] = {}
    for data in golden(DATA / "nat-fragments" / "golden.json"):
        header, _ = ipv4.parse(data)
        if header.is_fragment:
            groups.setdefault((header.src, header.dst, header.protocol, header.id, header.ttl), set()).add(data)
    assert groups
    complete = 0
    for group in groups.values():
        whole = reassemble(sorted(group, key=lambda data: ipv4.parse(data)[0].offset))
        if whole is None:
            continue
        complete += 1
        seen = dissect(whole.packet)
        assert seen.fault is None and not seen.wrong and seen.layers[-1].right
        assert set(fragment(whole.packet, whole.largest)) == group
    assert complete > 5


def test_captures() -> None:
    paths = sorted(DATA.glob("*/*.pcap.gz"))
    if not paths:
        pytest.skip(f"no conformance data: no captures below {DATA} (set CALISIM_CONFORMANCE)")
    count = 0
    for path in paths:
        with path.open("rb") as stream:
            for frame in capture.read(stream):
                inside = linktypes.unwrap(frame)
                if inside:
                    count += 1
                    seen = dissect(bytes(inside.packet))
                    assert seen.fault is None and not seen.wrong, (path.name, frame.number)
                    assert inside.interface.startswith("if") and inside.direction is not None
    assert count > len(CASES)
