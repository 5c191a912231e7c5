"""Sending: the sums do not depend on how waves are added up together."""

from __future__ import annotations

import io

import numpy as np
import pytest

from calisim.analysis import sending
from calisim.analysis.network import Network
from calisim.analysis.run import Run
from calisim.errors import UsageError
from calisim.vocabulary import PACKET
from calisim.wire import ipv4, pcap, udp
from calisim.wire.frame import Frame
from calisim.wire.linktypes import RAW


def talk(network: Network, packets: int) -> io.BytesIO:
    """Questions and answers of two pods in turn: every packet is a wave of its own."""
    one, other = (network.intent.endpoint(network.endpoint_id(name)).address for name in ("shop/web-a-1-0", "shop/web-b-1-0"))
    stream = io.BytesIO()
    writer = pcap.Writer(stream, RAW)
    for number in range(packets):
        src, dst, ports = (other, one, (53, 999)) if number % 2 else (one, other, (999, 53))
        data = ipv4.emit(ipv4.Ipv4(src, dst, ipv4.UDP), udp.emit(udp.Udp(*ports), bytes(number % 7), src, dst))
        writer.write(Frame(number, data, len(data), RAW))
    return io.BytesIO(stream.getvalue())


def sums(run: Run) -> object:
    return {name: list(tally) for name, tally in run.tallies.items()}, run.paths, run.protocols, run.links.tolist()


@pytest.mark.parametrize(("rows", "waves"), [(1, 100), (7, 100), (100, 3), (100, 100)])
def test_sums_do_not_depend_on_how_waves_are_gathered(network, monkeypatch: pytest.MonkeyPatch, rows: int, waves: int) -> None:
    network = network()
    expected = sums(network.run(network.replay(talk(network, 20))))
    monkeypatch.setattr(sending._Ledger, "FULL", rows)
    monkeypatch.setattr(sending._Ledger, "MANY", waves)
    replay = network.replay(talk(network, 20))
    assert sums(network.run(replay)) == expected and replay.waves_sent == 20


def test_a_replay_is_kept_on_request_only(network) -> None:
    network = network()
    kept = network.run(network.replay(talk(network, 5), "talk"), events=True)
    assert len(kept.packets) == len(kept.codes["talk"]) == 5 and set(kept.events["row"]) == set(range(5))
    summed = network.run(network.replay(talk(network, 5), "talk"), keep=False)
    assert not summed.codes and not len(summed.packets) and sums(summed) == sums(kept)


def test_names_of_sets_keep_their_order_and_empty_ones_their_place(network) -> None:
    network = network()
    run = network.run(replies=True)
    assert list(run.tallies) == ["mesh", "mesh (replies)", "out", "out (replies)"]
    assert network.run(np.empty(0, PACKET)).tally.sent == 0


def test_events_are_bounded(network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "MOST_WITH_EVENTS", 3)
    network = network()
    with pytest.raises(UsageError, match="events of more than 3 packets .* shorter capture"):
        network.run(network.replay(talk(network, 4)), events=True)
