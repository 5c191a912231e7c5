"""Graphviz text (``dot -Tsvg``): a packet's journey as numbered edges between the stations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..vocabulary import Encap
from .labels import clean, wrapped
from .ladder import Leg, Note, header_lines, ladder

if TYPE_CHECKING:
    from ..analysis.explain import Trace

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
