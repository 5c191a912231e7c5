"""What each slice of a wave knows of a flow by itself comes to what one would know that had seen all packets."""

from collections.abc import Iterator
from random import Random
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from calisim.control.intent import Intent
from calisim.datapath import passage
from calisim.datapath.flows import FlowCache
from calisim.traffic.batch import ACK, FIN, RST
from tests.datapath.test_flows import FLOW, Pair, at, plain, sent
from tests.datapath.test_threads import fresh, pods_of
from tests.datapath.test_trust import BACK
from tests.generators import SECOND

SLICES = 3


@pytest.fixture(autouse=True, scope="module")
def no_wave_is_too_small() -> Iterator[None]:
    with patch.object(passage, "_LEAST", 1):
        yield


def waiting(pair: Pair) -> int:
    """Packets of the last wave that were not trusted."""
    return sum(shard.waiting.total for shard in pair.cutting.shards)


def acquainted(intent: Intent, **fields: Any) -> Pair:
    """All slices are trusted with packets from n1 to n2, and with answers."""
    pair = Pair(intent, threads=SLICES)
    for second in (1, 1, 2, 3, 4):
        pair.forward(everywhere(sent(intent, second, **fields), sent(intent, second, **{**BACK, **fields})))
    assert waiting(pair) == 0
    return pair


def everywhere(*packets: np.ndarray) -> np.ndarray:
    """In each slice twice."""
    return np.concatenate([*packets] * 2 * SLICES)


def varied(packet: np.ndarray, count: int) -> np.ndarray:
    """As many from different ports."""
    wave = np.repeat(packet, count)
    wave["sport"] = 5000 + np.arange(count)
    return wave


def late(intent: Intent, *packets: np.ndarray) -> np.ndarray:
    """In the last slice alone, after packets of another connection."""
    return np.concatenate([sent(intent, int(packets[0]["time"][0]) / SECOND, sport=4001)] * 2 * len(packets) + [*packets])


def test_every_slice_counts_its_own_rides() -> None:
    intent = plain().build()
    pair = acquainted(intent)
    pair.compare()
    pair.forward(everywhere(sent(intent, 5, length=70)))
    assert waiting(pair) == 0
    flows = [shard.flows.records.view(FLOW).reshape(SLICES, -1) for shard in pair.cutting.shards]
    assert np.sum([one["packets"].sum(axis=1) for one in flows], axis=0).tolist() == [2] * SLICES
    pair.compare()


def test_a_flow_that_only_one_slice_has_met_is_paid_and_counted() -> None:
    intent = plain().build()
    pair = Pair(intent, threads=SLICES)
    for second in range(1, 6):
        pair.forward(late(intent, sent(intent, second)))
        if second > 3:
            pair.compare()
    assert waiting(pair) == 0


def test_the_last_packet_says_when_a_connection_ends_whichever_slice_it_is_in() -> None:
    """It is of an earlier time than others, and the first slice has the last ones of the next wave."""
    intent = plain().build()
    for seconds in ((9, 8, 7, 6, 5, 4), (5, 9, 6, 8, 4, 7)):
        pair = acquainted(intent)
        pair.forward(np.concatenate([sent(intent, second) for second in seconds]))
        assert waiting(pair) == 0
        pair.compare()
        pair.forward(late(intent, sent(intent, 20)))
        pair.forward(np.concatenate([sent(intent, 25), *[sent(intent, 25, tos=8)] * 2]))
        pair.compare()


@pytest.mark.parametrize("disturbing", [
    {"tcp_flags": FIN | ACK}, {"tcp_flags": FIN | ACK, "ttl": 1}, {"tcp_flags": RST}, {"tcp_flags": RST, "ttl": 1}])
@pytest.mark.parametrize("back", [False, True])
def test_who_disturbs_a_connection_ends_the_trust_of_all_slices(disturbing: dict[str, Any], back: bool) -> None:
    intent = plain().build()
    tcp = {"protocol": 6, "tcp_flags": ACK}
    pair = acquainted(intent, **tcp)
    pair.forward(sent(intent, 5, **{**tcp, **(BACK if back else {}), **disturbing}))
    pair.forward(late(intent, sent(intent, 6, **tcp)))
    assert waiting(pair) == 3
    pair.forward(everywhere(sent(intent, 7, **tcp), sent(intent, 7, **{**BACK, **tcp})))
    pair.compare()


@pytest.mark.parametrize("row", range(7))
def test_who_looks_at_a_connection_finds_what_packets_of_all_slices_before_him_have_done(row: int) -> None:
    """Not those after him; a strange answer looks at the connection of n2 before their turn there."""
    intent = plain().build()
    pair = acquainted(intent)
    for second, strange in ((10, sent(intent, 10, **BACK, tos=4)), (20, sent(intent, 20, tos=12)), (25, sent(intent, 25, ttl=1))):
        wave = np.concatenate([sent(intent, second - one) for one in range(6)])
        pair.forward(np.insert(wave, row, strange))
        pair.compare()
        pair.forward(everywhere(sent(intent, second + 1)))
    pair.compare()


def test_a_journey_that_is_noted_anew_is_another_one_for_all_slices() -> None:
    """The first connection is over."""
    intent = plain().build()
    pair = acquainted(intent)
    for second in (1000, 1001, 1002, 1003):
        results = pair.forward(everywhere(sent(intent, second)))
        pair.forward(sent(intent, second))
    assert set(results["connection"].tolist()) == {2}
    assert waiting(pair) == 0


def test_flows_may_grow_while_slices_have_packets_that_the_counters_do_not() -> None:
    intent = plain().build()
    pair = acquainted(intent)
    room = max(shard.flows.room for shard in pair.cutting.shards)
    crowd = fresh(intent, Random(1), pods_of(intent)[:1], 1500)
    crowd["time"] = 5 * SECOND
    for _ in range(2):
        pair.forward(np.concatenate([everywhere(sent(intent, 5)), crowd, everywhere(sent(intent, 5))]))
    assert max(shard.flows.room for shard in pair.cutting.shards) > room
    pair.compare()


@pytest.mark.parametrize("back", [False, True])
def test_flows_stay_where_they_are_during_a_leg_whatever_grows(back: bool) -> None:
    """On the second leg others write to them. Connections come in from the other shard while there is hardly room for flows."""
    intent = plain().build()
    pair = Pair(intent, threads=2)
    one, other = (BACK, {}) if back else ({}, BACK)
    known = sent(intent, 1, **one)
    pair.forward(np.concatenate([known, sent(intent, 1, **other)] * 2))
    pair.threads = 1                                  # one shard after the other
    pair.forward(varied(sent(intent, 2, **{**one, "ttl": 1}), 200))
    rooms = [len(shard.records) for shard in pair.cutting.shards]
    pair.forward(np.concatenate([varied(sent(intent, 3, **other), 1400), at(3, known)]))
    assert all(len(shard.records) > room for shard, room in zip(pair.cutting.shards, rooms, strict=True))
    pair.forward(at(4, known))
    assert waiting(pair) == 0                         # it has not been forgotten that the flow was found to hold
    pair.forward(np.concatenate([sent(intent, 25, **{**one, "tos": 8}), at(25, known)]))
    pair.compare()


@pytest.mark.parametrize("second", [1, 40])
@pytest.mark.parametrize("row", [0, 3, 5])
def test_a_wave_is_uneven_for_all_slices(row: int, second: int) -> None:
    """By one packet: it is earlier than the wave before, or too late. And nobody trusts what was asked then."""
    intent = plain().build()
    pair = acquainted(intent)
    wave = np.concatenate([sent(intent, 5)] * 6)
    wave["time"][row] = second * SECOND
    for again in (wave, np.concatenate([sent(intent, max(second, 5) + 1)] * 6)):
        pair.forward(again)
        assert waiting(pair) == 6
    pair.compare()


@pytest.mark.parametrize("fails", range(SLICES))
def test_flows_are_forgotten_by_all_shards_or_by_none(fails: int) -> None:
    """There is no memory for one shard's new cache. Links of a shard lead to flows of others."""
    intent = plain().build()
    pair = acquainted(intent)
    rooms = [FlowCache(SLICES) for _ in range(fails)]
    with patch("calisim.datapath.flows.FlowCache", side_effect=[*rooms, MemoryError]), pytest.raises(MemoryError):
        pair.cutting.learn([(1, 2, 600, SECOND)])
    pair.forward(everywhere(sent(intent, 5), sent(intent, 5, **BACK)))
    assert waiting(pair) == 0
    pair.forward(everywhere(sent(intent, 6, tos=8), sent(intent, 6, **BACK, tos=8)))
    pair.compare()


def test_a_shard_that_cannot_be_tidied_leaves_no_other_ones_flows_behind() -> None:
    """Whose connections have moved."""
    intent = plain().build()
    pair = acquainted(intent)
    for shard in pair.cutting.shards:
        shard._untidy = 0
    last = pair.cutting.shards[-1]
    with patch.object(last, "tidy", side_effect=MemoryError), pytest.raises(MemoryError):
        pair.cutting.tidy(0)
    assert pair.cutting.counts[2] == 0
    pair.forward(everywhere(sent(intent, 5), sent(intent, 5, **BACK)))
    pair.compare()
