"""What holds in every world, asked of the reference in random ones; and that those worlds are not dull."""

from collections import Counter
from random import Random

import numpy as np
import pytest

from calisim.datapath.reference.engine import ReferenceEngine
from calisim.datapath.reference.routes import Routes
from calisim.vocabulary import DropReason, ResultFlag, Stage, Verdict
from tests.generators import addresses_of_interest, conversation, random_intent

SEEDS = range(40)
# Nothing here marks congestion, filters by policy, balances services, queues or reads bytes.
OUT_OF_REACH = {
    DropReason.NONE, DropReason.POLICY_INGRESS, DropReason.NO_ENDPOINTS, DropReason.HOST_PORT_TAKEN, DropReason.ENCAP_FROM_POD,
    DropReason.ECN_ILLEGAL, DropReason.CHECKSUM, DropReason.QUEUE_FULL}


def talk(seed):
    """Waves of a random world with what became of them, and the state after each."""
    rng = Random(seed)
    intent = random_intent(rng)
    engine = ReferenceEngine(intent)
    state = engine.new_state()
    waves = conversation(intent, rng, 120)
    wave = next(waves)
    while True:
        outcome = engine.forward(wave, state, events=True)
        yield intent, wave, outcome, state
        try:
            wave = waves.send(outcome.results)
        except StopIteration:
            return


@pytest.mark.parametrize("seed", SEEDS)
def test_books_balance(seed):
    sent = 0
    for intent, wave, outcome, state in talk(seed):
        results, events = outcome.results, outcome.events
        sent += len(wave)
        dropped = results["verdict"] == Verdict.DROPPED
        assert np.array_equal(dropped, results["reason"] != DropReason.NONE)
        assert not (results["verdict"] == Verdict.NONE).any()
        assert state.verdicts.sum() == sent and state.drops.sum() == state.verdicts[Verdict.DROPPED]
        assert (results["where"] <= len(intent.places)).all() and (results["detail"] <= len(intent.objects)).all()
        assert (np.diff(events["row"].astype(np.int64)) >= 0).all()
        delivered = results[results["verdict"] == Verdict.DELIVERED]
        assert (delivered["stage"] == Stage.DELIVER).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_no_two_live_connections_of_a_router_share_a_flow(seed):
    for *_, state in talk(seed):
        flows: Counter[tuple[int, ...]] = Counter()
        for entry in state.connections():
            tracker = int(entry["key"]), int(entry["flags"]), int(entry["protocol"])
            original = (*tracker, *(int(entry[name]) for name in ("src", "dst", "sport", "dport")))
            reply = (*tracker, *(int(entry[f"reply_{name}"]) for name in ("src", "dst", "sport", "dport")))
            flows.update({original, reply})
        assert not [flow for flow, count in flows.items() if count > 1]


@pytest.mark.parametrize("seed", SEEDS)
def test_routes_against_a_linear_scan(seed):
    rng = Random(seed)
    intent = random_intent(rng)
    routes = Routes(intent)
    for router in intent.routers:
        table = intent.routes_of(router.id)
        for address in rng.sample(addresses_of_interest(intent), 40):
            matching = [route for route in table if address in route.prefix]
            longest = max((route.prefix.length for route in matching), default=None)
            expected = next((route.adjacency for route in matching if route.prefix.length == longest), None)
            assert routes.find(router.id, address) == expected


def test_the_worlds_reach_every_reason_and_every_flag():
    reasons, flags, verdicts = Counter(), 0, Counter()
    for seed in range(120):
        for _, _, outcome, _ in talk(seed):
            reasons.update(outcome.results["reason"].tolist())
            verdicts.update(outcome.results["verdict"].tolist())
            flags |= int(np.bitwise_or.reduce(outcome.results["flags"], initial=0))
    assert {reason for reason in DropReason if reason not in OUT_OF_REACH} - set(reasons) == set()
    assert ResultFlag(flags) == ~(ResultFlag.DNAT | ResultFlag.UNDNAT)
    assert verdicts[Verdict.DELIVERED] > sum(verdicts.values()) * 0.1
