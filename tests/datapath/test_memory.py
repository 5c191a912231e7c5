"""Results lie in memory that earlier ones have given up; threads meet at gates; the door checks what it is handed."""

import gc
from collections.abc import Iterator
from random import Random
from threading import Thread
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from calisim import _fastpath
from calisim._fastpath import Gate, Sheet, Wave
from calisim.datapath import passage
from calisim.datapath.fast import FastEngine
from calisim.fib.compiler import compile
from calisim.traffic.batch import packet
from calisim.vocabulary import HEADER, PACKET, RESULT
from tests.datapath.test_threads import fresh, pods_of
from tests.generators import SECOND
from tests.intents import three_zones

MOST_SPARES, MOST_SPARE_SIZE, LARGE, MOST_LARGE_SIZE = 64, 1 << 26, 1 << 22, 1 << 30     # as in _fastpath.pyx


def sheet(octets: int, *, blank: bool = False) -> np.ndarray:
    return np.frombuffer(Sheet(octets, blank), np.uint8) if octets else np.empty(0, np.uint8)


def address(array: np.ndarray) -> int:
    return int(array.ctypes.data)


@pytest.fixture(autouse=True)
def nothing_is_spare() -> Iterator[None]:
    """As much as may be kept drives out all others, and goes to who asks for the same."""
    gc.collect()
    held: list[np.ndarray] = []
    for _ in range(2):
        held.clear()
        held += [sheet(MOST_LARGE_SIZE), *(sheet(LARGE - 1) for _ in range(MOST_SPARE_SIZE // LARGE))]
    yield
    held.clear()


def test_nothing_that_somebody_keeps_is_anybody_elses() -> None:
    rng = Random(1)
    kept: list[tuple[np.ndarray, int]] = []
    for turn in range(4000):
        array = sheet(rng.choice((0, 1, 2, 3, 64, 100, 4096, 65536)) * rng.randrange(1, 4))
        array[:] = turn % 251
        kept.append((array, turn % 251))
        while len(kept) > rng.randrange(120):
            some, value = kept.pop(rng.randrange(len(kept)))
            assert (some == value).all()
    assert all((array == value).all() for array, value in kept)
    spans = sorted((address(array), len(array)) for array, _ in kept if len(array))
    assert all(start + size <= after for (start, size), (after, _) in zip(spans, spans[1:], strict=False))


@pytest.mark.parametrize(("first", "then", "again"), [
    (1000, 1000, True), (1000, 500, True), (1000, 499, False), (1000, 1001, False), (1 << 26, 1 << 25, True),
    (LARGE, LARGE - 1, False)])
def test_memory_is_taken_by_who_needs_at_least_half_of_it(first: int, then: int, again: bool) -> None:
    array = sheet(first)
    before = address(array)
    del array
    array = sheet(then)
    assert len(array) == then
    assert (address(array) == before) == again


def test_of_many_the_last_ones_are_kept() -> None:
    sheets = [sheet(4000) for _ in range(200)]
    addresses = [address(array) for array in sheets]
    keep = sheets.pop()                                    # in use: not to be had
    while sheets:
        del sheets[0]
    again = [sheet(4000) for _ in range(MOST_SPARES)]
    assert [address(array) for array in again] == addresses[-1 - MOST_SPARES:-1]
    assert address(keep) == addresses[-1]


@pytest.mark.parametrize(("most", "each"), [(MOST_SPARE_SIZE, MOST_SPARE_SIZE // 32), (MOST_LARGE_SIZE, MOST_LARGE_SIZE // 4)])
def test_what_is_kept_has_bounds(most: int, each: int) -> None:
    """As many of the last as fit; what is too big is not kept, and drives out nobody."""
    sheets = [sheet(each) for _ in range(most // each + 3)]
    addresses = [address(array) for array in sheets]
    while sheets:
        del sheets[0]
    address(sheet(MOST_LARGE_SIZE + 1))
    again = [sheet(each) for _ in range(most // each)]
    assert [address(array) for array in again] == addresses[3:]


@pytest.mark.parametrize("size", [1000, LARGE])
def test_what_is_to_be_blank_is_blank_whoever_had_it(size: int) -> None:
    array = sheet(size)
    before, array[:] = address(array), 7
    del array
    again = sheet(size, blank=True)
    assert address(again) == before and not again.any()


def test_a_state_knows_nothing_of_those_whose_memory_it_has() -> None:
    """Flows that keep places of connections that there must not be, among connections."""
    intent = three_zones().build()
    engine, pods = FastEngine(compile(intent)), pods_of(intent)

    def run() -> list[bytes]:
        rng, state = Random(3), engine.new_state()
        waves = [fresh(intent, rng, pods, 3000) for _ in range(2)] * 3
        made = []
        for turn, wave in enumerate(waves):
            wave["time"], wave["ttl"][::3] = (turn + 1) * SECOND, 1
            made.append(engine.forward(wave, state).results.tobytes())
        return [*made, state.connections().tobytes(), state.shards[0].connections.tobytes(), repr(state.counts).encode()]

    first = run()
    for size in (1 << 17, 1 << 20, 1 << 23):
        for array in [sheet(size // part + 128) for part in (1, 2, 4) for _ in range(3)]:
            array[:] = 0xFF
    assert run() == first


def test_a_wave_leaves_alone_what_earlier_ones_came_to() -> None:
    intent = three_zones().build()
    engine, rng = FastEngine(compile(intent)), Random(2)
    kept: list[tuple[np.ndarray, bytes]] = []
    state = engine.new_state()
    for turn in range(60):
        wave = fresh(intent, rng, pods_of(intent), rng.choice((1, 40, 60, 300)))
        wave["time"] = (turn + 1) * SECOND
        results = engine.forward(wave, state).results
        kept.append((results[::2] if turn % 3 else results, (results[::2] if turn % 3 else results).tobytes()))
        del results
        for number in sorted(rng.sample(range(len(kept)), len(kept) // 4), reverse=True):
            del kept[number]
    assert len(kept) > 2
    for array, octets in kept:
        assert array.tobytes() == octets


def test_sheets_reject() -> None:
    with pytest.raises(OverflowError):
        Sheet(-1)


def test_threads_pass_a_gate_together_round_by_round() -> None:
    """More of them than there are cores."""
    gate, rounds, parties = Gate(9), 40, 9
    came = [0] * parties
    seen: list[tuple[int, int]] = []

    def run(number: int) -> None:
        for turn in range(rounds):
            came[number] += 1
            assert gate.meet()
            seen.append((turn, min(came)))
            assert gate.meet()

    threads = [Thread(target=run, args=(number,)) for number in range(parties)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == rounds * parties
    assert all(least == turn + 1 for turn, least in seen)


def test_nobody_waits_at_a_gate_that_somebody_has_given_up() -> None:
    gate, told = Gate(3), list[bool]()
    threads = [Thread(target=lambda: told.append(gate.meet())) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert not gate.given_up
    gate.give_up()
    for thread in threads:
        thread.join()
    assert told == [False, False]
    assert gate.given_up
    assert not gate.meet()


@pytest.mark.parametrize(("packets", "results", "headers"), [
    (np.empty(3, PACKET), np.empty(2, RESULT), None),
    (np.empty(3, PACKET), np.empty(3, RESULT), np.empty(2, HEADER)),
    (np.empty(3, PACKET), np.empty(3, RESULT), np.empty(0, HEADER)),
    (np.empty(33, np.uint8), np.empty(49, np.uint8), None),
    (np.empty(6, PACKET)[::2], np.empty(3, RESULT), None),
    (np.empty(3, PACKET), np.empty(6, RESULT)[::2], None),
    (np.empty(3, PACKET), bytes(3 * RESULT.itemsize), None),
    (np.empty(3, PACKET), np.empty(3, RESULT), bytes(3 * HEADER.itemsize)),
    (7, np.empty(3, RESULT), None),
])
def test_waves_reject(packets: Any, results: Any, headers: Any) -> None:
    with pytest.raises((ValueError, BufferError, TypeError)):
        Wave(packets, results, headers)


def test_a_wave_may_be_read_only_and_need_not_lie_in_a_row() -> None:
    intent = three_zones().build()
    engine = FastEngine(compile(intent))
    wave = fresh(intent, Random(3), pods_of(intent), 50)
    scattered, shut = np.repeat(wave, 2)[::2], wave.copy()
    shut.flags.writeable = False
    whole = engine.forward(wave, engine.new_state()).results
    for other in (scattered, shut):
        assert (engine.forward(other, engine.new_state()).results == whole).all()
    assert (engine.forward(wave[::-1], engine.new_state()).results["src"] == whole["src"][::-1]).all()
    assert len(engine.forward(wave[:0], engine.new_state(), events=True, offspring=True).results) == 0


@pytest.mark.parametrize("mine", [[], [0, 0], [1, 0], [2], [0, 1, 2], [0] * 40, [-1]])
@pytest.mark.parametrize("alone", [True, False])
def test_setting_off_rejects_shards_that_are_not_some_of_all(mine: list[int], alone: bool) -> None:
    rejects(mine, Gate(1) if alone else None)


def test_setting_off_without_others_takes_all_shards() -> None:
    rejects([1], None)


def rejects(mine: list[int], gate: Gate | None) -> None:
    intent = three_zones().build()
    engine, real = FastEngine(compile(intent)), _fastpath.set_off

    def wrongly(*arguments: Any) -> Any:
        return real(*arguments[:2], mine, *arguments[3:-1], gate)

    state = engine.new_state()
    state.share(2)
    with patch.object(passage, "set_off", wrongly), pytest.raises((ValueError, OverflowError)):
        engine.forward(packet(), state)
