"""Graphviz text (``dot -Tsvg``): a packet's journey as numbered edges between the stations, what exists as boxes in boxes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..vocabulary import Encap
from .atlas import Atlas, Place, atlas
from .labels import clean, wrapped
from .ladder import Leg, Note, header_lines, ladder

if TYPE_CHECKING:
    from ..analysis.explain import Trace
    from ..analysis.network import Network

PIPES = {Encap.IPIP: "#e69f00", Encap.VXLAN: "#cc79a7"}
_SHAPES = {"pod": "box, style=rounded", "node": "box", "cloud": "hexagon", "host": "box, style=rounded", "outside": "oval"}
_FONT = 'fontname="Helvetica,Arial,sans-serif"'


def quoted(*lines: str) -> str:
    """A quoted string of one or more lines in which nothing is an escape, an entity or an end."""
    plain = (clean(line).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;") for line in lines)
    return '"' + "\\n".join(plain) + '"'


def journey(trace: Trace) -> str:
    """A directed graph; what is encapsulated runs in a pipe (a double line), what is lost ends at its reason."""
    return "\n".join(_graph(trace))


def _graph(trace: Trace) -> Iterator[str]:
    made = ladder(trace)
    yield "digraph journey {"
    label = quoted(made.title, f"{made.scene}: {made.verdict}")
    yield f"  graph [rankdir=LR, nodesep=0.7, ranksep=0.9, {_FONT}, labelloc=t, label={label}];"
    yield f"  node [{_FONT}, fontsize=11];"
    yield f"  edge [{_FONT}, fontsize=9];"
    for number, station in enumerate(made.stations):
        dim = "" if station.reached else ', color="#8a93a1", fontcolor="#566072"'
        yield f"  s{number} [shape={_SHAPES[station.kind]}, label={quoted(*station.lines())}{dim}];"
    number = 0
    for way in made.ways:
        before: Leg | None = None
        for row in way.rows:
            if isinstance(row, Leg):
                number += 1
                yield from _edge(row, number, way.title, f"end_{way.title}")
                before = row
            elif row.kind != "note":
                yield from _end(row, f"end_{way.title}", before)
    for number, station in enumerate(made.stations):
        if not station.reached:                  # beyond the place where the packet ended, without a line to it
            yield f"  end_request -> s{number} [style=invis];"
    yield "}"


def _edge(leg: Leg, number: int, way: str, end: str) -> Iterator[str]:
    """In a pipe's list of colours the middle one is the packet's."""
    lines = [line for header in leg.headers for line in header_lines(header)]
    looks = ["style=dashed"] if way == "reply" else []
    if leg.wrapping:
        looks += [f'color="{PIPES[leg.wrapping]}:#1c2330:{PIPES[leg.wrapping]}"', "penwidth=2"]
    elif leg.lost:
        looks += ['color="#d55e00"', "penwidth=2"]
    label = f"label={quoted(f'{number}. {lines[0]}', *lines[1:])}"
    stops = [f"s{leg.start}", *([f"s{leg.through}"] if leg.through is not None else []),
             end if leg.lost and leg.start == leg.end else f"s{leg.end}"]
    yield f"  {stops[0]} -> {stops[1]} [{', '.join([label, *looks])}];"
    if len(stops) > 2:
        yield f"  {stops[1]} -> {stops[2]} [{', '.join([f'label={number}', *looks])}];"


def _end(note: Note, name: str, before: Leg | None) -> Iterator[str]:
    title = [f"✕ {note.title}"] if note.title else []
    sign = {"good": "✓ ", "doubt": "? "}.get(note.kind, "")
    colour = {"good": "#0072b2", "loss": "#d55e00"}.get(note.kind, "#566072")
    lines = [*title, *wrapped(sign + note.says, 44), *wrapped(note.by, 44)]
    yield f'  {name} [shape=note, color="{colour}", fontcolor="{colour}", label={quoted(*lines)}];'
    if before is None or not (before.lost and before.start == before.end):
        ends = (f"s{note.at}", name) if note.at else (name, "s0")          # on the side where there is room
        yield f'  {ends[0]} -> {ends[1]} [style=dotted, dir=none, color="{colour}"];'


def topology(network: Network) -> str:
    """An undirected graph with clusters: VPC, subnets, nodes and, where they are few, pods."""
    return "\n".join(_map(atlas(network)))


def _map(made: Atlas) -> Iterator[str]:
    title = quoted(made.title, made.says, *([made.note] if made.note else []))
    yield "graph map {"
    yield f"  graph [rankdir=LR, compound=true, {_FONT}, labelloc=t, style=rounded, color=\"#566072\", label={title}];"
    yield f"  node [{_FONT}, fontsize=11, shape=box, style=rounded];"
    for number, cloud in enumerate(made.clouds):
        yield f"  subgraph cluster_v{number} {{"
        yield f"    label={quoted(cloud.name, cloud.says)};"
        yield f'    r{number} [shape=hexagon, style="", label="VPC router"];'
        for position, subnet in enumerate(cloud.subnets):
            yield from _cluster(f"v{number}s{position}", subnet, "    ")
        yield "  }"
        if cloud.gateway:
            yield f'  g{number} [shape=oval, style="", label="internet gateway"];'
            yield f"  g{number} -- r{number};"
        yield from (f"  r{number} -- {_end_at(made, number, position)};" for position in range(len(cloud.subnets)))
    for number, host in enumerate(made.hosts):
        yield f"  h{number} [label={quoted(*host.lines)}];"
        yield f"  h{number} -- {'out' if host.at is None else _end_at(made, *host.at)};"
    if made.world:
        yield '  out [shape=oval, style="", label="outside"];'
        yield from (f"  out -- {'g' if cloud.gateway else 'r'}{number};" for number, cloud in enumerate(made.clouds))
    yield "}"


def _end_at(made: Atlas, cloud: int, position: int) -> str:
    """What an edge to a subnet says."""
    name = f"v{cloud}s{position}"
    return f"{name}_at [lhead=cluster_{name}]" if made.clouds[cloud].subnets[position].inside else name


def _cluster(name: str, place: Place, deep: str) -> Iterator[str]:
    """A thing with others in it is a cluster, with a point at which edges end; one without is a vertex."""
    if not place.inside:
        yield f"{deep}{name} [label={quoted(*place.lines)}];"
        return
    yield f"{deep}subgraph cluster_{name} {{"
    yield f"{deep}  label={quoted(*place.lines)};"
    yield f"{deep}  {name}_at [shape=point, style=invis, width=0];"
    for number, one in enumerate(place.inside):
        yield from _cluster(f"{name}_{number}", one, deep + "  ")
    yield f"{deep}}}"
