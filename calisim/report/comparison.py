"""``calisim compare`` for people: the story, the variants, what they need, the pairs, the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..analysis.scopes import SCOPES, TITLES
from ..analysis.story import ALWAYS_SHOWN, shares, word_of
from ..vocabulary import Verdict
from .text import ROOMY, number, paragraph, share, table, width

if TYPE_CHECKING:
    from ..analysis.compare import Comparison, Difference, VariantReport
    from ..analysis.needs import Need

NARROW_TITLE = 12       # columns that a step's title needs at least


def parts(comparison: Comparison) -> Iterator[Any]:
    """The report, part by part, in the order in which it is read."""
    if comparison.chapters:
        yield _story(comparison)
    yield _variants(comparison)
    if any(report.tally.success < report.tally.sent for report in comparison.variants):
        yield _losses(comparison)
    if any(report.needs for report in comparison.variants):
        yield _needs(comparison)
    if comparison.pairs is not None:
        yield _pairs(comparison)
    asked = comparison.answer.startswith(("Overlay:", "Cross-subnet:"))
    yield paragraph(f"Overlay or cross-subnet? {comparison.answer}" if asked else comparison.answer, "bold")
    yield paragraph("\n".join(["Rests on", *(f"  – {line}" for line in comparison.assumptions)]))


def _story(comparison: Comparison) -> Any:
    used = {scope for chapter in comparison.chapters for scope in chapter.cells}
    scopes = [scope for scope in SCOPES if scope in ALWAYS_SHOWN or scope in used]
    rows = [[shares(chapter.cells.get(scope, {})) for scope in scopes] for chapter in comparison.chapters]
    # the words of the trade stay whole where there is room; the titles fold before them
    widest = [max(map(len, [TITLES[scope], *cells])) for scope, cells in zip(scopes, zip(*rows, strict=True), strict=True)]
    whole = "!" if sum(widest) + (3 if width() >= ROOMY else 1) * len(scopes) + NARROW_TITLE <= width() else ""
    return table(
        "Step by step: what becomes of the packets (share of packets; +B: bytes of outer header each)",
        ["Step", *(f"{whole}{TITLES[scope]}" for scope in scopes)],
        ([f"{chapter.number}. {chapter.title}", *cells] for chapter, cells in zip(comparison.chapters, rows, strict=True)))


def _variants(comparison: Comparison) -> Any:
    reports = comparison.variants
    sent = {report.tally.sent for report in reports}
    exits = width() >= ROOMY or any(_count(report, Verdict.EXITED) for report in reports)
    return table(
        f"Variants: the same {number(reports[0].tally.sent)} packets through each" if len(sent) == 1 else "Variants",
        ["Variant", "#Encap. (%)", "#Overhead (B)", "#Overhead (%)", "#Pod MTU (B)", *(["#Sent (pkt)"] if exits else []),
         "#Delivered (pkt)", *(["#Exited (pkt)"] if exits else []), "#Lost (pkt)"],
        (_variant(report, exits) for report in reports))


def _count(report: VariantReport, verdict: Verdict) -> int:
    return report.tally.total(lambda outcome: outcome.verdict is verdict).packets


def _variant(report: VariantReport, exits: bool) -> list[str]:
    tally, (low, high) = report.tally, report.pod_mtu
    return [
        report.id, share(report.encapsulated, tally.sent), number(report.overhead),
        share(report.overhead, tally.total().crossing), number(low) if low == high else f"{low:,}–{high:,}",
        *([number(tally.sent)] if exits else []), number(_count(report, Verdict.DELIVERED)),
        *([number(_count(report, Verdict.EXITED))] if exits else []), number(tally.sent - tally.success)]


def _losses(comparison: Comparison) -> Any:
    """Lost packets by variant, reason and scope."""
    return table("Lost by reason", ["Variant", "#Lost (pkt)", "!Reason", "Between"], _loss_rows(comparison))


def _loss_rows(comparison: Comparison) -> Iterator[list[str]]:
    for report in comparison.variants:
        lost = [(outcome, amount.packets) for outcome, amount in report.tally if not outcome.verdict.success]
        sums: dict[tuple[str, str], int] = {}
        for outcome, packets in lost:
            key = word_of(outcome), TITLES[outcome.scope]
            sums[key] = sums.get(key, 0) + packets
        for position, ((word, scope), packets) in enumerate(sorted(sums.items(), key=lambda item: -item[1])):
            yield ["" if position else report.id, number(packets), word, scope]


def _needs(comparison: Comparison) -> Any:
    return table(
        "Needs: each left out once, the same packets sent again",
        ["Variant and what it needs", "#Lost if forgotten (pkt)", "For example"], _need_rows(comparison))


def _need_rows(comparison: Comparison) -> Iterator[list[str]]:
    """Variants that need the same, with the same losses, share their rows."""
    groups: dict[tuple[Need, ...], list[str]] = {}
    for report in comparison.variants:
        groups.setdefault(report.needs, []).append(report.id)
    for needs, ids in groups.items():
        yield [", ".join(ids), "", "" if needs else "needs nothing special"]
        for need in needs:
            missing = "" if need.met else " (missing here)"
            yield [f"  {need.need}{missing}", "not counted" if need.lost is None else number(need.lost), _example(need)]


def _example(need: Need) -> str:
    if need.example is None:
        return need.why
    note = f" ({need.note})" if need.note else ""
    return f"{need.example.sender} → {need.example.receiver}: {need.example.reason}{note}"


def _pairs(comparison: Comparison) -> Any:
    assert comparison.pairs is not None
    ids = [report.id for report in comparison.variants]
    total = comparison.variants[0].tally.sent
    title = f"Pairs that fare differently: {comparison.differing:,} of {total:,} packets; {len(comparison.pairs)} pairs shown"
    rows = [
        [one.sender, one.receiver, one.traffic, *(one.outcomes[id_] for id_ in ids)] for one in comparison.pairs]
    columns = ["From", "To", "Traffic", *ids]
    widest = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    if sum(widest) + (3 if width() >= ROOMY else 1) * len(columns) <= width():
        return table(title, [f"!{column}" for column in columns], rows)
    return table(title, ["Pair, traffic and outcome", "In variants"], _folded_pairs(comparison.pairs))


def _folded_pairs(pairs: Sequence[Difference]) -> Iterator[list[str]]:
    """A line for each pair and one for each outcome below it: names stay whole where a column for each has no room."""
    for one in pairs:
        yield [f"{one.sender} → {one.receiver}, {one.traffic}", ""]
        ids: dict[str, list[str]] = {}
        for id_, outcome in one.outcomes.items():
            ids.setdefault(outcome, []).append(id_)
        yield from ([f"  {outcome}", ", ".join(names)] for outcome, names in ids.items())
