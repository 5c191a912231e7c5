"""Short cuts are trusted with packets before anybody walks; what they owe is paid, who was trusted too early takes his turn."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings

from calisim._fastpath import WAVE_NUMBER
from calisim.control.intent import Intent
from calisim.datapath import passage
from calisim.datapath.fast import FastEngine
from calisim.datapath.shards import Shard
from calisim.errors import UsageError
from calisim.fib.compiler import compile
from calisim.quantities import parse_address
from calisim.traffic.batch import ACK, FIN, PSH, RST, SYN
from calisim.traffic.flows import reply_wave
from calisim.vocabulary import DropReason, RouterFlag
from tests.balancing import asking, served
from tests.datapath.test_flows import FLOW, P1, P2, P3, P5, Pair, at, crowd, lessons, plain, reasons, sent
from tests.datapath.test_threads import Crew, fresh, pods_of
from tests.generators import SECOND, addresses_of_interest, random_errors, random_intent, random_wave, worlds
from tests.intents import allow, three_zones
from tests.policing import openings, policed

Forward = Callable[[np.ndarray], np.ndarray]


def acquainted(intent: Intent, forward: Forward, rng: Random, count: int, now: int) -> np.ndarray:
    """Packets of connections that are established, in both directions, each often enough to be trusted."""
    asked = np.concatenate([random_wave(intent, rng, count), openings(intent, rng, count)])
    if rng.random() < 0.3:
        asked = asking(intent, rng, asked)
    if rng.random() < 0.3:                     # of one class of source ports: some will have to move
        asked["sport"], asked["dst"] = rng.choice((1, 4000)), rng.choice(addresses_of_interest(intent))
    asked["time"], asked["ttl"] = now, np.maximum(asked["ttl"], rng.choice((1, 60)))
    asked["tcp_flags"] = SYN
    results = forward(asked)
    answers = reply_wave(asked, results, intent)
    answers["time"] = now
    forward(answers)
    calm = np.concatenate([asked, answers])
    calm["tcp_flags"] = ACK
    pushed = calm[calm["protocol"] == 6]
    pushed["tcp_flags"] = ACK | PSH
    calm = np.concatenate([calm, pushed])
    for _ in range(4):
        forward(calm)
    return calm


def disturbing(packets: np.ndarray, rng: Random) -> np.ndarray:
    """As others of their connections, or of none: what does not only refresh."""
    other = packets.copy()
    for one in other:
        match rng.randrange(6):
            case 0 | 1 if one["protocol"] == 6:
                one["tcp_flags"] = rng.choice((FIN | ACK, RST, SYN, SYN | ACK, 0))
            case 2:
                one["sport"] = one["sport"] ^ rng.randrange(3)
            case 3:
                one["ttl"] = rng.choice((1, 2, 3, 64))
            case 4:
                one["length"] = rng.choice((20, 40, 1400, 1480, 9000))
            case _:
                one["tos"] = rng.randrange(4)
    return other


def flood(calm: np.ndarray, rng: Random) -> np.ndarray:
    """So many others that tables grow in the middle of the wave: connections, their index, flows."""
    wave = calm[[rng.randrange(len(calm)) for _ in range(3000)]].copy()
    wave["sport"] = np.where(np.arange(3000) % 10 > 0, rng.choice((20_000, 1)) + np.arange(3000) % 3001, wave["sport"])
    return wave


def next_time(now: int, connections: np.ndarray, rng: Random) -> int:
    """After a while, or about when a connection ends."""
    ends = [int(one) for one in connections["expires"] if now < int(one) < now + 700 * SECOND]
    if ends and rng.random() < 0.4:
        return max(now, rng.choice(ends) - rng.choice((0, 1, 2, 10)) * rng.choice((1, SECOND, SECOND // 2)))
    return now + rng.choice((0, 1, 3, 9, 9, 19, 25, 40, 200)) * SECOND


def trusted_waves(
    intent: Intent, rng: Random, forward: Forward, compare: Callable[[], None], connections: Callable[[], np.ndarray],
    interfere: Callable[[np.ndarray], None] | None = None, count: int = 12,
) -> None:
    """Waves of packets that short cuts may be trusted with, and a few that disturb them."""
    now = rng.choice((*20 * (SECOND,), 2**59 - 100 * SECOND, 2**64 - 300 * SECOND))
    calm, ordered, latest = acquainted(intent, forward, rng, count, now), False, 0
    for _ in range(10):
        now = max(next_time(now, connections(), rng), latest if ordered else 0)
        if now >= 2**64 - 61 * SECOND:
            break
        size = rng.choice((1, 5, 40, 400))
        wave = calm[[rng.randrange(len(calm)) for _ in range(size)]].copy()
        if rng.random() < 0.04:                # from now on what has expired may be forgotten: nobody asks for it
            wave, ordered = flood(calm, rng), True
        for row in range(len(wave)):
            if rng.random() < rng.choice((0.002, 0.02)):
                wave[row:row + 1] = disturbing(wave[row:row + 1], rng)
        spread = rng.choice((0, 1, 9, 9, 10, 12, 60)) * SECOND
        wave["time"] = np.array([now + rng.randrange(spread + 1) for _ in wave], np.uint64)
        latest = max(latest, int(wave["time"].max()))
        forward(wave)
        if interfere and rng.random() < 0.1:
            interfere(wave)
        if rng.random() < 0.15:
            compare()
    compare()


def world(rng: Random) -> Intent:
    if rng.random() < 0.4:
        overlay: dict[str, Any] = rng.choice(
            ({"ipip": "Never"}, {"ipip": "Always"}, {"ipip": "CrossSubnet"}, {"ipip": "Never", "vxlan": "Always"}))
        groups = [allow()] if rng.random() < 0.5 else ()
        cluster = three_zones(**overlay, calico=rng.random() < 0.6, random_fully=rng.random() < 0.3)
        number = cluster.group(groups, groups)
        if groups:
            cluster.routers = [replace(router, groups=(number,)) for router in cluster.routers]
        intent = cluster.build()
    else:
        intent = random_intent(rng)
    if rng.random() < 0.3:
        intent = policed(intent, rng)
    return served(intent, rng) if rng.random() < 0.3 else intent


@settings(max_examples=150)
@given(worlds)
def test_trust_changes_nothing(seed: int) -> None:
    rng = Random(seed)
    intent = world(rng)
    pair = Pair(intent, offspring=rng.random() < 0.2)

    def interfere(wave: np.ndarray) -> None:
        """Others do something with the state between waves."""
        match rng.randrange(5):
            case 0:
                pair.learn(*lessons(wave, rng))
            case 1:
                pair.change(intent if rng.random() < 0.5 else policed(intent, rng))
            case 2 if int(wave["time"].max()) < 2**62:
                errors, headers = random_errors(intent, rng, pair.walking.connections(), 5)
                errors["time"] = wave["time"].max()
                pair.forward(errors, headers)
            case 3:
                pair.cutting.share(rng.randrange(1, 4))
            case _:
                some = wave[:5].copy()
                some["time"] = wave["time"].max()
                for state in (pair.walking, pair.cutting):
                    pair.engine.forward(some, state, events=True)

    trusted_waves(intent, rng, pair.forward, pair.compare, pair.walking.connections, interfere)


@settings(max_examples=60)
@given(worlds)
def test_trust_among_threads_changes_nothing(seed: int) -> None:
    rng = Random(seed)
    intent = world(rng)
    crew, pair = Crew(intent), Pair(intent)

    def forward(wave: np.ndarray) -> np.ndarray:
        results = crew.forward(wave).results
        assert (results == pair.forward(wave)).all()
        return results

    with patch.object(passage, "_LEAST", 1):
        trusted_waves(intent, rng, forward, crew.compare, pair.walking.connections)
        pair.compare()


# ---- one by one --------------------------------------------------------------------------------------------

def one_missed_one_trusted() -> tuple[Intent, Pair]:
    """Of one connection: a flow that misses it, then one that opens it and is trusted."""
    intent = plain().build()
    pair = Pair(intent)
    pair.cuts(*(sent(intent, 1, ttl=1) for _ in range(2)), *(sent(intent, second) for second in (2, 3, 4)))
    return intent, pair


def test_what_is_missing_is_not_trusted_to_be_while_an_earlier_packet_may_find_it() -> None:
    """The connection is over for a packet of the 35th second; one of the 33rd, behind it in the same wave, keeps it alive."""
    intent, pair = one_missed_one_trusted()
    pair.forward(np.concatenate([sent(intent, 35, ttl=1), sent(intent, 33)]))
    assert int(pair.forward(sent(intent, 36, ttl=1))["connection"][0]) == 1
    pair.compare()


def test_flows_that_miss_the_same_connection_share_its_place() -> None:
    """Those of other TOS, those after a lesson has made all flows forgotten, and those after it has come and gone."""
    intent = plain().build()
    pair = Pair(intent)
    for second, fields in enumerate(({}, {"tos": 4}, {"tos": 8}, {}), 1):
        again = [sent(intent, second, ttl=1, **fields)] * 3
        assert pair.cuts(*again)[-1] == 1
        assert pair.cutting.counts[0] == 1
    pair.learn((P2, P5, 1000, 0))
    assert pair.cuts(*3 * [sent(intent, 10, ttl=1)]) == [0, 1, 1]
    assert pair.cutting.counts[0] == 1
    assert pair.cuts(sent(intent, 11), *3 * [sent(intent, 100, ttl=1)]) == [0, 1, 1, 1]
    assert pair.cutting.counts[0] == 3          # of the place, and of the connection at both nodes


def test_two_packets_of_a_wave_may_miss_at_the_second_router() -> None:
    intent = plain().build()
    pair = Pair(intent)
    two = [np.concatenate([sent(intent, second, ttl=2)] * 2) for second in range(2, 6)]
    assert pair.cuts(sent(intent, 1, ttl=2), *two) == [0, 0, 2, 2, 2]


def test_places_of_flows_that_are_forgotten_do_not_pile_up() -> None:
    intent = plain().build()
    pair = Pair(intent)
    for turn in range(12):
        wave = crowd(intent, 1 + turn, 1000)
        wave["dport"] = 1000 + turn
        pair.cuts(*3 * [wave])
        pair.learn((P2, P5, 1000, 0))
    assert pair.cutting.counts[0] < 5000


def test_a_crowd_of_flows_on_one_connection_is_not_trusted_as_a_whole() -> None:
    """Who looks at the connection has to ask all that are."""
    intent = plain().build()
    pair = Pair(intent)
    pair.forward(sent(intent, 1))
    crowded = np.repeat(sent(intent, 2), 400)
    crowded["tos"], crowded["ttl"] = 4 * (np.arange(400) % 64), 64 + np.arange(400) // 64
    assert pair.cuts(crowded, crowded, crowded) == [0, 400, 400]
    [shard] = pair.cutting.shards
    assert shard.flows.records.view(FLOW)["trusted"].all(axis=1).sum() == 256


@pytest.mark.parametrize("turns", [1, 2])
def test_ports_that_trusted_connections_have_are_taken_until_these_end(turns: int) -> None:
    """All 511 ports of a class; who asks finds them taken by what is owed to their connections, too."""
    intent = plain(nat_outgoing=True).build()
    pair = Pair(intent)
    flows = np.repeat(sent(intent, 1, destination=parse_address("203.0.113.10")), 511)
    flows["sport"] = 1 + np.arange(511)
    other = sent(intent, 20, source=P2, destination=int(flows["dst"][0]), sport=1)
    for second in range(1, 1 + 3 * turns):
        pair.forward(at(second, flows))
    wave = np.concatenate([at(20, flows[:300]), at(20, other), at(20, flows), at(24, other)])
    assert reasons(pair.forward(wave))[300] == DropReason.SNAT_PORTS_EXHAUSTED
    assert reasons(pair.forward(at(40, np.concatenate([other, flows[1:]]))))[0] == DropReason.SNAT_PORTS_EXHAUSTED
    assert reasons(pair.forward(at(45, np.concatenate([flows[1:], other, flows[1:]]))))[510] == DropReason.SNAT_PORTS_EXHAUSTED
    assert reasons(pair.forward(at(51, np.concatenate([flows[1:], other, flows[1:]]))))[510] == DropReason.NONE
    pair.compare()


def test_tables_grow_while_recalled_packets_wait_for_their_turn() -> None:
    """New connections between packets that were trusted too early, on both legs."""
    intent = plain().build()
    pair = Pair(intent)
    calm = np.concatenate([sent(intent, 1, protocol=6, tcp_flags=ACK, sport=sport) for sport in range(300)])
    for second in range(1, 5):
        pair.forward(at(second, calm))
    room = len(pair.cutting.shards[0].records)
    others = np.repeat(sent(intent, 5), 3000)
    others["sport"] = 10_000 + np.arange(3000)
    ends = calm.copy()
    ends["tcp_flags"] = RST
    pair.forward(at(5, np.concatenate([calm, ends[:150], others[:1500], calm, others[1500:], calm])))
    assert len(pair.cutting.shards[0].records) > room
    pair.compare()


def test_the_last_waves_that_a_state_can_number_are_as_others() -> None:
    rng = Random(1)
    intent = three_zones(ipip="Always").build()
    pair = Pair(intent)
    pair.walking.wave = pair.cutting.wave = WAVE_NUMBER - 17
    trusted_waves(intent, rng, pair.forward, pair.compare, pair.walking.connections)
    while pair.cutting.wave < WAVE_NUMBER:
        pair.forward(sent(intent, 2**34))
    pair.compare()
    with pytest.raises(UsageError, match="waves and can number no more"):
        pair.forward(sent(intent, 2**34))


def test_an_empty_wave_is_one_in_which_nothing_happens() -> None:
    intent = plain().build()
    pair = Pair(intent)
    for second in range(1, 9):
        pair.forward(sent(intent, second))
        pair.forward(sent(intent, second)[:0])
    pair.compare()


def test_a_state_lives_on_after_an_error_in_one_thread() -> None:
    """What becomes of that wave is open."""
    intent = three_zones().build()
    engine = FastEngine(compile(intent))
    state = engine.new_state()

    def forward(wave: np.ndarray) -> np.ndarray:
        return engine.forward(wave, state, threads=2).results

    with patch.object(passage, "_LEAST", 1):
        calm = acquainted(intent, forward, Random(1), 12, SECOND)
        many = np.concatenate([calm, fresh(intent, Random(4), pods_of(intent), 9000), calm])
        with patch.object(Shard, "grow", side_effect=MemoryError), pytest.raises(MemoryError):
            forward(many)
        results = [forward(at(second, calm))["verdict"] for second in (2, 3, 4)]
    np.testing.assert_array_equal(results[0], results[2])
    assert len(state.connections())


BACK: dict[str, Any] = {"source": P3, "destination": P1, "sport": 80, "dport": 4000}


def trusted_both_ways(intent: Intent, pair: Pair) -> None:
    """UDP packets from n1 to n2 and answers."""
    pair.forward(sent(intent, 1))
    for second in (1, 1, 2, 3, 4):
        pair.forward(np.concatenate([sent(intent, second)] * 3 + [sent(intent, second, **BACK)]))
    assert pair.cutting.shards[0].flows.records.view(FLOW)["trusted"][:2].all()


def test_second_legs_that_are_taken_one_by_one_are_not_owed() -> None:
    """A strange answer looks at the connection of n2 before their turn."""
    intent = plain().build()
    pair = Pair(intent)
    trusted_both_ways(intent, pair)
    for second in (5, 10):
        strange = sent(intent, second, **BACK, tos=second)
        pair.forward(np.concatenate([*[sent(intent, second)] * 3, strange, sent(intent, second)]))
        if second > 5:
            pair.compare()
        for later in range(1, 4):
            pair.forward(np.concatenate([sent(intent, second + later)] * 2))
    pair.compare()


def test_second_legs_have_their_turns_though_nobody_walks_as_far() -> None:
    """The strange answer dies where it looks at the connection."""
    intent = plain().build()
    pair = Pair(intent)
    trusted_both_ways(intent, pair)
    pair.forward(np.concatenate([sent(intent, 5), sent(intent, 5, **BACK, ttl=1), sent(intent, 5)]))
    pair.compare()


def test_who_looks_at_a_connection_of_the_second_leg_alone_sees_no_later_packets() -> None:
    """All pings between two pods have one VXLAN source port. Felix' node does not track the outer packets, the other one does,
    for 30 seconds from the last packet on, which is of an earlier time here."""
    cluster = three_zones(ipip="Never", vxlan="Always", nat_outgoing=False)
    cluster.routers[1] = replace(cluster.routers[1], flags=cluster.routers[1].flags & ~RouterFlag.CALICO_FILTER)
    intent = cluster.build()
    pair = Pair(intent)

    def ping(second: int, identifier: int) -> np.ndarray:
        return sent(intent, second, protocol=1, sport=identifier, dport=0x0800)

    for second in range(1, 5):
        pair.forward(np.concatenate([ping(second, 1), ping(second, 1)]))
    pair.forward(np.concatenate([ping(8, 1), ping(9, 2), ping(5, 1), ping(6, 1)]))
    pair.compare()
    [outer] = [c for c in pair.cutting.connections() if c["protocol"] == 17]
    assert (int(outer["packets"]), int(outer["expires"])) == (12, 36 * SECOND)
    for second in (10, 11, 12):
        pair.forward(ping(second, 1))
    pair.compare()


def test_trust_ends_with_a_wave_of_an_earlier_time() -> None:
    """An answer from back then makes the connection end before the packets that were trusted with it expect that."""
    intent = plain().build()
    pair = Pair(intent)
    trusted_both_ways(intent, pair)
    for one in (sent(intent, 20), sent(intent, 2, **BACK), sent(intent, 35)):
        pair.forward(one)
    pair.compare()


def test_trust_lasts_as_long_as_packets_come() -> None:
    intent = plain().build()
    pair = Pair(intent)
    trusted_both_ways(intent, pair)
    for second in range(10, 100, 15):
        pair.forward(sent(intent, second))
        assert int(pair.cutting.shards[0].flows.records.view(FLOW)["stamp"][0]) == pair.cutting.wave
    pair.compare()


def test_who_disturbs_the_second_leg_alone_ends_trust() -> None:
    """The answer closes the connection of n2 and dies there."""
    intent = plain().build()
    pair = Pair(intent)
    tcp = {"protocol": 6, "tcp_flags": ACK}
    for second in range(1, 5):
        pair.forward(np.concatenate([sent(intent, second, **tcp), sent(intent, second, **{**BACK, **tcp})]))
    pair.forward(sent(intent, 5, **{**BACK, **tcp, "tcp_flags": FIN | ACK, "ttl": 1}))
    pair.forward(sent(intent, 6, **tcp))
    pair.compare()


def test_a_connection_that_is_over_is_no_place() -> None:
    """It would be paid what is owed for packets that miss it."""
    intent = plain().build()
    pair = Pair(intent)
    assert pair.cuts(sent(intent, 1), *(sent(intent, second, ttl=1) for second in range(100, 104))) == [0] * 5


def test_who_misses_a_connection_looks_whether_others_owe_it_its_life() -> None:
    intent, pair = one_missed_one_trusted()
    pair.forward(sent(intent, 20))
    assert int(pair.forward(sent(intent, 40, ttl=1))["connection"][0]) == 1
    pair.compare()


def test_nothing_is_taken_for_missing_after_a_long_wave() -> None:
    """In which a packet that misses a connection comes before one of an earlier time that keeps it alive."""
    intent, pair = one_missed_one_trusted()
    pair.forward(np.concatenate([sent(intent, 50, ttl=1), sent(intent, 33)]))
    assert int(pair.forward(sent(intent, 55, ttl=1))["connection"][0]) == 1
    pair.compare()


def test_a_source_keeps_its_port_while_others_owe_its_connection_its_life() -> None:
    """Both pods send from port 4000, so that the second one's was moved."""
    intent = plain(nat_outgoing=True).build()
    pair = Pair(intent)
    first, other = parse_address("203.0.113.10"), parse_address("198.51.100.7")
    moved = sent(intent, 1, source=P2, destination=first)
    pair.forward(np.concatenate([sent(intent, 1, destination=first), moved]))
    for second in (2, 3, 4, 20):
        ports = pair.forward(at(second, moved))["sport"]
    assert int(ports[0]) != 4000
    assert int(pair.forward(sent(intent, 40, source=P2, destination=other))["sport"][0]) == int(ports[0])
    pair.compare()


def test_a_flow_that_held_before_somebody_closed_its_connection_is_not_trusted() -> None:
    """Nor if the connection was disturbed in the wave before, too."""
    intent = plain().build()
    pair = Pair(intent)
    tcp = {"protocol": 6, "tcp_flags": ACK, "destination": P2}
    back = {**BACK, "source": P2, "protocol": 6, "tcp_flags": ACK}
    for second in range(1, 5):
        pair.forward(np.concatenate([sent(intent, second, **tcp), sent(intent, second, **back)]))
    pair.forward(sent(intent, 5, **back, tos=4))
    pair.forward(np.concatenate([sent(intent, 6, **tcp), sent(intent, 6, **{**back, "tcp_flags": FIN | ACK})]))
    pair.forward(sent(intent, 7, **tcp))
    pair.compare()


def test_routers_that_are_shared_out_take_what_is_owed_to_their_connections_along() -> None:
    intent = plain().build()
    pair = Pair(intent)
    trusted_both_ways(intent, pair)
    pair.forward(sent(intent, 20))
    pair.cutting.share(2)
    pair.compare()
    for second in (40, 41, 42, 60):
        pair.forward(np.concatenate([sent(intent, second)] * 2))
    pair.compare()


def test_more_packets_may_be_recalled_than_anybody_has_reckoned_with() -> None:
    """All of them go on to the second router, though but one had been waiting before the first one."""
    intent = plain().build()
    pair = Pair(intent)
    pair.cuts(*4 * [sent(intent, 1)])
    posts, sizes = pair.cutting.shards[0].onward, []
    with patch.object(passage.Passage, "_leg", autospec=True, side_effect=lambda *of, leg=passage.Passage._leg: (
            leg(*of), sizes.append(posts[0].count(0)))):
        pair.forward(np.concatenate([sent(intent, 2, tos=8), *1500 * [sent(intent, 2)]]))
    assert max(sizes) == 1501
    pair.compare()


@pytest.mark.parametrize("row", range(6))
def test_rides_are_taken_back_from_the_last_one_on_whoever_set_them_off(row: int) -> None:
    """Those that die young know a connection once somebody has opened it, be it in the middle of a slice of the wave."""
    intent = plain().build()
    crew, pair = Crew(intent), Pair(intent)
    with patch.object(passage, "_LEAST", 1):
        for source, now in ((P1, 7), (P3, 17)):                        # of routers in different shards
            ends = {"source": source, "destination": P5}
            for second in range(now - 6, now):
                wave = np.concatenate([sent(intent, second, **ends, ttl=1)] * 5)
                crew.forward(wave)
                pair.forward(wave)
            assert not any(shard.waiting.total for shard in crew.states[1].shards)
            wave = np.insert(np.concatenate([sent(intent, now, **ends, ttl=1)] * 5), row, sent(intent, now, **ends))
            known = crew.forward(wave).results["connection"].tolist()
            assert known == pair.forward(wave)["connection"].tolist() == [0] * row + [1] * (6 - row)
        crew.compare()
        pair.compare()
