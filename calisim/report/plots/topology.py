"""The map as a picture: VPC ⊃ subnet ⊃ node ⊃ pod as boxes in boxes, and what is outside above them."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from ..atlas import Atlas, Cloud, Place, atlas
from ..labels import columns, label
from .canvas import BLUE, GREEN, INK, LETTER, QUIET, VERMILION, Picture, heading, sheet, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ...analysis.network import Network

PER_ROW, PER_COLUMN = 4, 8          # subnets beside each other; nodes below each other in one
NODE, POD, GAP, HEAD, EDGE = 2.3, 0.21, 0.14, 0.56, 0.35
VPC_FILL, SUBNET_FILL, NODE_FILL, POD_FILL = "#f2f4f8", "#ffffff", "#e6ecf4", "#cfe3f2"


class Size(NamedTuple):
    """In inches."""

    width: float
    height: float


def picture(network: Network) -> Picture:
    made = atlas(network)
    return Picture(lambda: _draw(made), f"{made.title}: {made.says}")


def _draw(made: Atlas) -> Figure:
    sizes = [_cloud_size(cloud) for cloud in made.clouds]
    width = max([size.width for size in sizes] + [7.0]) + 2 * EDGE
    band = max([size.width for size in sizes] or [width - 2 * EDGE])
    per_row = max(1, int((band - 0.9) / (NODE + GAP)))
    above = 0.42 * max(1, ceil(len(made.hosts) / per_row)) + 0.55 if made.world or made.hosts else 0.0
    height = 0.9 + above + sum(size.height + 0.35 for size in sizes) + 0.15
    figure, axes = sheet(width, height)
    heading(figure, made.title, f"{made.says}{f' ({made.note})' if made.note else ''}")
    y = 0.9
    if above:
        _box(axes, EDGE, y, Size(band, above - 0.4), "white", "#b9c2d0")
        word = "outside" if made.world else "hosts"
        write(axes, EDGE + GAP, y + above / 2 - 0.2, word, 8.5, color=QUIET, style="italic", ha="left")
        _hosts(axes, made.hosts, y + 0.1, per_row)
        y += above
    for number, (cloud, size) in enumerate(zip(made.clouds, sizes, strict=True)):
        _cloud(axes, cloud, y, size)
        if made.world:
            _way_out(axes, cloud, EDGE + size.width - 0.9, y, (EDGE + band, 0.7 + above / 2) if number else None)
        y += size.height + 0.35
    return figure


def _way_out(axes: Axes, cloud: Cloud, x: float, y: float, around: tuple[float, float] | None) -> None:
    """From what is outside to a point on the cloud's upper edge: straight down, or from a point ``around`` the clouds above."""
    across, down = ([x, x], [y - 0.4, y]) if around is None else (
        [around[0], around[0] + EDGE / 2, around[0] + EDGE / 2, x, x], [around[1], around[1], y - 0.175, y - 0.175, y])
    axes.plot(across, down, color=QUIET, lw=1.6, ls="-" if cloud.gateway else ":", zorder=1)
    if cloud.gateway:
        write(axes, x, y, "internet gateway", 8, zorder=5, bbox={"boxstyle": "round,pad=0.3", "fc": "white", "ec": QUIET})


def _hosts(axes: Axes, hosts: tuple[Place, ...], y: float, per_row: int) -> None:
    for number, host in enumerate(hosts):
        x, top = EDGE + 0.9 + (NODE + GAP) * (number % per_row), y + 0.42 * (number // per_row)
        _box(axes, x, top, Size(NODE, 0.34), "#e2f3ee", GREEN)
        _name(axes, x + 0.1, top + 0.17, "  ".join((label(host.name, 22), *host.says)), NODE - 0.2, 8)


def _cloud_size(cloud: Cloud) -> Size:
    rows = [_row_size(row) for row in _rows(cloud)]
    return Size(max([size.width for size in rows] + [NODE]) + 2 * GAP, HEAD + sum(size.height + GAP for size in rows))


def _rows(cloud: Cloud) -> list[tuple[Place, ...]]:
    return [cloud.subnets[start:start + PER_ROW] for start in range(0, len(cloud.subnets), PER_ROW)]


def _row_size(row: tuple[Place, ...]) -> Size:
    sizes = [_subnet_size(subnet) for subnet in row]
    return Size(sum(size.width + GAP for size in sizes) - GAP, max(size.height for size in sizes))


def _columns(subnet: Place) -> list[tuple[Place, ...]]:
    """Its nodes, in columns of about the same number."""
    count = max(1, ceil(len(subnet.inside) / PER_COLUMN))
    most = ceil(len(subnet.inside) / count)
    return [subnet.inside[start:start + most] for start in range(0, len(subnet.inside), most or 1)]


def _subnet_size(subnet: Place) -> Size:
    columns = _columns(subnet)
    tall = max((sum(_node_height(node) + 0.08 for node in column) for column in columns), default=0.0)
    return Size(max(len(columns), 1) * (NODE + GAP) + GAP, 0.28 + 0.18 * len(subnet.says) + 0.1 + tall + 0.06)


def _node_height(node: Place) -> float:
    return 0.3 + 0.16 * (len(node.says) > 1 and not node.inside) + POD * len(node.inside) + (0.05 if node.inside else 0)


def _cloud(axes: Axes, cloud: Cloud, y: float, size: Size) -> None:
    _box(axes, EDGE, y, size, VPC_FILL, QUIET, 1.6)
    _name(axes, EDGE + GAP, y + 0.2, cloud.name, size.width - 0.3, 11, weight="bold")
    _name(axes, EDGE + GAP, y + 0.4, cloud.says, size.width - 0.3, 8, color=QUIET)
    top = y + HEAD
    for row in _rows(cloud):
        x, height = EDGE + GAP, _row_size(row).height
        for subnet in row:
            wide = _subnet_size(subnet).width
            _subnet(axes, subnet, x, top, Size(wide, height))
            x += wide + GAP
        top += height + GAP


def _subnet(axes: Axes, subnet: Place, x: float, y: float, size: Size) -> None:
    _box(axes, x, y, size, SUBNET_FILL, "#b9c2d0")
    _name(axes, x + GAP, y + 0.18, subnet.name, size.width - 2 * GAP, 9.5, weight="bold")
    for number, line in enumerate(subnet.says):
        _name(axes, x + GAP, y + 0.37 + 0.18 * number, line, size.width - 2 * GAP, 7.5, color=QUIET)
    for number, column in enumerate(_columns(subnet)):
        top = y + 0.28 + 0.18 * len(subnet.says) + 0.1
        for node in column:
            _node(axes, node, x + GAP + number * (NODE + GAP), top)
            top += _node_height(node) + 0.08


def _node(axes: Axes, node: Place, x: float, y: float) -> None:
    height = _node_height(node)
    _box(axes, x, y, Size(NODE, height), NODE_FILL, VERMILION if node.down else "#9aa6b8", hatch="//" if node.down else "")
    address, *more = node.says
    _name(axes, x + 0.09, y + 0.15, node.name, NODE - 1.15, 8.5, weight="bold")
    write(axes, x + NODE - 0.09, y + 0.15, address, 7.5, color=QUIET, ha="right")
    if more and not node.inside:
        down = [word for word in more if word == "down"]
        write(axes, x + 0.09, y + 0.32, ", ".join(more), 7.5, color="#a33f00" if down else INK, ha="left")
    for number, pod in enumerate(node.inside):
        top = y + 0.28 + POD * number
        _box(axes, x + 0.09, top, Size(NODE - 0.18, POD - 0.03), POD_FILL, BLUE, 0.6)
        _name(axes, x + 0.16, top + (POD - 0.03) / 2, pod.name, NODE - 0.34, 7.5)


def _name(axes: Axes, x: float, y: float, text: str, room: float, size: float, **looks: str) -> None:
    """A text on its line: where there is too little room, smaller, and then shorter."""
    letter = LETTER * size / 9 * (1.13 if looks.get("weight") == "bold" else 1)
    shown = label(text, max(6, int(room / letter / 0.8)))
    write(axes, x, y, shown, min(size, size * room / (letter * max(columns(shown), 1))), ha="left", **looks)


def _box(axes: Axes, x: float, y: float, size: Size, fill: str, edge: str, line: float = 1.0, hatch: str = "") -> None:
    from matplotlib.patches import FancyBboxPatch

    style = "round,pad=0,rounding_size=0.06"
    axes.add_patch(FancyBboxPatch(
        (x, y), size.width, size.height, boxstyle=style, fc=fill, ec=edge, lw=line, hatch=hatch, zorder=2))
