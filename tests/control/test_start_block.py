"""The start block is Calico's own: judged by a real cluster and by Go's published source."""

import pytest

from calisim.control.start_block import _cooked, fnv1_32, start_index
from calisim.quantities import format_address, parse_address


@pytest.mark.parametrize(
    ("host", "block"),
    [
        ("ip-172-20-50-50.ec2.internal", "100.115.37.64"),
        ("ip-172-20-58-60.ec2.internal", "100.106.133.192"),
        ("ip-172-20-62-7.ec2.internal", "100.104.132.0"),
    ],
)
def test_blocks_of_a_real_cluster(host: str, block: str) -> None:
    """Names and blocks as a user published them (kops, pool 100.96.0.0/11, blocks of 64)."""
    index = start_index(host, 1 << 15)
    assert format_address(parse_address("100.96.0.0") + 64 * index) == block


def test_cooked_values_are_those_of_go() -> None:
    """First, second and last of rngCooked in Go's math/rand/rng.go."""
    signed = [value - (1 << 64) if value >> 63 else value for value in _cooked()]
    assert (signed[0], signed[1], signed[606]) == (-4181792142133755926, -4576982950128230565, 4152330101494654406)


def test_fnv1_multiplies_before_it_xors() -> None:
    """Published FNV-1 test vectors; FNV-1a gives another value for "a"."""
    assert fnv1_32("") == 0x811C9DC5
    assert fnv1_32("a") == 0x050C5D7E


@pytest.mark.parametrize("blocks", [1, 2, 3, 64, 1000, 1 << 18])
def test_index_lies_in_the_pool(blocks: int) -> None:
    assert all(0 <= start_index(f"node-{i}", blocks) < blocks for i in range(50))
