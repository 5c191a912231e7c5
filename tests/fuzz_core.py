"""Hostile records against the compiled core: ``python tests/fuzz_core.py [WORLDS] [IMAGES]``, best under ``make sanitize``.

PACKETs, HEADERs and EVENTs with anything in their fields, and FIB images whose every field is anything that
``FibImage.check`` lets pass: the core may decide what it likes of them, but reads and writes nothing that is not its own.
``tests/test_fuzz_core.py`` runs a few.
"""

from __future__ import annotations

import sys
from collections import Counter
from random import Random

import numpy as np

from calisim.control.intent import Intent
from calisim.datapath.deparse import Deparser, Tunnels
from calisim.datapath.fast import FastEngine
from calisim.datapath.generations import generations
from calisim.errors import UsageError
from calisim.fib.compiler import compile
from calisim.fib.image import FibImage
from calisim.vocabulary import EVENT, Verdict
from tests.balancing import asking, served
from tests.generators import random_headers, random_intent, random_wave
from tests.policing import policed

WAVE = 300                       # more than a frame of the core
NUMBERS = ("ingress", "place", "resume", "resume_at", "device", "encap")


def hostile_wave(intent: Intent, rng: Random, chance: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Packets of this world, each field of them in some rows anything at all."""
    packets = asking(intent, rng, random_wave(intent, rng, WAVE))
    headers = random_headers(intent, rng, packets)
    places, share = len(intent.places) + 2, rng.choice((0.01, 0.05, 0.5))
    for records in (packets, headers):
        for name in records.dtype.names or ():
            anything = np.frombuffer(chance.bytes(records[name].nbytes), records[name].dtype)
            near = anything % min(places, 255) if name in NUMBERS else anything
            changed = chance.random(WAVE) < share
            records[name] = np.where(changed, np.where(chance.random(WAVE) < 0.5, anything, near), records[name])
    return packets, headers


def hostile_image(image: FibImage, chance: np.random.Generator) -> FibImage:
    """Every column changed as wildly as ``check`` allows."""
    arrays = {name: array.copy() for name, array in image.arrays.items()}
    made, hostility = FibImage(**arrays, places=image.places, objects=image.objects), chance.choice((0.003, 0.03, 0.3))
    for array in arrays.values():
        for name in array.dtype.names or (...,):
            column = array[name]
            before = column.copy()
            share = chance.random(column.shape) < hostility
            anything = np.frombuffer(chance.bytes(column.nbytes), column.dtype).reshape(column.shape)
            for values in (anything, anything % min(max(len(array), 2), 255), anything % 3, chance.permuted(before), before):
                array[name] = np.where(share, values, before)
                if passes(made):
                    break
    made.check()
    return made


def passes(image: FibImage) -> bool:
    try:
        image.check()
    except UsageError:
        return False
    return True


def forward(image: FibImage, waves: list[tuple[np.ndarray, np.ndarray]], chance: np.random.Generator) -> Counter[str]:
    """All waves and what they give rise to through one state; every EVENT deparsed."""
    engine, verdicts = FastEngine(image), Counter[str]()
    state = engine.new_state()
    for packets, headers in waves:
        for generation in generations(engine, packets, state, headers, events=True):
            results, events = generation.results.results, generation.results.events
            assert events is not None
            verdicts.update(Verdict(int(verdict)).name for verdict in results["verdict"])
            deparse(events, generation.headers)
        cut_short(engine, packets)
        deparse(np.frombuffer(chance.bytes(64 * EVENT.itemsize), EVENT), None)
    return verdicts


def cut_short(engine: FastEngine, packets: np.ndarray) -> None:
    """The same packets again and again, so that short cuts are taken, and trusted, between others that are different."""
    state = engine.new_state()
    for second in range(8):
        state.share(1 + second // 4)
        again = packets.copy()
        again["time"] = second * 1_000_000_000
        if second % 4 == 3:
            again["tcp_flags"][::7] ^= second
            again["length"][::11] ^= 1
        engine.forward(again, state)
    state.connections()


def deparse(events: np.ndarray, headers: np.ndarray | None) -> None:
    for chunk in np.array_split(np.arange(len(events)), 1 + len(events) // 64):
        try:
            Deparser(events, Tunnels(), headers=headers).deparse(chunk)
        except UsageError:
            assert headers is None, "the core made an EVENT of no packet"


def run(worlds: int, images: int, seed: int = 1) -> Counter[str]:
    """Verdicts by kind of input."""
    found: Counter[str] = Counter()
    for number in range(max(worlds, images)):
        rng, chance = Random(seed + number), np.random.default_rng(seed + number)
        intent = policed(random_intent(rng), rng, rules=rng.choice((4, 60)))
        intent = served(intent, rng) if rng.random() < 0.5 else intent
        image = compile(intent)
        waves = [hostile_wave(intent, rng, chance) for _ in range(3)]
        if number < worlds:
            found += prefixed("packets", forward(image, waves, chance))
        if number < images:
            found += prefixed("images", forward(hostile_image(image, chance), waves, chance))
    return found


def prefixed(what: str, counts: Counter[str]) -> Counter[str]:
    return Counter({f"{what} {name}": count for name, count in counts.items()})


if __name__ == "__main__":
    asked = [int(argument) for argument in sys.argv[1:3]]
    outcomes = run(*(asked + [300, 300][len(asked):]))
    print("core: " + ", ".join(f"{name} {count:,}" for name, count in sorted(outcomes.items())))
