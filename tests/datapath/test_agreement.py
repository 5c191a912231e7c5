"""The two engines agree on every field of every RESULT, EVENT and CONNECTION and on every counter."""

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings

from calisim import _fastpath
from calisim.control.intent import Intent
from calisim.datapath.engine import engine
from calisim.datapath.reference.police import Flow, Police
from calisim.errors import UsageError
from calisim.fib.compiler import compile
from calisim.traffic.batch import ACK, FIN, RST, SYN, packet
from calisim.traffic.flows import reply_wave
from calisim.vocabulary import HEADER, PACKET, DropReason, HeaderFlag, ResultFlag, RpFilter, Stage, Verdict
from tests.balancing import asking, served
from tests.generators import (
    SECOND, TAILS, conversation, hostile_headers, random_errors, random_headers, random_intent, random_pieces, random_wave,
    segments, worlds,
)
from tests.intents import Cluster, three_zones
from tests.policing import openings, policed


def same_rows(what: str, fast: np.ndarray, reference: np.ndarray) -> None:
    """Field by field, so that a failure names the field."""
    assert len(fast) == len(reference), f"{what}: {len(fast)} rows against the reference's {len(reference)}"
    for name in fast.dtype.names or ():
        wrong = np.flatnonzero(fast[name] != reference[name])
        assert not wrong.size, f"{what} {wrong[0]}: {name} {fast[name][wrong[0]]}, reference {reference[name][wrong[0]]}"


class Twins:
    """Both engines over one Intent, each with its state."""

    def __init__(self, intent: Intent) -> None:
        self.engines = engine("fast", intent), engine("reference", intent)
        self.states = tuple(twin.new_state() for twin in self.engines)

    def forward(self, wave: np.ndarray, headers: np.ndarray | None = None) -> np.ndarray:
        """The wave through both; what they agree on."""
        fast, reference = (
            twin.forward(wave, state, headers, events=True, offspring=True)
            for twin, state in zip(self.engines, self.states, strict=True))
        same_rows("RESULT", fast.results, reference.results)
        same_rows("EVENT", fast.events, reference.events)
        same_rows("CONNECTION", *(state.connections() for state in self.states))
        same_rows("PMTU", *(state.path_mtus() for state in self.states))
        same_rows("AFFINITY", *(state.affinities() for state in self.states))
        for part in ("packets", "headers", "causes"):
            same_rows(f"born {part}", getattr(fast.born, part), getattr(reference.born, part))
        self.born = fast.born
        for counters in ("links", "drops", "verdicts", "hits"):
            np.testing.assert_array_equal(*(getattr(state, counters) for state in self.states), err_msg=counters)
        return fast.results


    def become(self, intent: Intent) -> None:
        """The cluster is another one now; what its nodes know stays."""
        self.engines = engine("fast", intent), engine("reference", intent)

    def follow(self, most: int = 8) -> None:
        """What the last wave gave rise to, and what that does."""
        while len(self.born.packets) and most:
            self.forward(self.born.packets[:3000], self.born.headers[:3000])
            most -= 1


def converse(twins: Twins, intent: Intent, rng: Random, headers_of: Callable[[np.ndarray], np.ndarray | None]) -> None:
    """A conversation of several waves, each followed by what the routers say about it."""
    talk = conversation(intent, rng, rng.choice((5, 20, 60)))
    wave = next(talk).copy()
    try:
        while True:
            wave = talk.send(twins.forward(wave, headers_of(wave))).copy()
            twins.follow()
            wave["time"] = np.maximum(wave["time"], twins.states[1].latest)        # waves come in the order of time
    except StopIteration:
        pass


@settings(max_examples=120)
@given(worlds)
def test_generated_worlds_agree(seed: int) -> None:
    rng = Random(seed)
    intent = random_intent(rng)
    twins = Twins(intent)
    converse(twins, intent, rng, lambda wave: None)


@settings(max_examples=120)
@given(worlds)
def test_generated_worlds_agree_on_what_is_sent_encapsulated(seed: int) -> None:
    rng = Random(seed)
    intent = random_intent(rng)
    twins = Twins(intent)
    converse(twins, intent, rng, lambda wave: random_headers(intent, rng, wave))


@settings(max_examples=120)
@given(worlds)
def test_generated_worlds_agree_on_icmp_errors(seed: int) -> None:
    rng = Random(seed)
    intent = random_intent(rng)
    twins = Twins(intent)
    wave = random_wave(intent, rng, 60)
    answers = reply_wave(wave, twins.forward(wave), intent)
    twins.forward(answers)
    twins.forward(*random_errors(intent, rng, twins.states[1].connections(), 60))
    for repeated in (wave, answers):                   # now some know more of the path
        repeated["length"] = np.where(repeated["length"] > 576, repeated["length"], 577)
        repeated["time"] = int(repeated["time"].max(initial=0)) + 1001 * SECOND
        headers = np.zeros(len(repeated), HEADER)
        headers["flags"][::3] = HeaderFlag.FRAME
        twins.forward(repeated, headers)


@settings(max_examples=120)
@given(worlds)
@example(8740)                             # pieces of one outer packet that came in by different devices
@example(314811)                           # a piece that goes on as a datagram would
def test_generated_worlds_agree_on_pieces(seed: int) -> None:
    rng = Random(seed)
    intent = random_intent(rng)
    if rng.random() < 0.3:
        intent = policed(intent, rng)
    twins = Twins(intent)
    for number in range(4):
        wave, headers = random_pieces(intent, rng, 25, start=SECOND * (1 + number * rng.choice((0, 1, 20, 31))))
        if rng.random() < 0.5:
            hostile_headers(intent, rng, headers)
        order = np.argsort(np.random.default_rng(seed).integers(0, 4, len(wave)), kind="stable")
        for part in np.array_split(order, rng.choice((1, 1, 3))):
            twins.forward(wave[part], headers[part])
            twins.follow()


@settings(max_examples=120)
@given(worlds)
def test_generated_worlds_agree_on_policy(seed: int) -> None:
    rng = Random(seed)
    intent = policed(random_intent(rng), rng, rules=rng.choice((1, 4, 60)))
    twins = Twins(intent)
    twins.forward(openings(intent, rng, 60))
    converse(twins, intent, rng, lambda wave: random_headers(intent, rng, wave) if rng.random() < 0.2 else None)


@settings(max_examples=120)
@given(worlds)
@example(1321)                             # a tunnel too narrow for an endpoint's answer to a client with his own address
@example(1601982250)                       # an error about a pod's own tunnel whose outer packet was balanced
def test_generated_worlds_agree_on_services(seed: int) -> None:
    """Requests, answers, errors about them, pieces, TCP in any order; under policy or not; then the services are other ones."""
    rng = Random(seed)
    intent = served(random_intent(rng), rng)
    if rng.random() < 0.5:
        intent = policed(intent, rng)
    twins = Twins(intent)
    now = SECOND
    for change in range(3):
        if change == 2:
            twins.become(intent := served(intent, rng))
        wave = asking(intent, rng, random_wave(intent, rng, 60, start=now, spread=SECOND))
        answers = reply_wave(wave, twins.forward(wave, random_headers(intent, rng, wave) if rng.random() < 0.2 else None), intent)
        twins.follow()
        twins.forward(answers)
        twins.follow()
        wave, headers = random_errors(intent, rng, twins.states[1].connections(), 30)
        wave["time"] = np.maximum(wave["time"], twins.states[1].latest)
        twins.forward(wave, headers)
        if rng.random() < 0.5:
            wave, headers = random_pieces(intent, rng, 20, start=max(twins.states[1].latest, now))
            twins.forward(asking(intent, rng, wave) if rng.random() < 0.3 else wave, headers)
            twins.follow()
        else:
            twins.forward(segments(intent, rng, twins.states[1].connections(), 40, max(twins.states[1].latest, now)))
        now = max(twins.states[1].latest, now) + rng.choice((0, 1, 40, 200, 700, 500_000)) * SECOND


@settings(max_examples=60)
@given(worlds)
def test_generated_worlds_agree_on_policy_that_changes(seed: int) -> None:
    """Connections of before meet the policy of now, which keeps them or cuts them."""
    rng = Random(seed)
    world = random_intent(rng)
    first = policed(world, rng)
    twins = Twins(first)
    wave = openings(first, rng, 60)
    answers = reply_wave(wave, twins.forward(wave), first)
    for intent in (policed(world, rng), policed(world, rng)):
        twins.become(intent)
        for again in (wave, answers, wave):
            twins.forward(again)


@settings(max_examples=120)
@given(worlds)
def test_policy_alone_agrees_on_any_flow(seed: int) -> None:
    rng = Random(seed)
    intent = policed(random_intent(rng), rng, rules=rng.choice((1, 4, 100)))
    wave = openings(intent, rng, 200)
    reasons, deciders = np.zeros(len(wave), np.uint8), np.zeros(len(wave), np.uint32)
    image = compile(intent)
    _fastpath.police(_fastpath.Tables(**image.arrays, places=image.places, objects=image.objects), wave, reasons, deciders)
    police = Police(intent.policy)
    for packet_, reason, decider in zip(wave, reasons, deciders, strict=True):
        flow = Flow(*(int(packet_[name]) for name in ("src", "dst", "protocol", "sport", "dport")),
                    icmp=(int(packet_["dport"]) >> 8, int(packet_["dport"]) & 0xFF))
        sides = police.egress(flow), police.ingress(flow)
        expected = next((reason for reason, side in zip(
            (DropReason.POLICY_EGRESS, DropReason.POLICY_INGRESS), sides, strict=True) if not side.allowed), DropReason.NONE)
        assert reason == expected, flow
        decided = sides[expected is not DropReason.POLICY_EGRESS].decided_by
        assert not decided or decided == decider, flow


def test_generated_policy_decides_in_every_way() -> None:
    """What the generator is for: rules, ends of tiers and of profiles, denials on both sides, and indexes all occur."""
    said, indexes = np.zeros(len(DropReason), np.int64), 0
    for seed in range(30):
        rng = Random(seed)
        intent = policed(random_intent(rng), rng, rules=100)
        image = compile(intent)
        wave = openings(intent, rng, 100)
        reasons, deciders = np.zeros(len(wave), np.uint8), np.zeros(len(wave), np.uint32)
        _fastpath.police(_fastpath.Tables(**image.arrays, places=image.places, objects=image.objects), wave, reasons, deciders)
        said += np.bincount(reasons, minlength=len(said))
        indexes += len(image.indexes) - 1
    assert min(said[DropReason.NONE], said[DropReason.POLICY_EGRESS], said[DropReason.POLICY_INGRESS], indexes) >= 20


@settings(max_examples=60)
@given(worlds)
def test_generated_worlds_agree_on_tcp_segments_in_any_order(seed: int) -> None:
    """Flags of every kind on the same connections, wave after wave, with silences that some time-outs survive."""
    rng = Random(seed)
    intent = random_intent(rng)
    twins = Twins(intent)
    now = SECOND
    for _ in range(8):
        wave = segments(intent, rng, twins.states[1].connections(), rng.choice((20, 60)), now)
        twins.forward(wave)
        now = int(wave["time"].max(initial=now)) + rng.choice((0, 1, 9, 10, 11, 30, 60, 120, 300, 301, 432_000)) * SECOND


def test_generated_services_meet_every_case() -> None:
    """What the generator is for: endpoints, answers, masquerading, hairpins, affinity and every refusal occur."""
    met = dict.fromkeys(("chosen", "put back", "hidden", "hairpin", "affinity", "rejected", "dropped", "firewall"), 0)
    for seed in range(40):
        rng = Random(seed)
        intent = served(random_intent(rng), rng)
        twin = engine("fast", intent)
        state = twin.new_state()
        wave = asking(intent, rng, random_wave(intent, rng, 100))
        outcome = twin.forward(wave, state, offspring=True)
        results = outcome.results
        chosen = results["flags"] & ResultFlag.DNAT > 0
        refused = results["stage"] == Stage.BALANCE
        assert outcome.born is not None
        met["chosen"] += chosen.sum()
        met["hidden"] += (chosen & (results["flags"] & ResultFlag.SNAT > 0)).sum()
        met["hairpin"] += (chosen & (results["dst"] == wave["src"])).sum()
        met["affinity"] += len(state.affinities())
        rejected = int((outcome.born.causes["cause"] == DropReason.NO_ENDPOINTS).sum())
        met["rejected"] += rejected
        met["dropped"] += int((refused & (results["reason"] == DropReason.NO_ENDPOINTS)).sum()) - rejected
        met["firewall"] += (refused & (results["reason"] == DropReason.POLICY_INGRESS)).sum()
        answers = twin.forward(reply_wave(wave, results, intent), state).results
        met["put back"] += (answers["flags"] & ResultFlag.UNDNAT > 0).sum()
    assert min(met.values()) >= 20, met


@pytest.mark.parametrize("count", TAILS)
def test_batch_tails_agree(count: int) -> None:
    rng = Random(count)
    intent = random_intent(Random(3))
    twins = Twins(intent)
    results = twins.forward(random_wave(intent, rng, count))
    assert len(results) == count


def clashing(intent: Intent, sender: str, ports: int, *, dport: int = 80, protocol: int = 6, **fields: Any) -> np.ndarray:
    """The same source ports from one pod again and again, each to the outside host."""
    pod = intent.endpoint(intent.endpoint_ids[sender])
    wave = np.repeat(packet(
        src=pod.address, dst="203.0.113.10", ingress=pod.id, protocol=protocol, tcp_flags=SYN, dport=dport, **fields), ports)
    wave["sport"] = np.arange(ports) + 1
    return wave


@pytest.mark.parametrize("random_fully", [False, True])
def test_port_exhaustion_agrees(random_fully: bool) -> None:
    """Ports 1..511 of four pods of one node to one destination: there are 511, and the search does not find the last ones."""
    intent = three_zones(pods=4, random_fully=random_fully).build()
    twins = Twins(intent)
    results = np.concatenate([twins.forward(clashing(intent, f"default/p{pod}", 400)) for pod in (1, 2, 3)])
    lost = results[results["verdict"] == Verdict.DROPPED]
    assert set(lost["reason"]) == {DropReason.SNAT_PORTS_EXHAUSTED}
    kept = results[results["verdict"] == Verdict.DELIVERED]
    tuples = set(zip(kept["src"].tolist(), kept["sport"].tolist(), strict=True))
    assert len(tuples) == len(kept) > 450                 # every reply tuple once
    assert (kept["flags"] & ResultFlag.SNAT).all()


@pytest.mark.parametrize("protocol", [6, 17])
@pytest.mark.parametrize("random_fully", [False, True])
def test_nearly_full_ranges_agree_while_connections_come_live_and_go(protocol: int, random_fully: bool) -> None:
    """What a search has learnt of a range ends with what it was learnt of: by time (forth and back within a wave), by RST and
    FIN, by a successor; and packets and answers put ends off."""
    rng = np.random.default_rng(protocol)
    intent = three_zones(pods=4, random_fully=random_fully).build()
    twins, start, lost, back = Twins(intent), SECOND, 0, np.empty(0, PACKET)
    for _ in range(8):
        wave = np.concatenate([clashing(intent, f"default/p{pod}", 1100, protocol=protocol) for pod in (1, 2)])
        wave = rng.choice(wave[wave["sport"] < 1024], 900)
        if protocol == 6:
            wave["tcp_flags"] = rng.choice([SYN, ACK, ACK | RST, ACK | FIN], len(wave), p=[0.7, 0.1, 0.1, 0.1])
        wave = rng.permutation(np.concatenate([wave, back]))
        wave["time"] = start + rng.integers(0, 40 if protocol == 6 else 15, len(wave)) * SECOND
        results = twins.forward(wave)
        lost += np.count_nonzero(results["reason"] == DropReason.SNAT_PORTS_EXHAUSTED)
        back = rng.permutation(reply_wave(wave, results, intent))[:300]
        if protocol == 6:
            back["tcp_flags"] = rng.choice([SYN | ACK, ACK, ACK | RST, ACK | FIN], len(back))
        start = twins.states[1].latest
    assert lost > 300


def test_who_takes_over_a_tuple_ends_what_had_it() -> None:
    """A node's own connection, masqueraded behind its tunnel address, expires; another one opens from that very address."""
    intent = three_zones(ipip="Always").build()
    twins = Twins(intent)
    tunnel = {"dst": "10.244.3.1", "ingress": 1, "protocol": 132}
    twins.forward(np.concatenate([
        packet(src="10.0.1.11", time=SECOND, **tunnel), packet(src="10.244.1.1", time=700 * SECOND, **tunnel)]))
    result = twins.forward(packet(src="10.244.3.1", dst="10.244.1.1", ingress=3, protocol=132, time=500 * SECOND))[0]
    assert not result["flags"] & ResultFlag.UNNAT


def test_growth_changes_nothing() -> None:
    """More connections than any first room has; then the same packets again, then after everything has expired."""
    intent = three_zones(nat_outgoing=False).build()
    twins = Twins(intent)
    wave = clashing(intent, "default/p1", 3000, protocol=17)
    wave["dst"] = intent.endpoint(intent.endpoint_ids["default/p5"]).address
    first = twins.forward(wave)
    again = twins.forward(wave)
    np.testing.assert_array_equal(again["connection"], first["connection"])
    wave["time"] = 10**15
    later = twins.forward(wave)
    assert (later["connection"] == first["connection"] + 3001).all()     # the tunnel has expired, too
    assert len(twins.states[0].connections()) == 6002     # at the sender and at the receiver, and the tunnel's at both


def test_affinity_grows_with_its_clients() -> None:
    """More clients than any first table has; they stay where they were, and are forgotten when their time is over."""
    cluster = three_zones(calico=False, rp_filter=RpFilter.OFF)
    cluster.service("10.96.0.1", ["10.244.1.2", "10.244.1.3"], node_port=30000, affinity=100 * SECOND)
    intent = cluster.build()
    twins = Twins(intent)
    wave = np.repeat(packet(
        dst="10.0.1.11", ingress=intent.endpoint_ids["host/api"], protocol=17, dport=30000, time=SECOND, length=100), 3000)
    wave["protocol"], wave["tcp_flags"], wave["src"] = 6, SYN, 0x50000000 + np.arange(3000)
    first = twins.forward(wave)
    assert len(twins.states[0].affinities()) == 3000 and len(set(first["dst"].tolist())) == 2
    for name, value in (("sport", 50000), ("time", 90 * SECOND)):
        wave[name] = value
    np.testing.assert_array_equal(twins.forward(wave)["dst"], first["dst"])
    wave["src"], wave["time"] = 0x60000000 + np.arange(3000), 1000 * SECOND
    twins.forward(wave)
    assert len(twins.states[0].affinities()) == 3000


def test_chunks_of_one_leg_have_no_meaning() -> None:
    """A stateless comparison: what one wave gives, its halves give one after the other, but for wave-bound tracking."""
    intent = three_zones().build()
    whole, halves = engine("fast", intent), engine("fast", intent)
    wave = random_wave(intent, Random(5), 600, spread=1)
    one, two = whole.new_state(), halves.new_state()
    together = whole.forward(wave, one).results
    forward = intent.endpoint_ids["default/p1"]
    mine = wave["ingress"] == forward                     # one sender: no other packet's legs come in between
    apart = np.concatenate([halves.forward(part, two).results for part in np.array_split(wave[mine], 3)])
    alone = whole.forward(wave[mine], whole.new_state()).results
    np.testing.assert_array_equal(apart["verdict"], alone["verdict"])
    assert len(together) == 600


def test_threads_have_no_meaning() -> None:
    intent = random_intent(Random(11))
    twin = engine("fast", intent)
    wave = random_wave(intent, Random(1), 300)
    outcomes = [twin.forward(wave, twin.new_state(), threads=threads, events=True) for threads in (1, 2, 7)]
    for other in outcomes[1:]:
        same_rows("RESULT", other.results, outcomes[0].results)
        same_rows("EVENT", other.events, outcomes[0].events)


def test_hostile_packets_end_with_a_verdict() -> None:
    """Any 32 bytes are a packet."""
    intent = random_intent(Random(4))
    raw = np.random.default_rng(1).integers(0, 256, 32 * 5000, np.uint8).view(PACKET)
    raw["ingress"][::2] %= len(intent.endpoints) + 2
    raw["fragment"][::2] &= 0x4000
    headers = np.random.default_rng(2).integers(0, 256, HEADER.itemsize * 5000, np.uint8).view(HEADER)
    headers["encap"][::2] %= 3
    for more in (None, headers):
        results = Twins(intent).forward(raw, more)
        assert (results["verdict"] != Verdict.NONE).all()


def test_state_follows_a_new_node() -> None:
    """A node joins: what was connected stays connected, whatever the new ids are."""
    before, after = three_zones(), three_zones()
    after.node("10.0.1.14", subnet=1)
    old = engine("fast", before.build())
    state = old.new_state()
    wave = clashing(before.build(), "default/p1", 3)
    first = old.forward(wave, state).results
    joined = after.build()
    wave["ingress"] = joined.endpoint_ids["default/p1"]
    second = engine("fast", joined).forward(wave, state).results
    np.testing.assert_array_equal(second["sport"], first["sport"])
    np.testing.assert_array_equal(second["connection"], first["connection"])
    assert not (second["flags"] & ResultFlag.NEW).any()
    assert state.links.shape[0] == 5


@pytest.mark.parametrize("wave", [
    [1, 2], np.zeros(3), np.zeros((2, 2), PACKET), np.zeros(2, PACKET.descr[:4]), None])
def test_wave_rejects(wave: Any) -> None:
    twin = engine("fast", Cluster().build())
    with pytest.raises(UsageError, match=r"calisim\.PACKET"):
        twin.forward(wave, twin.new_state())


@pytest.mark.parametrize("headers", [[1], np.zeros(1), np.zeros(2, HEADER), np.zeros((1, 1), HEADER)])
def test_headers_rejects(headers: Any) -> None:
    twin = engine("fast", Cluster().build())
    with pytest.raises(UsageError, match=r"calisim\.HEADER"):
        twin.forward(packet(), twin.new_state(), headers)


def test_foreign_state_and_unknown_engine_rejects() -> None:
    intent = three_zones().build()
    with pytest.raises(UsageError, match="another engine"):
        engine("fast", intent).forward(packet(), engine("reference", intent).new_state())
    with pytest.raises(UsageError, match="fast and reference"):
        engine("quick", intent)


def test_saved_image_forwards_alike(tmp_path: Any) -> None:
    intent = three_zones().build()
    image = compile(intent)
    image.save(tmp_path / "fib.npz")
    loaded = type(image).load(tmp_path / "fib.npz")
    wave = random_wave(intent, Random(2), 200)
    twins = [engine("fast", intent, one) for one in (image, loaded)]
    same_rows("RESULT", *(twin.forward(wave, twin.new_state()).results for twin in twins))
