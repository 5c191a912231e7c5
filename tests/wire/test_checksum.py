"""The Internet checksum against RFC examples and against a sum word by word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from calisim.wire.checksum import checksum, fold, pseudo_header, update

words = st.integers(0, 0xFFFF)


def by_hand(data: bytes) -> int:
    """RFC 1071 §4.1, word by word."""
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at:at + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def test_example_of_rfc_1071() -> None:
    """§3: the words 0001 f203 f4f5 f6f7 sum to ddf2."""
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xDDF2 ^ 0xFFFF


def test_example_of_rfc_1624() -> None:
    """§4: a header with checksum dd2f whose field goes from 5555 to 3285 has 0000 (equation 2 would give ffff)."""
    assert update(0xDD2F, 0x5555, 0x3285) == 0x0000


def test_zeros_are_kept_apart() -> None:
    assert fold(0) == 0 and fold(0xFFFF) == 0xFFFF and fold(0x1FFFE) == 0xFFFF and fold(0x10000) == 1
    assert checksum(bytes(4)) == 0xFFFF and checksum(b"\xff" * 4) == 0 and checksum(b"") == 0xFFFF


@given(st.binary(max_size=301))
def test_checksum_agrees(data: bytes) -> None:
    assert checksum(data) == by_hand(data)
    assert checksum(memoryview(data)) == by_hand(data)


@given(st.lists(words, min_size=2, max_size=12), st.integers(0, 11), words)
def test_update_agrees_with_the_whole(values: list[int], at: int, new: int) -> None:
    """Also where the sum runs through either zero; all-zero data do not occur, since a header is never all zero."""
    at %= len(values)
    changed = [*values[:at], new, *values[at + 1:]]
    if not any(changed) or not any(values):
        return
    before, after = (b"".join(value.to_bytes(2, "big") for value in row) for row in (values, changed))
    assert update(checksum(before), values[at], new) == checksum(after)


def test_update_at_every_corner() -> None:
    """All pairs of values next to the zeros, in data whose sum is next to a zero."""
    near = [0, 1, 2, 0x7FFF, 0x8000, 0xFFFD, 0xFFFE, 0xFFFF]
    for rest in near[1:]:
        for old in near:
            for new in near:
                whole = [checksum(rest.to_bytes(2, "big") + value.to_bytes(2, "big")) for value in (old, new)]
                assert update(whole[0], old, new) == whole[1], (rest, old, new)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), words.filter(bool))
def test_update_of_an_address(old: int, new: int, rest: int) -> None:
    before, after = (checksum(rest.to_bytes(2, "big") + address.to_bytes(4, "big")) for address in (old, new))
    assert update(before, old, new, 32) == after


def test_pseudo_header() -> None:
    assert pseudo_header(0xC0A80001, 0x0A000002, 17, 9) == 0xC0A8 + 1 + 0x0A00 + 2 + 17 + 9
