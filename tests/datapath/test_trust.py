"""Short cuts are trusted with packets before anybody walks; what they owe is paid, who was trusted too early takes his turn."""

from collections.abc import Callable
from random import Random
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings

from calisim.control.intent import Intent
from calisim.datapath import passage
from calisim.traffic.batch import ACK, FIN, PSH, RST, SYN
from calisim.traffic.flows import reply_wave
from tests.balancing import served
from tests.datapath.test_flows import P2, P5, Pair, crowd, plain, sent
from tests.datapath.test_threads import Crew
from tests.generators import SECOND, random_intent, random_wave, worlds
from tests.intents import three_zones
from tests.policing import openings, policed

Forward = Callable[[np.ndarray], np.ndarray]


def acquainted(intent: Intent, forward: Forward, rng: Random, count: int) -> np.ndarray:
    """Packets of connections that are established, in both directions, each often enough to be trusted."""
    asked = np.concatenate([random_wave(intent, rng, count), openings(intent, rng, count)])
    asked["time"], asked["ttl"] = SECOND, np.maximum(asked["ttl"], rng.choice((1, 60)))
    asked["tcp_flags"] = SYN
    results = forward(asked)
    answers = reply_wave(asked, results, intent)
    answers["time"] = SECOND
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


def trusted_waves(intent: Intent, rng: Random, forward: Forward, compare: Callable[[], None], count: int = 12) -> None:
    """Waves of packets that short cuts may be trusted with, and a few that disturb them."""
    calm, now = acquainted(intent, forward, rng, count), SECOND
    for _ in range(10):
        now += rng.choice((0, 1, 3, 9, 9, 25, 40, 200)) * SECOND
        size = rng.choice((5, 40, 400))
        wave = calm[[rng.randrange(len(calm)) for _ in range(size)]].copy()
        for row in range(size):
            if rng.random() < rng.choice((0.002, 0.02)):
                wave[row:row + 1] = disturbing(wave[row:row + 1], rng)
        spread = rng.choice((0, 1, 9, 9, 10, 12, 60)) * SECOND
        wave["time"] = [now + rng.randrange(spread + 1) for _ in wave]
        forward(wave)
        if rng.random() < 0.15:
            compare()
    compare()


def world(rng: Random) -> Intent:
    if rng.random() < 0.3:
        intent = three_zones(ipip=rng.choice(("Never", "Always", "CrossSubnet"))).build()
    else:
        intent = random_intent(rng)
    if rng.random() < 0.3:
        intent = policed(intent, rng)
    return served(intent, rng) if rng.random() < 0.2 else intent


@settings(max_examples=150)
@given(worlds)
def test_trust_changes_nothing(seed: int) -> None:
    rng = Random(seed)
    intent = world(rng)
    pair = Pair(intent, offspring=rng.random() < 0.2)
    trusted_waves(intent, rng, pair.forward, pair.compare)


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
        trusted_waves(intent, rng, forward, crew.compare)
        pair.compare()


# ---- one by one --------------------------------------------------------------------------------------------

def test_what_is_missing_is_not_trusted_to_be_while_an_earlier_packet_may_find_it() -> None:
    """The connection is over for a packet of the 35th second; one of the 33rd, behind it in the same wave, keeps it alive."""
    intent = plain().build()
    pair = Pair(intent)
    pair.cuts(*(sent(intent, 1, ttl=1) for _ in range(2)), *(sent(intent, second) for second in (2, 3, 4)))
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
