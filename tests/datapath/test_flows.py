"""The flow cache has no meaning of its own: with it all results, connections and counters are those of packets that walk."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings

from calisim.control.intent import Intent
from calisim.datapath import state as states
from calisim.datapath.fast import FastEngine
from calisim.datapath.state import State
from calisim.fib.compiler import compile
from calisim.quantities import parse_address
from calisim.traffic.batch import ACK, FIN, PSH, RST, SYN, packet
from calisim.traffic.flows import reply_wave
from calisim.vocabulary import DropReason, TargetKind, Verdict
from tests.balancing import asking, served
from tests.datapath.test_agreement import same_rows
from tests.generators import SECOND, random_errors, random_intent, random_wave, segments, worlds
from tests.intents import Cluster, three_zones
from tests.policing import openings, policed

FLAGS = (ACK, ACK, ACK, ACK, PSH | ACK, SYN, FIN | ACK, RST)
# what a test has to know of stages/types.pxd
FLOW = np.dtype([("key", "u8", 3), ("longest", "u2"), ("shortest", "u1"), ("flags", "u1"), ("trusted", "u1", 2), ("reach", "u2"),
                 ("last", "u8", 3), ("stamp", "u4"), ("first", "u4"), ("result", "u1", 48), ("bytes", "i8"), ("packets", "i4"),
                 ("busy", "u4")])


class Pair:
    """Two states of one network: one whose packets walk (who wants events sees every step), one with short cuts."""

    def __init__(self, intent: Intent, *, offspring: bool = False, threads: int = 1) -> None:
        self.engine, self.offspring, self.threads = FastEngine(compile(intent)), offspring, threads
        self.walking, self.cutting = self.engine.new_state(), self.engine.new_state()

    def change(self, intent: Intent) -> None:
        """Both states go on in another network."""
        self.engine = FastEngine(compile(intent))

    def forward(self, wave: np.ndarray, headers: np.ndarray | None = None) -> np.ndarray:
        walked = self.engine.forward(wave, self.walking, headers, events=True, offspring=self.offspring)
        cut = self.engine.forward(wave, self.cutting, headers, offspring=self.offspring, threads=self.threads)
        same_rows("RESULT", cut.results, walked.results)
        if self.offspring:
            for part in ("packets", "headers", "causes"):
                same_rows(f"born {part}", getattr(cut.born, part), getattr(walked.born, part))
        return walked.results

    def learn(self, *lessons: tuple[int, int, int, int]) -> None:
        for state in (self.walking, self.cutting):
            state.learn(lessons)

    def compare(self) -> None:
        same_rows("CONNECTION", self.cutting.connections(), self.walking.connections())
        same_rows("AFFINITY", self.cutting.affinities(), self.walking.affinities())
        for counters in ("links", "drops", "verdicts", "hits"):
            np.testing.assert_array_equal(getattr(self.cutting, counters), getattr(self.walking, counters), err_msg=counters)

    def cuts(self, *waves: np.ndarray) -> list[int]:
        """Sends the waves; how many packets of each set out on the short cut."""
        taken = []
        for wave in waves:
            self.compare()
            self.forward(wave)
            taken.append(cuts_of(self.cutting))
        self.compare()
        return taken


def cuts_of(state: State) -> int:
    """Packets that the counters do not have yet."""
    flows = state.shards[0].flows.records.view(FLOW)[:state.shards[0].ledger.counts[2]]
    return int(flows["packets"].sum())


def repeated(packets: np.ndarray, rng: Random, now: int, count: int) -> np.ndarray:
    """Some of the packets over and over, as flows do: in any order of time, of other lengths, with other flags."""
    wave = packets[[rng.randrange(len(packets)) for _ in range(count)]].copy()
    spread = rng.choice((1, 1, 5, 10, 20, 200, 700))          # up to ten seconds short cuts may be trusted with packets
    wave["time"] = [now + rng.randrange(spread) * SECOND for _ in wave]
    wild = rng.choice((0.02, 0.3))                # how much differs from what has been before
    for row in range(count):
        if rng.random() < wild:
            wave["length"][row] = rng.choice((20, 28, 40, 60, 576, 1400, 1480, 1500, 8000, 65535))
        if wave["protocol"][row] == 6:
            wave["tcp_flags"][row] = rng.choice(FLAGS) if rng.random() < 2 * wild else rng.choice((ACK, ACK, ACK, PSH | ACK))
    return wave


def lessons(wave: np.ndarray, rng: Random) -> list[tuple[int, int, int, int]]:
    """Of paths that packets of the wave take, and of those between nodes."""
    rows = wave[[rng.randrange(len(wave)) for _ in range(3)]]
    return [(int(one["src"]), int(one["dst"]), rng.choice((552, 600, 1399)), int(one["time"])) for one in rows]


def world(rng: Random) -> Intent:
    intent = random_intent(rng)
    if rng.random() < 0.7:
        intent = policed(intent, rng)
    return served(intent, rng) if rng.random() < 0.4 else intent


def converse(intent: Intent, rng: Random) -> int:
    """Waves of flows and of their answers, sometimes after a long silence, with much else in between. Returns how many flows
    were known in the end."""
    pair = Pair(intent, offspring=rng.random() < 0.5)
    packets = random_wave(intent, rng, 12)
    packets = np.concatenate([packets, openings(intent, rng, 12), asking(intent, rng, packets)])
    if not len(packets):
        return 0
    answers, now = reply_wave(packets, pair.forward(repeated(packets, rng, SECOND, len(packets)))[:len(packets)], intent), SECOND
    everything = np.concatenate([packets, answers])
    for _ in range(rng.choice((3, 8))):
        now += rng.choice((1, 10, 10, 25, 25, 120, 700)) * SECOND
        wave = repeated(everything, rng, now, rng.choice((10, 80, 600)))
        results = pair.forward(wave)
        assert len(results)
        if rng.random() < 0.5:
            pair.compare()
        match rng.randrange(8):
            case 0:
                pair.learn(*lessons(wave, rng))
            case 1:
                pair.change(intent if rng.random() < 0.5 else policed(intent, rng))
            case 2:
                pair.forward(*random_errors(intent, rng, pair.walking.connections(), 10))
            case 3:
                known = segments(intent, rng, pair.walking.connections(), 10, now)
                everything = np.concatenate([everything, known])
    pair.compare()
    return int(pair.cutting.counts[2])


@settings(max_examples=150)
@given(worlds)
def test_short_cuts_change_nothing(seed: int) -> None:
    rng = Random(seed)
    converse(world(rng), rng)


def test_short_cuts_are_taken() -> None:
    """The test above could not fail if there were none."""
    known = []
    for seed in range(30):
        rng = Random(seed)
        known.append(converse(random_intent(rng), rng))
    assert sum(known) > 200


# ---- one by one --------------------------------------------------------------------------------------------

P1, P2, P3, P5 = (parse_address(f"10.244.{node}.{last}") for node, last in ((1, 2), (1, 3), (2, 2), (3, 2)))


def plain(**more: object) -> Cluster:
    """Nodes n1 and n2 in one subnet whose network carries less than their pods send; nothing is wrapped."""
    cluster = three_zones(**{"ipip": "Never", "nat_outgoing": False, "pod_mtu": 1500, **more})
    cluster.fabric = {"mtu": 1400, "internet_mtu": 1400}
    return cluster


def sent(intent: Intent, seconds: float, source: int = P1, destination: int = P3, **fields: object) -> np.ndarray:
    """UDP, if it is not said otherwise, of 100 bytes."""
    of = next(end.id for end in intent.endpoints if end.address == source)
    return packet(**{
        "src": source, "dst": destination, "ingress": of, "protocol": 17, "sport": 4000, "length": 100,
        "time": int(seconds * SECOND), **fields})


def reasons(results: np.ndarray) -> list[DropReason]:
    return [DropReason(int(reason)) for reason in results["reason"]]


def test_the_third_packet_of_a_flow_takes_the_short_cut() -> None:
    """The first one opens connections, the second one is followed."""
    intent = plain().build()
    assert Pair(intent).cuts(*(sent(intent, second) for second in (1, 2, 3, 4))) == [0, 0, 1, 1]


def test_who_came_as_far_as_the_second_router_walks_on_from_there() -> None:
    """What was too long for the network kept the connection of the first node alive, not that of the second one."""
    intent = plain().build()
    pair = Pair(intent)
    assert pair.cuts(sent(intent, 1), sent(intent, 2), sent(intent, 25, length=1450), sent(intent, 40)) == [0, 0, 0, 1]
    second = pair.cutting.connections()
    assert [int(c) for c in second["ordinal"][second["created"] == 40 * SECOND]] == [2]
    assert pair.cuts(sent(intent, 41), sent(intent, 42), sent(intent, 43)) == [0, 1, 1]      # noted anew


def test_who_walks_on_is_as_long_as_itself() -> None:
    intent = plain(ipip_mtu=1480).build()
    pair = Pair(intent)
    pair.cuts(sent(intent, 1), sent(intent, 2), sent(intent, 25, length=1450))
    assert int(pair.forward(sent(intent, 40, length=333))["wire"][0]) == 333
    pair.compare()


def test_a_short_cut_ends_with_its_connection() -> None:
    intent = plain().build()
    assert Pair(intent).cuts(*(sent(intent, second) for second in (1, 2, 20, 49.5, 80, 81, 82))) == [0, 0, 1, 1, 0, 0, 1]


def test_of_tcp_a_short_cut_ends_with_what_is_established() -> None:
    intent = plain().build()
    pair, tcp = Pair(intent), {"protocol": 6, "tcp_flags": ACK}
    back = {"source": P3, "destination": P1, "sport": 80, "dport": 4000, "protocol": 6}
    assert pair.cuts(*(sent(intent, second, **tcp) for second in (1, 2, 3))) == [0, 0, 1]
    assert pair.cuts(sent(intent, 4, **back, tcp_flags=FIN | ACK), sent(intent, 5, **tcp)) == [0, 0]
    state = pair.cutting.connections()["state"]
    pair.cuts(sent(intent, 6, **back, tcp_flags=RST), sent(intent, 7, **tcp))
    assert (pair.cutting.connections()["state"] != state).any()


def test_data_shortens_and_acknowledgements_lengthen_what_is_established() -> None:
    intent = plain().build()
    pair, tcp = Pair(intent), {"protocol": 6, "tcp_flags": ACK}
    back = {"source": P3, "destination": P1, "sport": 80, "dport": 4000, "protocol": 6}
    pair.cuts(sent(intent, 1, **tcp), sent(intent, 2, **back, tcp_flags=ACK), sent(intent, 3, **tcp), sent(intent, 3, **back))
    pair.cuts(*2 * [sent(intent, 3, **{**tcp, "tcp_flags": PSH | ACK})])
    for flags in (ACK, PSH | ACK, ACK):
        assert pair.cuts(sent(intent, 4, **back, tcp_flags=ACK)) == [1]
        assert pair.cuts(sent(intent, 5, **{**tcp, "tcp_flags": flags})) == [1]
        left = pair.cutting.connections()["expires"] // SECOND - 5
        assert set(left.tolist()) == ({300} if flags & PSH else {432_000})


def test_a_udp_stream_lives_longer_from_its_third_second_on() -> None:
    intent = plain().build()
    pair = Pair(intent)
    answers = {"source": P3, "destination": P1, "sport": 80, "dport": 4000}
    pair.cuts(sent(intent, 1), sent(intent, 1), sent(intent, 1.5, **answers), sent(intent, 1.5, **answers))
    for second, span in ((2, 30), (3, 30), (3.1, 120)):
        assert pair.cuts(sent(intent, second), sent(intent, second, **answers)) == [1, 1]
        assert {int(e) for e in pair.cutting.connections()["expires"]} == {int((second + span) * SECOND)}


def test_what_was_missed_is_looked_for_again() -> None:
    """A packet that dies of its TTL opens nothing; somebody else opens what it belongs to."""
    intent = plain().build()
    pair = Pair(intent)
    assert pair.cuts(*(sent(intent, second, ttl=1) for second in (1, 2)), sent(intent, 3)) == [0, 1, 0]
    assert pair.cuts(sent(intent, 4, ttl=1), sent(intent, 5, ttl=1)) == [0, 1]
    assert int(pair.forward(sent(intent, 6, ttl=1))["connection"][0]) == 1
    pair.compare()
    assert int(pair.cutting.connections()["expires"].max()) == 36 * SECOND


def test_what_was_missed_on_the_second_leg_is_looked_for_again() -> None:
    """Where TTL ends at n2, on which another packet opens the connection."""
    intent = plain().build()
    pair = Pair(intent)
    assert pair.cuts(*(sent(intent, second, ttl=2) for second in (1, 2, 3))) == [0, 0, 1]
    assert pair.cuts(sent(intent, 4), *(sent(intent, second, ttl=2) for second in (5, 6, 7))) == [0, 1, 0, 1]


@pytest.mark.parametrize("ipip, most", [("Never", 1400), ("Always", 1380)])
def test_a_short_cut_is_as_wide_as_the_way(ipip: str, most: int) -> None:
    cluster = three_zones(ipip=ipip, pod_mtu=1500, nat_outgoing=False)
    cluster.fabric = {"mtu": 1400, "internet_mtu": 1400}
    intent = cluster.build()
    pair = Pair(intent)
    assert pair.cuts(*(sent(intent, second, length=900) for second in (1, 2))) == [0, 0]
    for length, short in ((28, 1), (most, 1), (most + 1, 0), (27, 0), (0, 0), (65535, 0), (29, 1)):
        assert pair.cuts(sent(intent, 3, length=length)) == [short], length


@pytest.mark.parametrize("protocol, least", [(6, 40), (17, 28), (1, 28), (47, 20)])
def test_a_short_cut_is_as_long_as_a_header(protocol: int, least: int) -> None:
    intent = plain().build()
    pair = Pair(intent)
    fields = {"protocol": protocol, "tcp_flags": ACK} if protocol == 6 else {"protocol": protocol, "sport": 9}
    fields |= {"dport": 0x0800} if protocol == 1 else {}
    pair.cuts(*(sent(intent, second, **fields) for second in (1, 2)))
    assert pair.cuts(*(sent(intent, 3, **fields, length=length) for length in (least, least - 1))) == [1, 0]


def test_flows_differ_in_whatever_a_journey_may_depend_on() -> None:
    intent = plain().build()
    pair = Pair(intent)
    pair.cuts(sent(intent, 1), sent(intent, 2))
    other = [{"ttl": 63}, {"tos": 1}, {"sport": 4001}, {"dport": 81}, {"df": False}, {"source": P2}, {"destination": P5},
             {"protocol": 47}, {"src": P2}, {"src": P2, "ingress": 1}]
    assert pair.cuts(*(sent(intent, 3, **fields) for fields in other)) == [0] * len(other)
    assert pair.cuts(sent(intent, 4, tcp_flags=SYN)) == [1]                  # which UDP does not have


def test_lessons_of_paths_forget_short_cuts() -> None:
    intent = plain().build()
    pair = Pair(intent)
    assert pair.cuts(*(sent(intent, second, length=1300) for second in (1, 2, 3))) == [0, 0, 1]
    pair.learn((P1, P3, 1000, 3 * SECOND))
    assert reasons(pair.forward(sent(intent, 4, length=1300))) == [DropReason.MTU_EXCEEDED]
    assert pair.cuts(sent(intent, 5, length=1000), sent(intent, 6, length=1000), sent(intent, 6, length=1001)) == [0, 1, 0]


def test_an_old_lesson_holds_for_who_comes_at_an_earlier_time() -> None:
    """It is over for packets of one wave and not for others: their order in the wave is not that of their times."""
    intent = plain().build()
    pair = Pair(intent)
    tcp = {"protocol": 6, "tcp_flags": ACK, "destination": P2}
    back = {"source": P2, "destination": P1, "sport": 80, "dport": 4000}
    pair.cuts(sent(intent, 1, **tcp), sent(intent, 2, **{**tcp, **back}), sent(intent, 3, **tcp))
    pair.learn((P1, P2, 1000, 3 * SECOND))
    wave = np.concatenate([sent(intent, 700, **tcp, length=1300)] * 600 + [sent(intent, 600, **tcp, length=1300)])
    assert reasons(pair.forward(wave)) == [DropReason.NONE] * 600 + [DropReason.MTU_EXCEEDED]
    pair.compare()


def crowd(intent: Intent, second: float, count: int) -> np.ndarray:
    """Flows that end on their first leg and leave no connection."""
    wave = np.repeat(sent(intent, second, ttl=1), count)
    wave["sport"] = 5000 + np.arange(count)
    return wave


def test_the_cache_grows_while_short_cuts_are_under_way() -> None:
    """Some of which come to their end only behind that, or have to be walked after all."""
    intent = plain().build()
    pair = Pair(intent)
    others = [sent(intent, 1, sport=sport) for sport in (4001, 4002)]
    pair.cuts(np.concatenate([sent(intent, 1), *others]), np.concatenate([sent(intent, 2), *others]))
    pair.cuts(sent(intent, 25, length=1450), np.concatenate([at(25, one) for one in others]))
    room = pair.cutting.shards[0].flows.room
    wave = np.concatenate([sent(intent, 40), at(40, others[0]), crowd(intent, 40, 2 * room), at(40, others[1])])
    pair.forward(wave)
    assert pair.cutting.shards[0].flows.room >= 2 * room
    pair.compare()
    assert pair.cuts(crowd(intent, 41, 2 * room), at(41, others[0])) == [2 * room, 1]


def at(second: float, wave: np.ndarray) -> np.ndarray:
    later = wave.copy()
    later["time"] = int(second * SECOND)
    return later


def test_a_full_cache_takes_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calisim.datapath.passage.MOST", 1024)
    monkeypatch.setattr("calisim.datapath.shards.MOST", 1024)
    intent = plain().build()
    pair = Pair(intent)
    assert pair.cuts(crowd(intent, 1, 3000), crowd(intent, 2, 3000)) == [0, 1024]
    assert pair.cuts(sent(intent, 3), sent(intent, 4), sent(intent, 5)) == [0, 0, 0]
    assert pair.cutting.shards[0].flows.room == 1024


def test_the_counters_have_everything_whenever_somebody_looks() -> None:
    intent = plain().build()
    pair = Pair(intent)
    pair.cuts(sent(intent, 1), sent(intent, 2))
    for second in (3, 4, 5):
        pair.forward(np.repeat(sent(intent, second, length=1200), 3))
    links = pair.cutting.links
    assert cuts_of(pair.cutting) == 0 and int(pair.cutting.verdicts[Verdict.DELIVERED]) == 11
    assert links[1:3, :, :, 1].sum() == 4 * (2 * 100 + 9 * 1200)
    pair.compare()


def test_flows_are_settled_before_their_own_counts_run_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "_MOST_UNSETTLED", 10)
    intent = plain().build()
    pair = Pair(intent)
    unsettled = []
    for second in range(1, 9):
        pair.forward(np.repeat(sent(intent, second), 4))
        unsettled.append(cuts_of(pair.cutting))
    assert max(unsettled) == 8 and min(unsettled[2:]) == 4
    pair.compare()


def test_connections_that_are_forgotten_take_their_short_cuts_along() -> None:
    """The others stand elsewhere afterwards."""
    intent = plain().build()
    pair = Pair(intent)
    many = np.repeat(sent(intent, 1), 2000)
    many["sport"] = 10_000 + np.arange(2000)
    tcp = {"protocol": 6, "tcp_flags": ACK}
    pair.forward(many[:100])
    assert pair.cuts(*(sent(intent, second, **tcp) for second in (1, 2, 3))) == [0, 0, 1]
    pair.forward(many[100:])
    before = pair.cutting.shards[0].ledger.counts[0]
    assert pair.cuts(sent(intent, 200, **tcp), sent(intent, 201, **tcp)) == [0, 1]
    assert pair.cutting.shards[0].ledger.counts[0] < before


def test_ports_that_a_short_cut_gives_up_earlier_can_be_had() -> None:
    """All 511 ports of a class are taken, and known to be; packets of an earlier time make their connections end earlier. Who
    looks for one gets his own, where that is still taken the one that he draws, and then the next one."""
    intent = plain(nat_outgoing=True).build()
    flows = np.repeat(sent(intent, 1, destination=parse_address("203.0.113.10")), 511)
    flows["sport"] = 1 + np.arange(511)
    other = sent(intent, 20, source=P2, destination=int(flows["dst"][0]), sport=1)
    found: list[int] = []
    for _ in range(3):
        pair = Pair(intent)
        assert pair.cuts(flows, flows) == [0, 0]
        ended = flows[~np.isin(flows["sport"], found)]
        results = pair.forward(np.concatenate([at(20, flows), other, at(1, ended), at(40, other)]))
        exhausted = [int(reason == DropReason.SNAT_PORTS_EXHAUSTED) for reason in results["reason"]]
        assert exhausted == [0] * 511 + [1] + [0] * (len(ended) + 1) and cuts_of(pair.cutting) == 511 + len(ended)
        pair.compare()
        found.append(int(results["sport"][-1]))
    assert found[0] == 1 and found[2] == found[1] + 1


def test_a_third_leg_has_no_short_cut() -> None:
    """The network hands it to n2, which hands it back."""
    cluster = plain()
    cluster.cloud_route("10.244.3.0/26", TargetKind.NODE, router=2)
    intent = cluster.build()
    pair = Pair(intent)
    assert pair.cuts(*(sent(intent, second, destination=P5, ttl=3) for second in (1, 2, 3, 4))) == [0, 0, 0, 0]
    [result] = pair.forward(sent(intent, 5, destination=P5, ttl=3))
    assert (DropReason(int(result["reason"])), int(result["hops"])) == (DropReason.TTL_EXCEEDED, 3)


def test_another_network_has_other_short_cuts() -> None:
    """Connections live on."""
    cluster = plain()
    intent = cluster.build()
    pair = Pair(intent)
    assert pair.cuts(*(sent(intent, second) for second in (1, 2, 3))) == [0, 0, 1]
    cluster.fabric["mtu"] = 90
    pair.change(cluster.build())
    assert reasons(pair.forward(sent(intent, 4))) == [DropReason.FABRIC_MTU]
    pair.compare()


def test_short_cuts_send_errors_if_somebody_wants_them() -> None:
    intent = plain().build()
    pair = Pair(intent, offspring=True)
    other = Pair(intent)
    other.walking, other.cutting = pair.walking, pair.cutting
    assert other.cuts(sent(intent, 1, ttl=1), sent(intent, 2, ttl=1)) == [0, 1]
    assert pair.cuts(sent(intent, 3, ttl=1), sent(intent, 4, ttl=1)) == [0, 0]
    assert len(pair.engine.forward(sent(intent, 9, ttl=1), pair.cutting, offspring=True).born.packets) == 1
