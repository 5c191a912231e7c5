"""Tables of the compiled engine's state that have grown or been tidied still lead to everything that they led to before."""

from itertools import chain, repeat
from unittest.mock import Mock, patch

import numpy as np
import pytest

from calisim._fastpath import widen
from calisim.control.intent import Intent
from calisim.datapath import shards
from calisim.datapath.fast import FastEngine
from calisim.fib.compiler import compile
from calisim.fib.image import FibImage
from calisim.traffic.batch import packet
from calisim.vocabulary import ResultFlag
from tests.generators import SECOND
from tests.intents import allow, three_zones

FLOWS = 30_000                                  # the first tables have room for 2,048 connections and 16,384 slots
UDP = 17


def datagrams(intent: Intent, time: int) -> np.ndarray:
    pod = intent.endpoint(intent.endpoint_ids["default/p1"])
    wave = np.repeat(packet(src=pod.address, dst="203.0.113.10", ingress=pod.id, protocol=UDP, dport=53, time=time), FLOWS)
    wave["sport"] = np.arange(FLOWS) + 1024
    return wave


def is_new(results: np.ndarray) -> np.ndarray:
    return results["flags"] & ResultFlag.NEW != 0


@pytest.mark.parametrize("random_fully", [False, True])
def test_grown_and_tidied_tables_know_every_connection(random_fully: bool) -> None:
    intent = three_zones(pods=1, random_fully=random_fully).build()
    engine = FastEngine(compile(intent))
    state = engine.new_state()
    first = engine.forward(datagrams(intent, SECOND), state).results
    assert is_new(first).all()
    shard = state.shards[0]
    assert len(shard.records) >= FLOWS and shard.ledger.counts[3] >= (2 if random_fully else 3) * FLOWS     # directions, source
    again = engine.forward(datagrams(intent, 2 * SECOND), state).results
    assert not is_new(again).any()
    for name in ("connection", "src", "sport"):
        np.testing.assert_array_equal(again[name], first[name])
    half = datagrams(intent, 20 * SECOND)[::2]
    assert not is_new(engine.forward(half, state).results).any()
    late = engine.forward(datagrams(intent, 40 * SECOND), state).results
    np.testing.assert_array_equal(is_new(late), np.arange(FLOWS) % 2 == 1)
    np.testing.assert_array_equal(late["sport"][::2], first["sport"][::2])
    assert state.shards[0].ledger.counts[0] == FLOWS + FLOWS // 2
    last = engine.forward(datagrams(intent, 41 * SECOND), state).results                # before it the dead are forgotten
    assert state.shards[0].ledger.counts[0] == FLOWS
    assert not is_new(last).any()
    for name in ("connection", "src", "sport"):
        np.testing.assert_array_equal(last[name], late[name])


def test_a_tuple_has_one_slot_of_the_index_for_both_kinds_of_tracking() -> None:
    cluster = three_zones(pods=1, random_fully=True, groups=(1,))
    cluster.group(egress=[allow()])
    intent = cluster.build()
    engine = FastEngine(compile(intent))
    state = engine.new_state()
    first = engine.forward(datagrams(intent, SECOND), state).results
    shard = state.shards[0]
    assert shard.ledger.counts[0] == 2 * FLOWS and shard.ledger.counts[3] == 2 * FLOWS
    kinds = state.connections()["flags"]
    for time in (2, 29):                                    # the kinds' time-outs differ: conntrack's 30 s, the groups' 180 s
        again = engine.forward(datagrams(intent, time * SECOND), state).results
        assert not is_new(again).any() and (again["sport"] == first["sport"]).all()
    late = engine.forward(datagrams(intent, 100 * SECOND), state).results
    assert is_new(late).all()                               # conntrack's second entries, of tuples that the groups still know
    live = state.connections()
    np.testing.assert_array_equal(np.sort(live["flags"]), np.sort(kinds))
    assert (live["packets"][live["flags"] != 0] == 4).all() and (live["packets"][live["flags"] == 0] == 1).all()


@pytest.mark.parametrize("superseded", [False, True])
def test_masquerade_that_begins_to_stick_to_ports_knows_whom_it_would_have_stuck_to(superseded: bool) -> None:
    builds = {random_fully: three_zones(pods=1, random_fully=random_fully).build() for random_fully in (True, False)}
    engines = {random_fully: FastEngine(compile(intent)) for random_fully, intent in builds.items()}
    state = engines[True].new_state()
    crowd = datagrams(builds[True], SECOND)
    first, second, third, others = crowd[:1].copy(), crowd[:1].copy(), crowd[:1].copy(), crowd[1:FLOWS // 2].copy()
    second["dst"] += 1
    third["dst"] += 2
    others["dst"] += 3
    port = engines[True].forward(crowd, state).results["sport"][0]
    if superseded:                                          # the source's last connection, dead and forgotten in the end
        assert is_new(engines[True].forward(second, state).results).all()
    for wave, time in ((first, 25), (others, 25), (first, 50), (third, 51)):
        wave["time"] = time * SECOND
        if wave is not third:
            assert is_new(engines[True].forward(wave, state).results).all() == (wave is others)
    assert state.shards[0].ledger.counts[0] == 1 + len(others)
    result = engines[False].forward(third, state).results[0]
    assert port != third["sport"][0]
    assert result["sport"] == (third["sport"][0] if superseded else port)


def test_slots_of_one_home_keep_their_order_in_a_wider_index() -> None:
    chance = np.random.default_rng(1)
    tags = chance.integers(0, 40, 600).astype(np.uint64)        # few homes: long runs, around the end, too
    tags[tags < 20] += np.uint64(1004)
    narrow, wide = np.zeros(1024, np.uint64), np.zeros(4096, np.uint64)
    for number, tag in enumerate(tags.tolist(), 1):
        at = tag & 1023
        while narrow[at]:
            at = (at + 1) & 1023
        narrow[at] = tag << 32 | number
    widen(narrow, wide)
    for tag in set(tags.tolist()):
        found, at = [], tag & 4095
        while wide[at]:
            if int(wide[at]) >> 32 == tag:
                found.append(int(wide[at]) & 0xFFFFFFFF)
            at = (at + 1) & 4095
        assert found == (np.flatnonzero(tags == tag) + 1).tolist()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("nodes", [0, 1])
def test_counters_and_connections_go_on_with_other_tables(nodes: int, threads: int) -> None:
    """The pool's mode changes and, or not, a node joins: links and drops of the others go on, hits begin anew."""
    first, second = three_zones(pods=1), three_zones(pods=1, ipip="Always")
    for number in range(nodes):
        second.node(f"10.0.2.{77 + number}", subnet=2, ipip=f"10.244.9.{number + 1}", public=0, pod_mtu=1480)
        second.block("10.244.9.0/26", 4)
    intents = [first.build(), second.build()]
    engines = [FastEngine(compile(intent)) for intent in intents]
    waves = [np.tile(datagrams(intent, SECOND * at), 1 + (threads > 1)) for at, intent in enumerate(intents, start=1)]
    waves[1]["ingress"], waves[1]["sport"][::3] = intents[1].endpoint_ids["default/p1"], 1
    state, apart = engines[0].new_state(), engines[1].new_state()
    before = engines[0].forward(waves[0], state, threads=threads).results
    links, drops, verdicts = state.links.copy(), state.drops.copy(), state.verdicts.copy()
    after = engines[1].forward(waves[1], state, threads=threads).results
    assert is_new(before)[:FLOWS].all() and not is_new(after)[1:FLOWS:3].any()
    engines[1].forward(waves[1], apart, threads=threads)
    routers = len(links)
    np.testing.assert_array_equal(state.links[:routers] - links, apart.links[:routers])
    np.testing.assert_array_equal(state.drops[:routers] - drops[:routers], apart.drops[:routers])
    np.testing.assert_array_equal(state.verdicts - verdicts, apart.verdicts)
    np.testing.assert_array_equal(state.hits, apart.hits)
    assert len(state.links) == routers + nodes


@pytest.mark.parametrize("change", ["grow", "tidy"])
def test_a_table_for_which_there_is_no_memory_leaves_the_old_one_as_it_was(change: str) -> None:
    intent = three_zones(pods=1).build()
    engine = FastEngine(compile(intent))
    state = engine.new_state()
    wave = datagrams(intent, SECOND)[:1000]
    engine.forward(wave[:700], state)
    before = state.connections()
    with patch("calisim.datapath.shards.zeros", side_effect=MemoryError), pytest.raises(MemoryError):
        if change == "grow":
            with patch("calisim.datapath.shards.CONNECTION_ROOM", 2000):
                state.shards[0].grow(SECOND)
        else:
            state.shards[0].tidy(200 * SECOND)
    np.testing.assert_array_equal(state.connections(), before)
    np.testing.assert_array_equal(is_new(engine.forward(wave, state).results), np.arange(1000) >= 700)
    assert len(state.connections()) == 1000


def make_scarce(monkeypatch: pytest.MonkeyPatch, left: int) -> None:
    """There is memory for so many tables more."""
    sheets = chain([shards.Sheet] * left, repeat(Mock(side_effect=MemoryError)))
    monkeypatch.setattr(shards, "Sheet", lambda *arguments: next(sheets)(*arguments))


@pytest.mark.parametrize("left", [0, 1, 2])
def test_where_there_is_no_memory_to_grow_what_was_known_still_is(monkeypatch: pytest.MonkeyPatch, left: int) -> None:
    intent = three_zones(pods=1).build()
    engine = FastEngine(compile(intent))
    state, wave = engine.new_state(), datagrams(intent, SECOND)
    known, before = engine.forward(wave[:1000], state).results, state.connections()
    with monkeypatch.context() as scarcity, pytest.raises(MemoryError):
        make_scarce(scarcity, left)
        engine.forward(wave, state)
    now = state.shards[0].connections
    assert (now["created"] == SECOND).all() and (now["key"] == before["key"][0]).all()
    again = engine.forward(wave, state).results
    assert not is_new(again[:1000]).any() and (again[:1000]["sport"] == known["sport"]).all()
    assert len(state.connections()) == FLOWS


@pytest.mark.parametrize("left", [0, 1])
def test_where_there_is_no_memory_to_tidy_what_was_known_still_is(monkeypatch: pytest.MonkeyPatch, left: int) -> None:
    intent = three_zones(pods=1).build()
    engine = FastEngine(compile(intent))
    state, wave = engine.new_state(), datagrams(intent, SECOND)
    wave["time"][10_000:] = 20 * SECOND
    known, before = engine.forward(wave, state).results, state.shards[0].connections.copy()
    with monkeypatch.context() as scarcity, pytest.raises(MemoryError):
        make_scarce(scarcity, left)
        state.tidy(35 * SECOND)
    after = state.shards[0].connections
    for name in ("src", "sport", "reply_dport", "created", "expires", "state"):
        np.testing.assert_array_equal(before[name], after[name])
    wave["time"] = 35 * SECOND
    again = engine.forward(wave, state).results
    assert not is_new(again[10_000:]).any() and (again[10_000:]["sport"] == known[10_000:]["sport"]).all()
    assert is_new(again[:10_000]).all()


def test_counters_of_what_is_new_begin_at_0_whatever_was_in_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node, a VPC."""
    cluster = three_zones()
    old = compile(cluster.build())
    cluster.node("10.0.1.14", subnet=1)
    cluster.subnet("10.9.0.0/24", vpc=2)
    state, new, real = FastEngine(old).new_state(), compile(cluster.build()), shards.Counters.room

    def used(image: FibImage) -> shards.Counters:
        room = real(image)
        for array in (room.links, room.drops, room.verdicts, room.hits):
            array[...] = 7
        return room

    monkeypatch.setattr(shards.Counters, "room", used)
    state.shards[0].counters.links[1:] = state.shards[0].counters.drops[1:len(old.routers)] = 5
    state.fit(new)
    counters, nodes = state.shards[0].counters, len(old.routers)
    assert len(counters.links) == nodes + 1 and len(counters.drops) > old.places + 2
    assert (counters.links[1:nodes] == 5).all() and (counters.drops[1:nodes] == 5).all()
    assert not any(array.any() for array in (
        counters.links[nodes:], counters.drops[nodes:], counters.verdicts, counters.hits))
