"""Longest-prefix match alone: the compiled 16-8-8 table against what one would write with numpy, and with a dictionary."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from benchmarks.conftest import per_second

from calisim import _fastpath
from calisim.analysis.network import Network
from calisim.fib.lpm import Intervals
from calisim.vocabulary import EndpointKind

BATCH = 1 << 20
FEW = 20_000                        # for the dictionary, which is plain Python


@pytest.fixture(params=[12, 300, 5000])
def network(request: pytest.FixtureRequest, scenario: Any) -> Network:
    return Network(scenario(request.param))


def addresses_of(network: Network, count: int) -> np.ndarray:
    """Addresses of pods, with one in sixteen from anywhere."""
    chance = np.random.default_rng(1)
    pods = np.array([one.address for one in network.intent.endpoints if one.kind is EndpointKind.POD], np.uint32)
    anywhere = chance.integers(1 << 32, size=count, dtype=np.uint32)
    return np.where(chance.random(count) < 1 / 16, anywhere, pods[chance.integers(len(pods), size=count)])


def prefixes_of(network: Network) -> list[Any]:
    """What there is to match: the blocks and single addresses that nodes announce."""
    return [advert.prefix for advert in network.intent.adverts]


def bench_compiled(benchmark: Any, network: Network) -> None:
    addresses, classes = addresses_of(network, BATCH), np.zeros(BATCH, np.uint32)
    tables = _fastpath.Tables(**network.image.arrays, places=network.image.places, objects=network.image.objects)
    benchmark.pedantic(_fastpath.lookup, (tables, addresses, classes), rounds=15, warmup_rounds=1)
    matches = Intervals(prefixes_of(network)).match(addresses)
    pairs = np.unique(np.stack([classes.astype(np.int64), matches]), axis=1)
    assert len(np.unique(pairs[0])) == pairs.shape[1], "a class never spans two prefixes"
    per_second(benchmark, BATCH, "lookups")


def bench_numpy_searchsorted(benchmark: Any, network: Network) -> None:
    addresses, intervals = addresses_of(network, BATCH), Intervals(prefixes_of(network))
    benchmark.pedantic(intervals.match, (addresses,), rounds=5, warmup_rounds=1)
    per_second(benchmark, BATCH, "lookups")


def bench_dictionary_per_length(benchmark: Any, network: Network) -> None:
    """Plain Python's idiom: from the longest prefix length to the shortest."""
    tables: dict[int, dict[int, int]] = {}
    for index, prefix in enumerate(prefixes_of(network)):
        tables.setdefault(prefix.length, {})[prefix.network] = index
    lengths = [(-1 << 32 - length & 0xFFFFFFFF, table) for length, table in sorted(tables.items(), reverse=True)]

    def match(addresses: list[int]) -> list[int]:
        return [next((table[a & mask] for mask, table in lengths if a & mask in table), -1) for a in addresses]

    addresses = addresses_of(network, FEW)
    found = benchmark.pedantic(match, (addresses.tolist(),), rounds=5, warmup_rounds=1)
    assert (np.array(found) == Intervals(prefixes_of(network)).match(addresses)).all()
    per_second(benchmark, FEW, "lookups")
