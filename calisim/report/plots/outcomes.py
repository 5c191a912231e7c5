"""``run`` as a picture: what became of the packets by how near their ends are, and between which zones they were lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...analysis.run import is_reply
from ...analysis.scopes import SCOPES, TITLES
from ...analysis.story import percent
from ...quantities import plural
from ..labels import columns, label
from . import fates
from .canvas import LETTER, RULE, Picture, heading, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ...analysis.flows import Flows
    from ...analysis.network import Network
    from ...analysis.run import Run

MOST_ZONES = 12         # with a row and a column of their own; the rest share one
BARS, CELL, TOP = 4.6, 1.15, 1.15
REST, WORLD = "other zones", "outside"


class Cell(NamedTuple):
    """Packets from one zone to another, those that arrived, and the reason that cost most."""

    sent: int = 0
    arrived: int = 0
    worst: str = ""


class Matrix(NamedTuple):
    """Between which zones how much was sent."""

    senders: list[str]
    receivers: list[str]
    cells: dict[tuple[str, str], Cell]


def picture(network: Network, run: Run, flows: Flows) -> Picture:
    """``flows`` have watched the run."""
    return Picture(lambda: _draw(network, run, flows), f"{network.scenario.name}, {network.variant}: what became of the packets")


def _draw(network: Network, run: Run, flows: Flows) -> Figure:
    from matplotlib.figure import Figure

    scopes = [scope for scope in SCOPES if fates.fates(run.tally, scope)]
    rows = [fates.fates(run.tally, scope) for scope in scopes]
    looked = fates.looks(rows)
    names = [f"{TITLES[scope]}\n{plural(sum(row.values()), 'packet')}" for scope, row in zip(scopes, rows, strict=True)]
    zones = matrix(network, flows)
    side, widest = CELL * max(len(zones.receivers), 2), LETTER * max([5 + columns(zone) for zone in zones.senders] or [1])
    tall = 0.57 * len(zones.senders)
    left = 0.45 + LETTER * max((len(line) for name in names for line in name.split("\n")), default=0)
    body = max(len(rows) * fates.ROW * 1.25, tall, 0.8)
    width = left + BARS + (0.6 + widest + side if zones.cells else 0) + 0.35
    height = TOP + body + 0.65 + fates.legend_height(looked, width - 0.7) + 0.25
    figure = Figure(figsize=(width, height), facecolor="white")
    answers = ", answers included" if any(map(is_reply, run.tallies)) else ""
    heading(figure, f"{label(network.scenario.name, 60)} · {label(network.variant)}",
            f"{plural(run.tally.sent, 'packet')}, {percent(run.tally.success, run.tally.sent)} arrived{answers}")
    axes = figure.add_axes((left / width, 1 - (TOP + body) / height, BARS / width, body / height))
    axes.set_title("What became of the packets, by how near the ends are", pad=8)
    fates.bars(axes, names, rows, looked, BARS)
    if zones.cells:
        start = left + BARS + 0.6 + widest
        _matrix(figure.add_axes((start / width, 1 - (TOP + tall) / height, side / width, tall / height)), zones)
    fates.legend(figure, looked, 0.35, TOP + body + 0.65, width - 0.7)
    return figure


def matrix(network: Network, flows: Flows) -> Matrix:
    """The sums by pair of zones; a zone of several VPCs is told apart."""
    intent, entities = network.intent, network.topology.entities
    vpcs = [entities.subnets[intent.fabric.subnets[router.subnet - 1].name].vpc for router in intent.routers]
    several = len(entities.vpcs) > 1
    near = [router.zone or intent.fabric.subnets[router.subnet - 1].name for router in intent.routers]
    homes = [f"{vpc}: {zone}" if several else zone for vpc, zone in zip(vpcs, near, strict=True)]
    named = [label(home, 24) for home in homes] + [WORLD] * (len(flows.places) - len(homes))
    kept = dict.fromkeys([*dict.fromkeys(named[:len(homes)])][:MOST_ZONES])
    sums: dict[tuple[str, str], list[int]] = {}
    worst: dict[tuple[str, str], dict[str, int]] = {}
    for flow in flows.by_subnet():
        pair = tuple(zone if zone in kept or zone == WORLD else REST for zone in (named[flow.sender], named[flow.receiver]))
        key = pair[0], pair[1]
        cell = sums.setdefault(key, [0, 0])
        cell[0] += flow.packets
        cell[1] += flow.packets * flow.outcome.verdict.success
        if flow.outcome.reason:
            reasons = worst.setdefault(key, {})
            reasons[flow.outcome.reason.name] = reasons.get(flow.outcome.reason.name, 0) + flow.packets
    order = dict.fromkeys((*kept, REST, WORLD))                 # a zone may be called like one of these
    return Matrix([zone for zone in order if any(zone == sender for sender, _ in sums)],
                  [zone for zone in order if any(zone == receiver for _, receiver in sums)],
                  {pair: Cell(sent, arrived, max(worst[pair], key=lambda name: worst[pair][name]) if pair in worst else "")
                   for pair, (sent, arrived) in sums.items()})


def _matrix(axes: Axes, zones: Matrix) -> None:
    from matplotlib.patches import Rectangle

    for down, sender in enumerate(zones.senders):
        for across, receiver in enumerate(zones.receivers):
            cell = zones.cells.get((sender, receiver), Cell())
            lost = 1 - cell.arrived / cell.sent if cell.sent else 0.0
            colour = _shade(lost) if cell.sent else "white"
            axes.add_patch(Rectangle((across - 0.47, down - 0.46), 0.94, 0.92, fc=colour, ec="white" if cell.sent else RULE, lw=1,
                                     hatch="xx" if lost > 0.5 else "//" if lost else ""))
            if cell.sent:
                box = {"fc": colour, "ec": "none", "pad": 1}
                write(axes, across, down - 0.15, percent(cell.arrived, cell.sent), 9, weight="bold", bbox=box)
                size = min(7, 7 * 16 / max(len(cell.worst), 1))
                write(axes, across, down + 0.2, cell.worst or plural(cell.sent, "packet"), size, bbox=box)
    down, across = len(zones.senders), len(zones.receivers)
    axes.set(xlim=(-0.5, across - 0.5), ylim=(down - 0.5, -0.5), yticks=range(down), xticks=range(across))
    axes.set_yticklabels([f"from {zone}" for zone in zones.senders])
    axes.set_xticklabels([f"to {zone}" for zone in zones.receivers], fontsize=8)
    axes.set_title("Arrived, by zone", pad=8)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _shade(lost: float) -> str:
    """The blue of what arrives, or vermilion, the deeper the more is lost."""
    if not lost:
        return "#d9eaf5"
    few, all_ = np.array([0xFB, 0xE3, 0xD3]), np.array([0xF3, 0xA8, 0x73])
    red, green, blue = (few + (all_ - few) * lost).astype(int).tolist()
    return f"#{red:02x}{green:02x}{blue:02x}"
