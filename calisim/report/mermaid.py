"""Mermaid text, for Markdown pages that draw it (GitHub, GitLab, most wikis): a packet's journey as a sequence diagram, what
exists as a flowchart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..vocabulary import Encap
from .atlas import Atlas, Place, atlas
from .labels import clean, wrapped
from .ladder import Leg, Note, Way, header_lines, ladder

if TYPE_CHECKING:
    from ..analysis.explain import Trace
    from ..analysis.network import Network

_PIPES = {Encap.IPIP: "rgba(230, 159, 0, 0.25)", Encap.VXLAN: "rgba(204, 121, 167, 0.25)"}
_PLAIN = frozenset(" ._/,()[]{}+-·→✓✕…?!*=@")          # beside letters and digits: what has no meaning to Mermaid inside a text
BREAK = "<br/>"


def quoted(text: str) -> str:
    """A text in which nothing is markup: what may be is written as the code of its character. Letters with a colon after them can
    be a directive (``wrap:``) or an icon (``fa:``)."""
    shown = clean(text)
    return "".join(
        char if char.isalnum() or char in _PLAIN or (char == ":" and before.isdecimal()) else f"#{ord(char)};"
        for before, char in zip(f" {shown}", shown, strict=False))


def journey(trace: Trace) -> str:
    """A sequence diagram: encapsulated legs stand in a coloured box, a lost one ends in a cross."""
    return "\n".join(_sequence(trace))


def _sequence(trace: Trace) -> Iterator[str]:
    made = ladder(trace)
    yield "sequenceDiagram"
    yield f"    accTitle: {quoted(made.title)}"
    yield f"    accDescr: {quoted(f'{made.scene}: {made.verdict}')}"
    for number, station in enumerate(made.stations):
        yield f"    participant s{number} as {_lines(station.lines())}"
    for way in made.ways:
        yield f"    Note over s0{f',s{len(made.stations) - 1}' if len(made.stations) > 1 else ''}: {quoted(way.title)}"
        yield from _way(way)


def _way(way: Way) -> Iterator[str]:
    dotted = "--" if way.title == "reply" else "-"
    for row in way.rows:
        yield from _leg(row, dotted) if isinstance(row, Leg) else _note(row)


def _leg(leg: Leg, dotted: str) -> Iterator[str]:
    deep = "    " if leg.wrapping else ""
    if leg.wrapping:
        yield f"    rect {_PIPES[leg.wrapping]}"
    arrow = f"{dotted}x" if leg.lost else f"{dotted}>>"
    texts = [line for header in leg.headers for line in header_lines(header)]
    yield f"    {deep}s{leg.start}{arrow}s{leg.end}: {_lines(texts)}"
    if leg.says:
        yield f"    {deep}Note over s{leg.through}: {_lines(wrapped(leg.says, 40))}"
    if leg.wrapping:
        yield "    end"


def _note(note: Note) -> Iterator[str]:
    title = [f"✕ {note.title}"] if note.title else []
    sign = {"good": "✓ ", "doubt": "? "}.get(note.kind, "")
    yield f"    Note over s{note.at}: {_lines([*title, *wrapped(sign + note.says, 40), *wrapped(note.by, 40)])}"


def _lines(texts: list[str]) -> str:
    return BREAK.join(quoted(text) for text in texts)


def topology(network: Network) -> str:
    """A flowchart of boxes in boxes: VPC, subnets, nodes and, where they are few, pods."""
    return "\n".join(_flowchart(atlas(network)))


def _flowchart(made: Atlas) -> Iterator[str]:
    yield "flowchart LR"
    yield f"    accTitle: {quoted(made.title)}"
    yield f"    accDescr: {quoted(made.says)}"
    links: list[str] = []
    for number, cloud in enumerate(made.clouds):
        yield f'    subgraph v{number}["{quoted(" · ".join((cloud.name, cloud.says)))}"]'
        yield f'        r{number}{{{{"VPC router"}}}}'
        for position, subnet in enumerate(cloud.subnets):
            yield from _box(f"v{number}s{position}", subnet, "        ")
            links.append(f"    r{number} --- v{number}s{position}")
        yield "    end"
        if cloud.gateway:
            yield f'    g{number}(["internet gateway"])'
            links.append(f"    g{number} --- r{number}")
    for number, host in enumerate(made.hosts):
        yield f'    h{number}(["{_lines([*host.lines])}"])'
        links.append(f"    h{number} --- {'out' if host.at is None else f'v{host.at[0]}s{host.at[1]}'}")
    if made.world:
        yield '    out(["outside"])'
        links += [f"    out --- {'g' if cloud.gateway else 'r'}{number}" for number, cloud in enumerate(made.clouds)]
    if made.note:
        yield f'    note["{quoted(made.note)}"]'
    yield from links


def _box(name: str, place: Place, deep: str) -> Iterator[str]:
    """A thing with others in it is a subgraph (whose title has one line only), one without is a vertex."""
    if not place.inside:
        yield f'{deep}{name}["{_lines([*place.lines])}"]'
        return
    yield f'{deep}subgraph {name}["{quoted(" · ".join(place.lines))}"]'
    yield f"{deep}    direction LR"               # what is not linked stands one below the other
    for number, one in enumerate(place.inside):
        yield from _box(f"{name}_{number}", one, deep + "    ")
    yield f"{deep}end"
