"""A few of the mutated inputs of tests/fuzz_wire.py, the same at every run."""

from __future__ import annotations

from tests import fuzz_wire


def test_mutated_bytes_are_read_or_refused() -> None:
    outcomes = dict(fuzz_wire.run(2000, 500, seed=7))
    assert set(outcomes) == {"packets", "pcap", "pcapng"}
    for kind, counted in outcomes.items():
        assert counted["read"] > 20, f"{kind}: mutations that nothing survives test little"
        assert counted["malformed"] + counted["refused"] > 20


def test_unmutated_inputs_are_right() -> None:
    valid = fuzz_wire.packets()
    assert {fuzz_wire.try_packet(data, valid) for data in valid} == {"read"}
    assert {fuzz_wire.try_capture(data) for files in fuzz_wire.captures().values() for data in files} == {"read"}
