"""``calisim compare`` for people: the story, the variants, what they need, the pairs, the answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..analysis.run import lost_by_name
from ..analysis.scopes import SCOPES, TITLES
from ..analysis.story import ALWAYS_SHOWN, shares
from ..vocabulary import Verdict
from .text import number, paragraph, share, table

if TYPE_CHECKING:
    from ..analysis.compare import Comparison, VariantReport


def parts(comparison: Comparison) -> Iterator[Any]:
    """The report, part by part, in the order in which it is read."""
    if comparison.chapters:
        yield _story(comparison)
    yield _variants(comparison)
    if any(report.needs for report in comparison.variants):
        yield _needs(comparison)
    if comparison.pairs is not None:
        yield _pairs(comparison)
    yield paragraph(comparison.answer, "bold")
    yield paragraph("Rests on " + "\n  ".join(comparison.assumptions))


def _story(comparison: Comparison) -> Any:
    used = {scope for chapter in comparison.chapters for scope in chapter.cells}
    scopes = [scope for scope in SCOPES if scope in ALWAYS_SHOWN or scope in used]
    return table(
        "Step by step: what becomes of the packets (share of packets; +B: bytes of outer header each)",
        ["Step", *(TITLES[scope] for scope in scopes)],
        ([f"{chapter.number}. {chapter.title}", *(shares(chapter.cells.get(scope, {})) for scope in scopes)]
         for chapter in comparison.chapters))


def _variants(comparison: Comparison) -> Any:
    return table(
        "Variants: the same packets through each",
        ["Variant", "#Wrapped (packets)", "#Wrapped (%)", "#Overhead (B)", "#Overhead (%)", "#Pod MTU (B)", "#Sent (packets)",
         "#Delivered (packets)", "#Exited (packets)", "Lost (packets × reason)"],
        (_variant(report) for report in comparison.variants))


def _variant(report: VariantReport) -> list[str]:
    tally = report.tally
    verdicts = tally.by(lambda outcome: outcome.verdict)
    count = {verdict: amount.packets for verdict, amount in verdicts.items()}
    losses = [f"{packets:,} × {name}" for name, packets in lost_by_name(tally).items()]
    losses += [
        f"{count[verdict]:,} × {verdict.name.lower()}" for verdict in (Verdict.REFUSED, Verdict.UNDETERMINED) if verdict in count]
    low, high = report.pod_mtu
    return [
        report.id, number(report.encapsulated), share(report.encapsulated, tally.sent), number(report.overhead),
        share(report.overhead, tally.total().crossing), number(low) if low == high else f"{low:,}–{high:,}", number(tally.sent),
        number(count.get(Verdict.DELIVERED, 0)), number(count.get(Verdict.EXITED, 0)), "\n".join(losses) or "0"]


def _needs(comparison: Comparison) -> Any:
    return table(
        "Needs: each left out once, the same packets sent again",
        ["Variant", "Needs", "#Lost if forgotten (packets)", "For example"], _need_rows(comparison), sections=True)


def _need_rows(comparison: Comparison) -> Iterator[list[str]]:
    for report in comparison.variants:
        if not report.needs:
            yield [report.id, "nothing special", "0", ""]
        for position, need in enumerate(report.needs):
            example = f"{need.example.sender} → {need.example.receiver}: {need.example.reason}" if need.example else need.why
            yield [
                "" if position else report.id, need.need, "not counted" if need.lost is None else number(need.lost), example]


def _pairs(comparison: Comparison) -> Any:
    assert comparison.pairs is not None
    ids = [report.id for report in comparison.variants]
    total = comparison.variants[0].tally.sent
    shown = f"{len(comparison.pairs)} pairs shown"
    return table(
        f"Pairs that fare differently: {comparison.differing:,} of {total:,} packets; {shown}",
        ["From", "To", "Traffic", *ids],
        ([one.sender, one.receiver, one.traffic, *(one.outcomes[id_] for id_ in ids)] for one in comparison.pairs))
