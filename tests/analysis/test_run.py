"""Adding up: every number of a run can be counted by hand (see the scenario's head)."""

from __future__ import annotations

import numpy as np
import pytest

from calisim.analysis.run import Amount, outcome_of, successes
from calisim.analysis.scopes import SCOPES, Scopes
from calisim.errors import UsageError
from calisim.traffic.batch import packet
from calisim.vocabulary import RESULT, DropReason, Encap, Verdict


def scopes_of(run):
    return {scope: amount.packets for scope, amount in run.tally.by(lambda outcome: outcome.scope).items()}


def test_scopes_of_all_packets(network):
    assert scopes_of(network().run()) == {"same-node": 6, "same-subnet": 8, "other-subnet": 16, "external": 6}


def test_node_wins_over_every_other_scope(network):
    net = network()
    ids, intent = net.intent.endpoint_ids, net.intent
    router = intent.router(1)
    wave = np.concatenate([
        packet(ingress=ids["node/a-1"], src=router.address, dst=intent.endpoint(ids["host/api"]).address),
        packet(ingress=ids["shop/web-a-1-0"], src=intent.endpoint(ids["shop/web-a-1-0"]).address, dst=router.address),
        packet(ingress=ids["shop/web-a-1-0"], src=intent.endpoint(ids["shop/web-a-1-0"]).address, dst=router.ipip_address),
        packet(ingress=0, src=1, dst=2),
        packet(ingress=2**32 - 1, src=1, dst=2),
    ])
    codes = Scopes(intent).of(wave, np.zeros(len(wave), RESULT))
    assert [SCOPES[code] for code in codes] == ["node", "node", "node", "external", "external"]


def test_bytes_inner_wire_and_overhead(network):
    amounts = network("overlay-ipip").run("mesh").tally.by(lambda outcome: (outcome.scope, outcome.encap))
    assert amounts[("same-node", Encap.NONE)] == Amount(6, 6_000, 0, 0)
    assert amounts[("same-subnet", Encap.IPIP)] == Amount(8, 8_000, 8_160, 8_000)
    assert amounts[("other-subnet", Encap.IPIP)].overhead == 16 * 20


def test_snat_is_counted(network):
    assert network().run("out").tally.total(lambda outcome: outcome.snat).packets == 6


def test_losses_by_reason(network):
    run = network(step=1).run()
    assert run.tally.lost() == {DropReason.SOURCE_CHECK: 8}       # natOutgoing hides the pods from the gateway
    assert run.tally.success == 28


def test_every_code_comes_back(network):
    run = network(step=1).run()
    for name, codes in run.codes.items():
        assert len(codes) == run.tallies[name].sent
        assert int(successes(codes).sum()) == run.tallies[name].success
        for code in np.unique(codes):
            outcome = outcome_of(int(code))
            assert (outcome.reason is DropReason.NONE) == (outcome.verdict is not Verdict.DROPPED)


def test_what_is_delivered_and_what_leaves_the_network_is_a_success():
    codes = np.array([verdict << 3 for verdict in Verdict], np.uint16)
    assert [verdict for verdict, success in zip(Verdict, successes(codes), strict=True) if success] == [
        Verdict.DELIVERED, Verdict.EXITED]
    assert [verdict for verdict in Verdict if verdict.success] == [Verdict.DELIVERED, Verdict.EXITED]


def test_replies_come_back_and_are_counted_apart(network):
    run = network().run("out", replies=True)
    assert list(run.tallies) == ["out", "out (replies)"]
    assert run.tallies["out (replies)"].success == 6
    assert run.sent.sent == 6 and run.tally.sent == 12


def test_rows_are_kept_only_when_wanted(network):
    net = network()
    assert len(net.run("mesh").results) == 30
    assert len(net.run("mesh", keep=False).results) == 0


def test_event_rows_count_within_the_run(network):
    run = network().run(events=True)
    assert run.events is not None
    last = run.events[run.events["row"] == len(run.packets) - 1]
    assert len(run.packets) == 36 and len(last) and set(last["dport"]) == {443}


def test_sets_follow_each_other_in_time(network):
    run = network(set=["traffic.out.wait=10min"]).run()
    assert int(run.packets["time"][30]) - int(run.packets["time"][:30].max()) == 600 * 10**9


def test_unknown_names_are_the_users_to_mend(network):
    net = network()
    with pytest.raises(UsageError, match="did you mean mesh"):
        net.run("mash")
    with pytest.raises(UsageError, match="no node 'a-9'"):
        net.routes("a-9")
    with pytest.raises(UsageError, match="names 6 endpoints"):
        net.trace("app == 'web'", "host/api")


def test_a_run_is_shown_in_one_line(network):
    assert repr(network().run("mesh")) == "<Run of mesh: 30 packets sent, 30 arrived, 0 lost>"
