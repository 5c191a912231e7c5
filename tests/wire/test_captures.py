"""Captures: written and read back, both byte orders, every block; what is broken is named."""

from __future__ import annotations

import gzip
import io
import random
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calisim.vocabulary import Direction
from calisim.wire import capture, linktypes, pcap, pcapng
from calisim.wire.frame import LONGEST, CaptureError, Frame
from calisim.wire.octets import MalformedPacket
from tests import fuzz_wire

texts = st.text(st.characters(blacklist_categories=("Cs",)), max_size=20)
made = st.builds(lambda time, data, more, linktype, interface, direction, comment: Frame(
    time, data, len(data) + more, linktype, interface, direction, comment),
    st.integers(0, 2**61), st.binary(max_size=70), st.integers(0, 9), st.sampled_from([1, 101, 113]), texts,
    st.sampled_from([None, *Direction]), texts)


def bare(frame: Frame) -> Frame:
    return frame._replace(number=0, offset=0)


def read(data: bytes) -> list[Frame]:
    return list(capture.read(io.BytesIO(data)))


def kept(data: bytes) -> tuple[list[Frame], CaptureError]:
    """What is read of a broken file, and the error behind it."""
    found = []
    with pytest.raises(CaptureError) as caught:
        for frame in capture.read(io.BytesIO(data)):
            found.append(frame)
    return found, caught.value


@given(st.lists(made, max_size=5))
def test_pcapng_inverse(frames: list[Frame]) -> None:
    stream = io.BytesIO()
    writer = pcapng.Writer(stream)
    for frame in frames:
        writer.write(frame)
    found = read(stream.getvalue())
    assert [bare(frame) for frame in found] == frames
    assert [frame.number for frame in found] == list(range(1, len(frames) + 1))


@given(st.lists(made.map(lambda frame: Frame(frame.time, frame.data, frame.length, 101)), max_size=5))
def test_pcap_inverse(frames: list[Frame]) -> None:
    stream = io.BytesIO()
    writer = pcap.Writer(stream, 101)
    for frame in frames:
        writer.write(frame)
    assert [bare(frame) for frame in read(stream.getvalue())] == frames
    assert [bare(frame) for frame in read(gzip.compress(stream.getvalue()))] == frames


@pytest.mark.parametrize("sign", "<>")
@pytest.mark.parametrize(("magic", "nanoseconds"), [(0xA1B2C3D4, 5_000_007_000), (0xA1B23C4D, 5_000_000_007)])
def test_pcap_of_either_order_and_unit(sign: str, magic: int, nanoseconds: int) -> None:
    data = struct.pack(f"{sign}IHHiIII", magic, 2, 4, 0, 0, 96, 0xF0000071) + struct.pack(f"{sign}IIII", 5, 7, 3, 60) + b"abc"
    assert read(data) == [Frame(nanoseconds, b"abc", 60, 113, number=1, offset=24)]


class Blocks:
    """pcapng blocks of either byte order, put together by hand."""

    def __init__(self, sign: str) -> None:
        self.sign = sign

    def pack(self, layout: str, *values: int) -> bytes:
        return struct.pack(self.sign + layout, *values)

    def block(self, kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        length = self.pack("I", len(body) + 12)
        return self.pack("I", kind) + length + body + length

    def option(self, code: int, value: bytes) -> bytes:
        return self.pack("HH", code, len(value)) + value + bytes(-len(value) % 4)

    def section(self) -> bytes:
        return self.block(0x0A0D0D0A, self.pack("IHHq", 0x1A2B3C4D, 1, 0, -1))

    def interface(self, *options: bytes, snap: int = 0) -> bytes:
        return self.block(1, self.pack("HHI", 1, 0, snap) + b"".join(options))

    def packet(self, interface: int, stamp: int, data: bytes, *options: bytes) -> bytes:
        head = self.pack("IIIII", interface, stamp >> 32, stamp & 0xFFFFFFFF, len(data), 99)
        return self.block(6, head + data + bytes(-len(data) % 4) + b"".join(options))


@pytest.fixture(params=["<", ">"])
def blocks(request: pytest.FixtureRequest) -> Blocks:
    return Blocks(request.param)


def test_pcapng_blocks(blocks: Blocks) -> None:
    data = b"".join((
        blocks.section(),
        blocks.interface(blocks.option(2, b"eth0"), blocks.option(9, b"\x09"), blocks.option(14, blocks.pack("q", 100)),
                         bytes(4)),
        blocks.interface(blocks.option(9, b"\x8a"), snap=2),                        # 2**-10 s
        blocks.block(0x0BAD, b"unknown blocks are passed over"),
        blocks.packet(0, 7, b"abcde", blocks.option(1, b"one"), blocks.option(2, blocks.pack("I", 2)), blocks.option(1, b"two")),
        blocks.packet(1, 1536, b"", bytes(4)),
        blocks.block(2, blocks.pack("HHIIII", 1, 0, 0, 1024, 4, 4) + b"old!"),
        blocks.block(3, blocks.pack("I", 3) + b"abc"),
        blocks.section(), blocks.interface(snap=2), blocks.block(3, blocks.pack("I", 3) + b"ab"),
        blocks.packet(0, 5, b"us"),
    ))
    assert [bare(frame) for frame in read(data)] == [
        Frame(100_000_000_007, b"abcde", 99, 1, "eth0", Direction.OUT, "one\ntwo"),
        Frame(1_500_000_000, b"", 99, 1), Frame(1_000_000_000, b"old!", 4, 1), Frame(0, b"abc", 3, 1, "eth0"),
        Frame(0, b"ab", 3, 1), Frame(5_000, b"us", 99, 1),                          # microseconds unless said otherwise
    ]


def broken_pcapng(blocks: Blocks) -> Iterator[tuple[bytes, str]]:
    """What follows a section, an interface and one packet, and the reason of its refusal."""
    yield blocks.packet(1, 0, b""), "interface 1 of 1 described"
    yield blocks.packet(0, 0, b"abcd")[:-6], "block cut short"
    yield blocks.packet(0, 0, b"abcd")[:-4] + bytes(4), "ends with a length of 0"
    yield blocks.packet(0, 0, b"abcd", blocks.option(1, b"x" * 8)[:-4]), "an option of 8 bytes reaches beyond"
    yield blocks.block(6, bytes(16)), "packet block cut short"
    yield blocks.block(6, blocks.pack("IIIII", 0, 0, 0, 5, 5) + bytes(4)), "5 bytes in a block with room for 4"
    yield blocks.block(3, blocks.pack("I", 5) + bytes(4)), "5 bytes in a block with room for 4"
    yield blocks.pack("II", 6, 1 << 25), "33554432 bytes: from 12"
    yield blocks.pack("II", 6, 0xFFFFFFFC), "4294967292 bytes"
    yield blocks.pack("II", 99, 0xFFFFFFFC), "the file ends"
    yield blocks.pack("II", 99, 13), "in steps of 4"
    yield blocks.block(1, bytes(4)), "interface description cut short"
    yield blocks.block(0x0A0D0D0A, bytes(16)), "no byte order"
    yield blocks.block(0x0A0D0D0A, blocks.pack("IHHq", 0x1A2B3C4D, 2, 0, -1)), "pcapng version 2"
    yield b"\1\2\3", "header cut short"


def test_broken_pcapng_is_named(blocks: Blocks) -> None:
    good = blocks.section() + blocks.interface() + blocks.packet(0, 1, b"good")
    for rest, reason in broken_pcapng(blocks):
        found, error = kept(good + rest)
        assert [frame.data for frame in found] == [b"good"], reason
        assert reason in error.reason and str(error).startswith(f"packet 2, byte {error.offset}: ")
        assert len(good) <= error.offset <= len(good + rest)


def test_broken_pcap_is_named() -> None:
    good = fuzz_wire.captures()["pcap"][0]
    found, error = kept(good[:-1])
    assert len(found) == 2 and error.number == 3 and "data cut short" in error.reason
    found, error = kept(good + bytes(8) + struct.pack("<II", LONGEST + 1, 60))
    assert len(found) == 3 and (error.number, error.offset) == (4, len(good)) and "at most" in error.reason
    assert "version 1" in kept(good[:4] + b"\1" + good[5:])[1].reason
    assert "file header" in kept(good[:20])[1].reason


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b", b"not a capture", b"\xa1\xb2\xcd\x34" + bytes(20)])
def test_other_files_are_refused(data: bytes) -> None:
    found, error = kept(data)
    assert not found and error.number == 1


def test_cut_gzip_keeps_what_was_read() -> None:
    stream = io.BytesIO()
    writer = pcap.Writer(stream, 101)
    chance = random.Random(1)
    for number in range(5000):
        writer.write(Frame(number, chance.randbytes(8), 8, 101))
    found, error = kept(gzip.compress(stream.getvalue())[:-20_000])
    assert 0 < len(found) < 5000 and error.number == len(found) + 1


@pytest.mark.parametrize("frame", [Frame(-1, b"", 0, 1), Frame(2**64, b"", 0, 1), Frame(0, bytes(LONGEST + 1), 0, 1)])
def test_writers_reject(frame: Frame) -> None:
    for write in (pcap.Writer(io.BytesIO(), 1).write, pcapng.Writer(io.BytesIO()).write):
        with pytest.raises(ValueError, match="at most|no place"):
            write(frame)
    with pytest.raises(ValueError, match="link type 1 in a file of 101"):
        pcap.Writer(io.BytesIO(), 101).write(Frame(0, b"", 0, 1))


def test_a_comment_of_any_length() -> None:
    """As much as an option holds, never half a letter."""
    stream = io.BytesIO()
    pcapng.Writer(stream).write(Frame(0, b"", 0, 1, comment="é" * 40_000))
    assert read(stream.getvalue())[0].comment == "é" * 32_767


PACKET = fuzz_wire.packets()[0]
MACS = bytes(12)


@pytest.mark.parametrize(("linktype", "head", "interface", "direction"), [
    (1, MACS + b"\x08\x00", "", None),
    (1, MACS + b"\x88\xa8\0\1\x81\0\0\2\x08\x00", "", None),
    *((linktype, b"", "", None) for linktype in (12, 14, 101, 228)),
    (113, b"\0\4" + bytes(12) + b"\x08\x00", "", Direction.OUT),
    (113, b"\0\0" + bytes(12) + b"\x81\0\0\2\x08\x00", "", Direction.IN),
    (276, b"\x08\x00\0\0\0\0\0\3\0\1\0\6" + bytes(8), "if3", Direction.IN),
    (276, b"\x08\x00\0\0\0\0\0\3\0\1\4\6" + bytes(8), "if3", Direction.OUT),
])
def test_packet_inside(linktype: int, head: bytes, interface: str, direction: Direction | None) -> None:
    found = linktypes.unwrap(Frame(0, head + PACKET, 0, linktype))
    assert found == (PACKET, interface, direction)
    named = linktypes.unwrap(Frame(0, head + PACKET, 0, linktype, "eth7", Direction.OUT))
    assert named == (PACKET, "eth7", Direction.OUT), "what the capture says comes first"


@pytest.mark.parametrize(("linktype", "data"), [
    (1, MACS + b"\x08\x06"), (1, MACS + b"\x86\xdd\x60"), (101, b"\x60"), (113, bytes(14) + b"\x86\xdd"), (276, bytes(20)),
])
def test_other_protocols_are_none(linktype: int, data: bytes) -> None:
    assert linktypes.unwrap(Frame(0, data, 0, linktype)) is None


@pytest.mark.parametrize(("linktype", "data"), [(1, MACS), (101, b""), (113, bytes(15)), (276, bytes(19)), (147, PACKET)])
def test_what_cannot_be_unwrapped(linktype: int, data: bytes) -> None:
    with pytest.raises(MalformedPacket):
        linktypes.unwrap(Frame(0, data, 0, linktype))
