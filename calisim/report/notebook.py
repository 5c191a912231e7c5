"""Answers as they show themselves in a notebook: plain HTML tables and boxes, without scripts, style sheets or anything to load.

Colours are those of the notebook (light or dark), with half-transparent ones for fates and wrappings; every name is escaped; no
table has more than :data:`MOST` rows. Importing this module gives Scenario, Network, Run, Comparison and Trace a ``_repr_html_``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from ..analysis.compare import Comparison, VariantReport
from ..analysis.explain import Step, Trace
from ..analysis.network import Network
from ..analysis.run import Run
from ..analysis.story import word_of
from ..analysis.telling import decider
from ..quantities import plural
from ..scenario.scenario import Scenario
from .atlas import Place, atlas
from .labels import clean, label
from .ladder import wrapping_of
from .text import number, share

MOST = 60               # rows of a table
LONGEST = 1200          # characters of a sentence
SHORT = 34              # characters that are not wrapped
RULE = "1px solid rgba(128,128,128,.45)"
WRAPPED = {1: "rgba(230,159,0,.28)", 2: "rgba(204,121,167,.28)"}
GOOD, LOST, PANEL = "rgba(0,114,178,.22)", "rgba(213,94,0,.25)", "rgba(128,128,128,.1)"


def scenario(one: Scenario) -> str:
    spec = one.spec
    rows = [
        ["file", label(one.path, 120)], ["variants", ", ".join(map(label, one.variant_ids[:MOST]))],
        ["traffic", ", ".join(label(set_.name) for set_ in spec.traffic[:MOST]) or "none"],
        *([["steps", ", ".join(label(step.title) for step in spec.steps[:MOST])]] if spec.steps else []),
        ["expectations", number(len(spec.expect))]]
    return _answer(one.name, one.file.metadata.description or "", _table(["", ""], rows))


def network(one: Network) -> str:
    made = atlas(one)
    boxes = "".join(
        _box(cloud.name, [cloud.says, *(["internet gateway"] if cloud.gateway else [])], "".join(map(_place, cloud.subnets)))
        for cloud in made.clouds)
    hosts = "".join(map(_place, made.hosts))
    return _answer(made.title, f"{made.says}{f' ({made.note})' if made.note else ''}", boxes + hosts)


def run(one: Run) -> str:
    rows = [
        [label(name or "packets"), outcome.scope, outcome.verdict.name.lower(), word_of(outcome), "yes" if outcome.snat else "",
         number(amount.packets), share(amount.packets, tally.sent), number(amount.inner), number(amount.overhead)]
        for name, tally in one.tallies.items()
        for outcome, amount in sorted(tally, key=lambda item: (item[0].scope, -item[1].packets))]
    lost = sum(one.sent.lost().values())
    colours = ["" if row[2] in ("delivered", "exited") else LOST for row in rows]
    heads = ["Traffic", "Scope", "Fate", "How, or why not", "SNAT", "#Packets", "#Share (%)", "#Sent (B)", "#Overhead (B)"]
    title = f"{plural(one.sent.sent, 'packet')}, {number(one.sent.success)} arrived, {number(lost)} lost"
    return _answer(title, "", _table(heads, rows, colours))


def comparison(one: Comparison) -> str:
    heads = ["Variant", "Delivered", "#Encap. (%)", "#Overhead (B)", "#Overhead (%)", "#Pod MTU (B)", "#Lost (packets)", "Why"]
    rows = [_variant(report) for report in one.variants]
    return _answer(one.scenario.name, one.answer, _table(heads, rows, ["" if row[6] == "0" else LOST for row in rows], bars=1))


def _variant(report: VariantReport) -> list[str]:
    tally, (low, high) = report.tally, report.pod_mtu
    why = ", ".join(f"{count:,} × {reason.name}" for reason, count in list(tally.lost().items())[:4])
    return [
        label(report.id), share(tally.success, tally.sent), share(report.encapsulated, tally.sent), number(report.overhead),
        share(report.overhead, tally.total().crossing), number(low) if low == high else f"{low:,}–{high:,}",
        number(tally.sent - tally.success), why]


def trace(one: Trace) -> str:
    parts = []
    for title, way in zip(("Request", "Reply"), one.ways, strict=False):
        heads = ["#", "Where", "Interface", "What", "Headers, the outer one first"]
        rows = [_step(position, step) for position, step in enumerate(way.steps, 1)]
        colours = [WRAPPED[wrapping_of(step.headers)] if step.headers and wrapping_of(step.headers) else "" for step in way.steps]
        colours[-1] = GOOD if way.verdict.success else LOST
        if way.loss is not None:
            rows[-1][3] = f"✕ {way.loss.reason.name}: {rows[-1][3]}"
        parts.append(_answer(f"{title}: {way.verdict.name.lower()}", "", _table(heads, rows, colours)))
        parts += [f"<pre style='white-space:pre-wrap'>{escape(_shown(command, 2000))}</pre>" for command in way.cure]
    return "".join(parts)


def _step(position: int, step: Step) -> list[str]:
    return [
        str(position), step.where, step.interface, f"{step.says}{decider(step.decided_by)}", "\n".join(map(str, step.headers))]


def _answer(title: str, says: str, body: str) -> str:
    sentence = f"<div style='margin:.2em 0 .5em'>{escape(_shown(says))}</div>" if says else ""
    return f"<div style='margin:.4em 0'><strong>{escape(_shown(title))}</strong>{sentence}{body}</div>"


def _shown(text: str, longest: int = LONGEST) -> str:
    """A text of bounded length; its line ends stay."""
    lines = [clean(line) for line in text[:longest].split("\n")]
    return "\n".join(lines) + ("…" if len(text) > longest else "")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], colours: Sequence[str] = (), *, bars: int = -1) -> str:
    """``#`` before a head: numbers, set to the right. ``bars``: the column of shares in percent that are drawn, too."""
    left = len(rows) - MOST
    shown = list(rows) if left <= 0 else [*rows[:MOST // 2], *rows[-MOST // 2:]]
    tints = list(colours) if left <= 0 else [*colours[:MOST // 2], *colours[-MOST // 2:]]
    body = [
        "".join(_cell(cell, head, bar=column == bars) for column, (cell, head) in enumerate(zip(row, heads, strict=True)))
        for row in shown]
    lines = [
        f"<tr style='background:{tint or 'transparent'}'>{cells}</tr>"
        for cells, tint in zip(body, tints or [""] * len(body), strict=True)]
    if left > 0:
        lines.insert(MOST // 2, f"<tr><td colspan='{len(heads)}' style='padding:2px 8px'>… {left:,} more …</td></tr>")
    head = "".join(
        f"<th style='padding:2px 8px;text-align:{_side(one)};border-bottom:{RULE}'>{escape(one.removeprefix('#') or one)}</th>"
        for one in heads)
    top = f"<thead><tr>{head}</tr></thead>" if any(heads) else ""
    return (f"<div style='overflow-x:auto'><table style='border-collapse:collapse;color:inherit'>{top}"
            f"<tbody>{''.join(lines)}</tbody></table></div>")


def _side(head: str) -> str:
    return "right" if head.startswith("#") else "left"


def _cell(text: str, head: str, *, bar: bool) -> str:
    drawn = ""
    if bar:
        drawn = (f"background:linear-gradient(to right,{GOOD} {text if text.replace('.', '').isdigit() else 0}%,transparent 0);"
                 "min-width:8em;")
        text = f"{text} %"
    whole = "white-space:nowrap;" if len(text) <= SHORT else ""
    shown = escape(_shown(text)).replace("\n", "<br>")
    return f"<td style='padding:2px 8px;text-align:{_side(head)};vertical-align:top;{whole}{drawn}'>{shown}</td>"


def _place(place: Place) -> str:
    return _box(place.name, place.says, "".join(map(_place, place.inside)), down=place.down)


def _box(name: str, says: Iterable[str], inside: str, *, down: bool = False) -> str:
    border = "2px dashed rgba(213,94,0,.9)" if down else RULE
    small = "".join(f"<div style='font-size:85%;opacity:.75'>{escape(line)}</div>" for line in says)
    within = f"<div style='display:flex;flex-wrap:wrap;align-items:flex-start'>{inside}</div>" if inside else ""
    return (f"<div style='display:inline-block;vertical-align:top;border:{border};border-radius:6px;padding:4px 8px;margin:3px;"
            f"background:{PANEL};color:inherit'><strong>{escape(name)}</strong>{small}{within}</div>")


# These types live on lower floors, which know nothing of HTML: they are given the method from here.
_SHOWN: tuple[tuple[type, Any], ...] = (
    (Scenario, scenario), (Network, network), (Run, run), (Comparison, comparison), (Trace, trace))
for _type, _html in _SHOWN:
    _type._repr_html_ = _html  # type: ignore[attr-defined]
