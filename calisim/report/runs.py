"""``calisim run`` for people: totals by scope and fate, shapes of journeys, counters and events on request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..analysis.losses import place_name
from ..analysis.paths import shapes
from ..analysis.run import Tally
from ..analysis.story import word_of
from ..analysis.telling import event_line
from ..quantities import plural
from ..vocabulary import Device, DropReason, Verdict
from .text import ROOMY, STANDARD, number, paragraph, share, table, width

if TYPE_CHECKING:
    from ..analysis.network import Network
    from ..analysis.run import Run
    from ..traffic.replay import Replay

MOST_EVENTS = 2000
MOST_SHAPES = 30


def parts(network: Network, run: Run, *, counters: bool, events: bool, replay: Replay | None = None) -> Iterator[Any]:
    """The report, part by part."""
    for name, tally in run.tallies.items():
        yield _outcomes(name, tally)
    if run.paths:
        yield _shapes(run)
    if replay is not None:
        if replay.left_out:
            yield _left_out(replay)
        yield paragraph(_account(replay))
    if counters:
        yield _interfaces(network, run)
        if run.tally.lost():
            yield _drops(network, run)
    if events and run.events is not None:
        yield paragraph("\n".join(_events(network, run)))
    yield paragraph(_sum(network, run), "bold")


def _outcomes(name: str, tally: Tally) -> Any:
    rows = [
        [outcome.scope, outcome.verdict.name.lower(), word_of(outcome), "yes" if outcome.snat else "", number(amount.packets),
         share(amount.packets, tally.sent), number(amount.inner), number(amount.overhead), number(amount.wire)]
        for outcome, amount in sorted(tally, key=lambda item: (item[0].scope, -item[1].packets))]
    columns = ["!Scope", "!Fate", "How, or why not", "SNAT", "#Packets", "#Share (%)", "#Sent (B)", "#Overhead (B)",
               "#On the wire (B)"]
    shown = len(columns) - (0 if width() >= ROOMY else 1 if width() >= STANDARD else 3)     # words stay whole instead
    return table(f"Traffic {name}", columns[:shown], (row[:shown] for row in rows))


def _shapes(run: Run) -> Any:
    found = shapes(run.paths)
    more = f", the first {MOST_SHAPES} of {len(found):,}" if len(found) > MOST_SHAPES else ""
    return table(
        f"Shapes of journeys{more}", ["#Packets", "Fate", "Reason", "Encapsulation", "#Hops (routers)", "On the way"],
        ([number(one.packets), one.verdict.name.lower(), one.reason.name if one.reason else "", one.encap.name.lower(), one.hops,
          ", ".join(one.marks)] for one in found[:MOST_SHAPES]))


def _left_out(replay: Replay) -> Any:
    return table(
        f"Left out of {replay.name}", ["!Why", "#Packets", "#First (packet)", "For example"],
        ([reason, number(left.packets), number(left.number), left.example]
         for reason, left in sorted(replay.left_out.items(), key=lambda item: -item[1].packets)))


def _account(replay: Replay) -> str:
    left = replay.read - replay.sent
    early = f", {plural(replay.reordered, 'packet')} stamped earlier than one before" if replay.reordered else ""
    opened = f", {number(replay.opened)} out of the nodes' tunnels" if replay.opened else ""
    return (f"{replay.name}: {plural(replay.read, 'packet')} read{' until the file breaks off' if replay.error else ''}, "
            f"{number(replay.sent)} sent in {plural(replay.waves_sent, 'wave')}, {number(left)} left out{opened}{early}")


def _interfaces(network: Network, run: Run) -> Any:
    assert run.state is not None
    links = run.state.links
    return table(
        "Interfaces of the nodes (bytes are IP total length)",
        ["Node", "Interface", "#In (packets)", "#In (B)", "#Out (packets)", "#Out (B)"],
        ([router.name, device.name.lower(), *(number(count) for count in links[router.id, device].ravel().tolist())]
         for router in network.intent.routers for device in Device if links[router.id, device].any()))


def _drops(network: Network, run: Run) -> Any:
    assert run.state is not None
    drops = run.state.drops
    return table(
        "Drops by place", ["Place", "Reason", "#Packets"],
        ([place_name(network.intent, place), reason.name, number(int(drops[place, reason]))]
         for place in range(len(drops)) for reason in DropReason if drops[place, reason]))


def _events(network: Network, run: Run) -> Iterator[str]:
    assert run.events is not None
    yield "Events: packet, place and interface, header(s)"
    for event in run.events[:MOST_EVENTS]:
        yield event_line(network.intent, event)
    if len(run.events) > MOST_EVENTS:
        yield f"… {len(run.events) - MOST_EVENTS:,} more; --json -o FILE has them all"


def _sum(network: Network, run: Run) -> str:
    tally = run.sent
    good = tally.success
    lost = tally.total(lambda outcome: outcome.verdict is Verdict.DROPPED).packets
    other = tally.sent - good - lost               # held for the rest of their datagram, or undetermined
    return (f"{network.scenario.name}, {network.variant}: {tally.sent:,} packets sent, {good:,} arrived, {lost:,} lost"
            + (f", {other:,} neither" if other else ""))
