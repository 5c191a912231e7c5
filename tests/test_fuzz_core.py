"""A few of the hostile records of ``fuzz_core.py``: all end in a verdict."""

from tests.fuzz_core import run


def test_hostile_records_end_in_a_verdict() -> None:
    found = run(4, 4)
    assert not [name for name in found if name.endswith("NONE")]
    for what in ("packets", "images"):
        assert found[f"{what} DROPPED"] and found[f"{what} DELIVERED"]
