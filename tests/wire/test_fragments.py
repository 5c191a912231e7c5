"""Cutting and putting together, with the sizes that a Linux 6.1 kernel was measured to make."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calisim.wire import ipv4
from calisim.wire.fragments import fragment, reassemble
from calisim.wire.octets import MalformedPacket


def packet(length: int, **fields: int | bytes) -> bytes:
    header = ipv4.Ipv4(1, 2, ipv4.UDP, **{"id": 9, "tos": 8, "ttl": 7, **fields})        # type: ignore[arg-type]
    return ipv4.emit(header, bytes(at * 7 & 255 for at in range(length - header.size)))


def piece(start: int, size: int, *, more: bool, **fields: int) -> bytes:
    return ipv4.emit(ipv4.Ipv4(1, 2, ipv4.UDP, id=9, fragment=start // 8 | more << 13 | fields.pop("df", 0) << 14, **fields),
                     bytes(at & 255 for at in range(start, start + size)))


def sizes(pieces: list[bytes]) -> list[int]:
    return [len(data) for data in pieces]


@pytest.mark.parametrize(("length", "mtu", "expected"), [
    (1481, 1480, [1476, 25]), (1451, 1450, [1444, 27]),         # one byte beyond IPIP's and VXLAN's MTU
    (1440, 756, [756, 704]), (1800, 1480, [1476, 344]), (1480, 1480, [1480]),
    (2939, 1481, [1476, 1476, 27]),
    (1476 + 1461, 1481, [1476, 1481]),                          # the last one need not be a multiple of 8
    (28, 28, [28]), (44, 28, [28, 28, 28]),
])
def test_sizes_are_those_of_linux(length: int, mtu: int, expected: list[int]) -> None:
    assert sizes(fragment(packet(length), mtu)) == expected


def test_fields_stay() -> None:
    pieces = [ipv4.parse(data)[0] for data in fragment(packet(100), 60)]
    assert [(header.offset, header.more_fragments) for header in pieces] == [(0, True), (40, False)]
    assert all((header.id, header.tos, header.ttl) == (9, 8, 7) for header in pieces)
    assert all(map(ipv4.verify, fragment(packet(100), 60)))


def test_fragment_is_cut_again() -> None:
    second = fragment(packet(1000), 500)[1]
    headers = [ipv4.parse(data)[0] for data in fragment(second, 300)]
    assert [(header.offset, header.more_fragments) for header in headers] == [(480, True), (760, True)]


def test_options_of_later_fragments() -> None:
    """Record route (07) is not to be copied, router alert (94) is; RFC 791 §3.1."""
    pieces = fragment(packet(200, options=bytes.fromhex("0707040000000094040000" "00")), 100)
    assert [ipv4.parse(data)[0].options.hex() for data in pieces[:2]] == ["070704000000009404000000", "010101010101019404000000"]
    broken = bytes.fromhex("07ff0400")
    assert ipv4.parse(fragment(packet(200, options=broken), 100)[1])[0].options == broken


def test_no_room() -> None:
    with pytest.raises(ValueError, match="no room"):
        fragment(packet(100), 27)


@given(st.integers(21, 3000), st.integers(28, 1500), st.randoms(use_true_random=False))
def test_reassemble_is_the_inverse(length: int, mtu: int, chance) -> None:
    whole = packet(length)
    pieces = fragment(whole, mtu)
    chance.shuffle(pieces)
    found = reassemble(pieces)
    assert found is not None and found.packet == whole and found.largest == max(sizes(pieces))
    if len(pieces) > 1:
        assert reassemble(pieces[1:]) is None, "one is missing"


def test_any_order() -> None:
    whole = packet(100)
    for order in permutations(fragment(whole, 48)):
        found = reassemble(order)
        assert found and found.packet == whole


def test_cut_again_at_the_largest() -> None:
    """What came as 756 + 704 leaves as 756 + 704, though the link would take it whole."""
    found = reassemble(fragment(packet(1440), 756))
    assert found and sizes(fragment(found.packet, min(1500, found.largest))) == [756, 704]


def test_duplicates_are_ignored() -> None:
    first, second = fragment(packet(100), 60)
    found = reassemble([first, first, second])
    assert found and found.packet == packet(100)
    inside = reassemble([piece(0, 40, more=True), piece(8, 16, more=True), piece(40, 3, more=False)])
    assert inside and inside.packet[20:] == bytes(range(43))


def test_duplicate_across_two_fragments() -> None:
    """Linux joins fragments that come in order: what lies across two of these is a duplicate, otherwise an overlap."""
    first, second, across = (piece(start, 16, more=True) for start in (0, 16, 8))
    last = piece(32, 1, more=False)
    found = reassemble([first, second, across, last])
    assert found and found.packet[20:] == bytes(range(33))
    with pytest.raises(MalformedPacket, match="overlap"):
        reassemble([second, first, across, last])


@pytest.mark.parametrize(("pieces", "reason"), [
    ([piece(0, 40, more=True), piece(32, 40, more=False)], "overlap"),
    ([piece(16, 8, more=True), piece(0, 40, more=True)], "overlap"),
    ([piece(0, 40, more=True), piece(16, 8, more=False)], "beyond"),
    ([piece(40, 8, more=False), piece(48, 8, more=True)], "beyond"),
    ([piece(40, 8, more=False), piece(40, 16, more=False)], "beyond"),
    ([piece(0, 7, more=True)], "without payload"),
    ([piece(0, 8, more=True, tos=1), piece(8, 8, more=False, tos=0)], "ECN"),
    ([piece(0, 8, more=True), piece(8, 8, more=False, ttl=3), packet(60)[:4] + b"\0\1" + packet(60)[6:]], "different packets"),
    ([piece(start, 65_000, more=start < 1) for start in (0, 65_000)], "130020 bytes"),
])
def test_reassemble_rejects(pieces: list[bytes], reason: str) -> None:
    with pytest.raises(MalformedPacket, match=reason):
        reassemble(pieces)


def test_marks_of_the_whole() -> None:
    """CE in one is CE in all; DF if the largest fragment had it."""
    def whole(*pieces: bytes) -> ipv4.Ipv4:
        found = reassemble(pieces)
        assert found
        return ipv4.parse(found.packet)[0]

    assert whole(piece(0, 8, more=True, tos=0x2A), piece(8, 8, more=False, tos=3)).tos == 0x2B
    assert whole(piece(0, 16, more=True, df=1), piece(16, 8, more=False)).dont_fragment
    assert not whole(piece(0, 16, more=True), piece(16, 8, more=False, df=1)).dont_fragment
