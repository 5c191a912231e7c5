"""The flow cache has no meaning of its own: with it all results, connections and counters are those of packets that walk."""

from random import Random

import numpy as np
from hypothesis import given, settings

from calisim.control.intent import Intent
from calisim.datapath.fast import FastEngine
from calisim.fib.compiler import compile
from calisim.traffic.batch import ACK, FIN, PSH, RST, SYN
from calisim.traffic.flows import reply_wave
from tests.balancing import asking, served
from tests.datapath.test_agreement import same_rows
from tests.generators import SECOND, random_intent, random_wave, worlds
from tests.policing import openings, policed

FLAGS = (ACK, ACK, ACK, ACK, PSH | ACK, SYN, FIN | ACK, RST)


class Pair:
    """Two states of one network: one whose packets walk (who wants events sees every step), one with short cuts."""

    def __init__(self, intent: Intent, *, offspring: bool) -> None:
        self.engine, self.offspring = FastEngine(compile(intent)), offspring
        self.walking, self.cutting = self.engine.new_state(), self.engine.new_state()

    def forward(self, wave: np.ndarray) -> np.ndarray:
        walked = self.engine.forward(wave, self.walking, events=True, offspring=self.offspring)
        cut = self.engine.forward(wave, self.cutting, offspring=self.offspring)
        same_rows("RESULT", cut.results, walked.results)
        if self.offspring:
            for part in ("packets", "headers", "causes"):
                same_rows(f"born {part}", getattr(cut.born, part), getattr(walked.born, part))
        return walked.results

    def compare(self) -> None:
        same_rows("CONNECTION", self.cutting.connections(), self.walking.connections())
        same_rows("AFFINITY", self.cutting.affinities(), self.walking.affinities())
        for counters in ("links", "drops", "verdicts", "hits"):
            np.testing.assert_array_equal(getattr(self.cutting, counters), getattr(self.walking, counters), err_msg=counters)


def repeated(packets: np.ndarray, rng: Random, now: int, count: int) -> np.ndarray:
    """Some of the packets over and over, as flows do: later, of other lengths, with other flags."""
    wave = packets[[rng.randrange(len(packets)) for _ in range(count)]].copy()
    wave["time"] = [now + rng.randrange(20) * SECOND for _ in wave]
    for row in range(count):
        if rng.random() < 0.3:
            wave["length"][row] = rng.choice((20, 28, 40, 60, 576, 1400, 1480, 1500, 8000))
        if wave["protocol"][row] == 6:
            wave["tcp_flags"][row] = rng.choice(FLAGS)
    return wave


def converse(intent: Intent, rng: Random) -> int:
    """Waves of flows and of their answers, sometimes after a long silence. Returns how many flows were known in the end."""
    pair = Pair(intent, offspring=rng.random() < 0.5)
    packets = random_wave(intent, rng, 12)
    packets = np.concatenate([packets, openings(intent, rng, 12), asking(intent, rng, packets)])
    if not len(packets):
        return 0
    answers, now = reply_wave(packets, pair.forward(repeated(packets, rng, SECOND, len(packets)))[:len(packets)], intent), SECOND
    everything = np.concatenate([packets, answers])
    for _ in range(rng.choice((3, 8))):
        now += rng.choice((1, 25, 25, 120, 700)) * SECOND
        results = pair.forward(repeated(everything, rng, now, rng.choice((10, 80, 600))))
        assert len(results)
        if rng.random() < 0.5:
            pair.compare()
    pair.compare()
    return int(pair.cutting.counts[2])


@settings(max_examples=150)
@given(worlds)
def test_short_cuts_change_nothing(seed: int) -> None:
    rng = Random(seed)
    intent = random_intent(rng)
    if rng.random() < 0.7:
        intent = policed(intent, rng)
    if rng.random() < 0.4:
        intent = served(intent, rng)
    converse(intent, rng)


def test_short_cuts_are_taken() -> None:
    """The test above could not fail if there were none."""
    known = []
    for seed in range(30):
        rng = Random(seed)
        known.append(converse(random_intent(rng), rng))
    assert sum(known) > 200
