"""Threads have no meaning: with any number of them results, events, offspring, connections and counters are those of one."""

from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from random import Random
from threading import BrokenBarrierError, Event, current_thread, main_thread
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings

from calisim._fastpath import Gate
from calisim.control.intent import Intent
from calisim.datapath import passage
from calisim.datapath.fast import FastEngine
from calisim.datapath.results import Results
from calisim.datapath.shards import Shard
from calisim.errors import UsageError
from calisim.fib.compiler import compile
from calisim.traffic.batch import UDP, packet
from calisim.traffic.flows import reply_wave
from calisim.vocabulary import EndpointKind
from tests.balancing import asking, served
from tests.datapath.test_agreement import same_rows
from tests.datapath.test_flows import repeated
from tests.generators import SECOND, hostile_headers, random_headers, random_intent, random_wave, worlds
from tests.intents import three_zones
from tests.policing import openings, policed


@pytest.fixture(autouse=True, scope="module")
def no_wave_is_too_small() -> Iterator[None]:
    with patch.object(passage, "_LEAST", 1):
        yield


class Crew:
    """States of one network for one, two and three threads; the last one had one at first."""

    def __init__(self, intent: Intent) -> None:
        self.engine = FastEngine(compile(intent))
        self.states = [self.engine.new_state() for _ in range(4)]
        self.threads = [1, 2, 3, 1]

    def forward(
        self, wave: np.ndarray, headers: np.ndarray | None = None, *, events: bool = False, offspring: bool = False,
    ) -> Results:
        first, *others = (
            self.engine.forward(wave, state, headers, threads=threads, events=events, offspring=offspring)
            for state, threads in zip(self.states, self.threads, strict=True))
        for other in others:
            same_rows("RESULT", other.results, first.results)
            if events:
                same_rows("EVENT", other.events, first.events)
            if offspring:
                for part in ("packets", "headers", "causes"):
                    same_rows(f"born {part}", getattr(other.born, part), getattr(first.born, part))
        return first

    def compare(self) -> None:
        first, *others = self.states
        for other in others:
            same_rows("CONNECTION", other.connections(), first.connections())
            same_rows("AFFINITY", other.affinities(), first.affinities())
            same_rows("PMTU", other.path_mtus(), first.path_mtus())
            for counters in ("links", "drops", "verdicts", "hits"):
                np.testing.assert_array_equal(getattr(other, counters), getattr(first, counters), err_msg=counters)


def converse(intent: Intent, rng: Random) -> Crew:
    """Waves of flows and of their answers of all kinds, until the last state has had two threads for a while."""
    crew = Crew(intent)
    packets = random_wave(intent, rng, 12)
    packets = np.concatenate([packets, openings(intent, rng, 12), asking(intent, rng, packets)])
    if not len(packets):
        return crew
    now = SECOND
    answers = reply_wave(packets, crew.forward(repeated(packets, rng, now, len(packets))).results[:len(packets)], intent)
    everything = np.concatenate([packets, answers])
    for turn in range(6):
        now += rng.choice((1, 25, 25, 120, 700)) * SECOND
        wave = repeated(everything, rng, now, rng.choice((1, 80, 600)))
        headers = random_headers(intent, rng, wave) if rng.random() < 0.2 else None
        if headers is not None and rng.random() < 0.5:                   # some do not start where they come from
            hostile_headers(intent, rng, headers)
        crew.forward(wave, headers, events=rng.random() < 0.2, offspring=rng.random() < 0.4)
        if turn == 2:
            crew.threads[3] = 2
        if rng.random() < 0.3:
            crew.compare()
    crew.compare()
    return crew


@settings(max_examples=100)
@given(worlds)
def test_threads_change_nothing(seed: int) -> None:
    rng = Random(seed)
    intent = random_intent(rng)
    if rng.random() < 0.7:
        intent = policed(intent, rng)
    if rng.random() < 0.4:
        intent = served(intent, rng)
    converse(intent, rng)


def test_shards_work_and_hand_over() -> None:
    """The test above could not fail if one shard did everything, or if no journey went on in another and was known there."""
    shared = crossing = 0
    for seed in range(30):
        rng = Random(seed)
        shards = converse(random_intent(rng), rng).states[1].shards
        shared += all(len(shard.connections) for shard in shards)
        crossing += sum(shard.notes.total > 0 for shard in shards)
    assert shared > 5
    assert crossing > 0


def pods_of(intent: Intent) -> list[int]:
    return [number for number in intent.endpoint_ids.values() if intent.endpoint(number).kind == EndpointKind.POD]


def fresh(intent: Intent, rng: Random, senders: list[int], count: int) -> np.ndarray:
    """Connections that nobody has seen before."""
    addresses = [intent.endpoint(number).address for number in pods_of(intent)]
    chosen = [rng.choice(senders) for _ in range(count)]
    return np.concatenate([
        packet(ingress=sender, src=intent.endpoint(sender).address, dst=rng.choice(addresses), protocol=UDP, sport=1024 + row,
               dport=53, time=SECOND)
        for row, sender in enumerate(chosen)])


def flooded(senders: int, count: int) -> Crew:
    """A wave of new connections from the first pods, three times over: to known ones and to their answers it is the same."""
    intent = three_zones().build()
    crew = Crew(intent)
    wave = fresh(intent, Random(1), pods_of(intent)[:senders], count)
    for _ in range(3):
        crew.forward(reply_wave(wave, crew.forward(wave).results, intent))
    crew.forward(wave)
    crew.compare()
    return crew


def test_an_uneven_world_comes_out_the_same() -> None:
    """All packets start at one router."""
    crew, intent = flooded(1, 700), three_zones().build()
    crew.forward(fresh(intent, Random(8), pods_of(intent)[:1], 700))
    shards = crew.states[1].shards
    assert 0 in [sum(shard.waiting.count(number) for shard in shards) for number in range(2)]


def test_tables_grow_in_the_middle_of_a_wave() -> None:
    crew = flooded(10, 9000)
    first = crew.engine.new_state().shards[0]
    for shard in crew.states[1].shards:
        assert len(shard.records) > len(first.records)
        assert shard.flows.room > first.flows.room


def test_more_threads_than_routers_or_shards() -> None:
    intent = three_zones().build()
    crew = Crew(intent)
    crew.threads = [1, 7, 16, 300]
    wave = fresh(intent, Random(2), pods_of(intent), 1000)
    for _ in range(3):
        crew.forward(wave, events=True, offspring=True)
        crew.forward(wave)
    crew.compare()
    assert [len(state.shards) for state in crew.states] == [1, 7, 16, 16]


def test_a_state_in_shards_follows_a_new_node() -> None:
    before, after = three_zones(), three_zones()
    after.node("10.0.1.9", subnet=1)
    old, new = FastEngine(compile(before.build())), FastEngine(compile(after.build()))
    wave = fresh(before.build(), Random(3), pods_of(before.build()), 500)
    outcomes = []
    for threads in (1, 3):
        state = old.new_state()
        old.forward(wave, state, threads=threads)
        moved = wave.copy()
        for name, number in before.build().endpoint_ids.items():
            moved["ingress"][wave["ingress"] == number] = after.build().endpoint_ids[name]
        results = new.forward(moved, state, threads=threads).results
        old.forward(wave, state, threads=threads)
        outcomes.append((results, state.connections(), state.links, state.drops, state.verdicts))
    for one, other in zip(*outcomes, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_goes_wrong_in_a_thread_is_told() -> None:
    intent = three_zones().build()
    engine = FastEngine(compile(intent))
    wave = fresh(intent, Random(4), pods_of(intent), 9000)
    with patch.object(Shard, "grow", side_effect=MemoryError), pytest.raises(MemoryError):
        engine.forward(wave, engine.new_state(), threads=2)


class Dawdler:
    """``set_off``, after which threads but the main one only go on when they are told to."""

    def __init__(self) -> None:
        self.away = Event()
        self.really = passage.set_off

    def __call__(self, *arguments: Any) -> Any:
        told = self.really(*arguments)
        if current_thread() is not main_thread():
            self.away.wait(60)
        return told


def test_a_thread_that_falls_behind_takes_no_later_wave_for_its_own() -> None:
    """Who is trusted needs no second meeting: the main thread has gone on to other waves while another one still looks around."""
    intent = three_zones().build()
    engine, dawdler = FastEngine(compile(intent)), Dawdler()
    state, asked = engine.new_state(), list[Future[None]]()
    known, later = (fresh(intent, Random(number), pods_of(intent), 500) for number in (5, 6))
    for _ in range(4):
        engine.forward(known, state, threads=2)
    submit = state.threads.submit

    def ask(*work: Any) -> Future[None]:
        asked.append(submit(*work))
        return asked[-1]

    with patch.object(state.threads, "submit", ask), patch.object(passage, "set_off", dawdler):
        engine.forward(known, state, threads=2)
        assert not any(shard.waiting.total for shard in state.shards)     # else they would have to meet again
    engine.forward(later, state, threads=2)
    assert any(shard.waiting.total for shard in state.shards)
    with patch.object(passage.Passage, "_meet", side_effect=AssertionError("nobody will come")):
        dawdler.away.set()
        wait_for(asked)
    assert [one.exception() for one in asked] == [None]


def test_threads_that_cannot_be_had_are_told_of_and_nobody_waits_for_them() -> None:
    intent = three_zones().build()
    engine = FastEngine(compile(intent))
    wave, state = fresh(intent, Random(7), pods_of(intent), 500), engine.new_state()
    asked, late, gate = list[Future[None]](), list[Any](), Gate(3)
    crew = state.threads
    submit = crew.submit

    def refuse(*work: Any) -> Future[None]:
        if asked:
            late.append(work)
            raise RuntimeError("can't start new thread")
        asked.append(submit(*work))
        return asked[-1]

    with patch.object(state.threads, "submit", refuse), patch.object(passage, "Gate", return_value=gate), \
            pytest.raises(RuntimeError, match="new thread"):
        engine.forward(wave, state, threads=3)
    done = asked[0].done()
    gate.give_up()
    assert done
    with patch.object(passage, "set_off", side_effect=AssertionError("shards are other waves'")), \
            pytest.raises(BrokenBarrierError):                     # an executor that could not start a thread keeps the work
        late[0][0](*late[0][1:])
    assert state.threads is not crew                               # nor does it know any more how many of its threads are idle
    same_rows("RESULT", engine.forward(wave, state, threads=3).results, engine.forward(wave, engine.new_state()).results)


def test_threads_rejects() -> None:
    engine = FastEngine(compile(three_zones().build()))
    with pytest.raises(UsageError, match="0 threads"):
        engine.forward(packet(), engine.new_state(), threads=0)
