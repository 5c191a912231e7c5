"""The one sentence that answers "overlay or cross-subnet?", with its numbers and what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..quantities import plural
from ..scenario.variants import AS_IS, BUILT_IN
from .run import lost_by_name
from .story import percent

if TYPE_CHECKING:
    from .compare import VariantReport


def answer(reports: Sequence[VariantReport]) -> str:
    """Overlay or cross-subnet? Without one of each: which of the variants does best."""
    for encap in ("ipip", "vxlan"):
        overlay, cross = _first(reports, encap, "Always"), _first(reports, encap, "CrossSubnet")
        if overlay is not None and cross is not None:
            return f"{_duel(overlay, cross)} {_without(_first(reports, '', 'Never'))}".strip()
    return _best(reports)


def _first(reports: Sequence[VariantReport], encap: str, mode: str) -> VariantReport | None:
    """The variant that stands for a kind: calisim's own, else the documents as they stand, else the user's best."""
    found = [report for report in reports if _kind(report) == (encap, mode)]
    own = [*(id_ for id_ in BUILT_IN if id_ != AS_IS), AS_IS]

    def rank(report: VariantReport) -> tuple[int, int]:
        return own.index(report.id) if report.id in own else len(own), -report.tally.success

    return min(found, key=rank, default=None)


def _kind(report: VariantReport) -> tuple[str, str]:
    """("ipip", "CrossSubnet") and the like: what all enabled pools have in common, ("", "") if they differ."""
    modes = {(pool.ipip, pool.vxlan) for pool in report.network.intent.pools if not pool.disabled}
    if len(modes) != 1:
        return "", ""
    ((ipip, vxlan),) = modes
    return ("ipip", ipip) if ipip != "Never" else ("vxlan", vxlan) if vxlan != "Never" else ("", "Never")


def _duel(overlay: VariantReport, cross: VariantReport) -> str:
    sent = plural(cross.tally.sent, "packet")
    ahead = cross.tally.success - overlay.tally.success
    if ahead:
        better, worse = (cross, overlay) if ahead > 0 else (overlay, cross)
        word = "Cross-subnet" if ahead > 0 else "Overlay"
        return (
            f"{word}: {better.id} delivers {better.tally.success:,} of {sent}, {worse.id} only {worse.tally.success:,} "
            f"({_losses(worse)}{_missing(worse)}).{_price(better)}")
    saved = overlay.overhead - cross.overhead
    if saved > 0:
        return (
            f"Cross-subnet: both deliver {_all(cross)} of {sent}, but {cross.id} encapsulates {cross.encapsulated:,} of them "
            f"instead of {overlay.encapsulated:,} and saves {plural(saved, 'byte')} of outer headers "
            f"({percent(saved, overlay.overhead)} of the overlay's).{_price(cross, overlay)}")
    return (
        f"Overlay: {cross.id} saves nothing here ({plural(cross.encapsulated, 'encapsulated packet')} in both), since no packet "
        f"travels between two nodes of one subnet.{_price(cross, overlay)}")


def _all(report: VariantReport) -> str:
    return "all" if report.tally.success == report.tally.sent else f"{report.tally.success:,}"


def _missing(report: VariantReport) -> str:
    """Needs that the scenario itself has forgotten."""
    absent = [need.need for need in report.needs if not need.met]
    return f"; missing: {', '.join(absent)}" if absent else ""


def _price(report: VariantReport, other: VariantReport | None = None) -> str:
    """What a variant needs (beyond what the other needs), with the packets that die where it is forgotten."""
    common = {need.need for need in other.needs} if other else set()
    price = [
        f"{need.need} (forget it and {need.victims} die)" for need in report.needs
        if need.need not in common and need.lost and need.met]
    absent = [
        f"{need.need} ({need.victims} die already)" for need in report.needs if need.lost and not need.met]
    said = f" Its price: {'; '.join(price)}." if price else ""
    return f"{said} Missing here: {'; '.join(absent)}." if absent else said


def _without(report: VariantReport | None) -> str:
    """What no encapsulation at all would do."""
    if report is None:
        return ""
    if report.tally.success == report.tally.sent:
        return "No encapsulation at all would do here, too."
    lost = report.tally.sent - report.tally.success
    return f"Without any encapsulation {plural(lost, 'packet')} die ({_losses(report)})."


def _losses(report: VariantReport) -> str:
    losses = [f"{count:,} × {name}" for name, count in lost_by_name(report.tally).items()]
    return ", ".join(losses[:3]) or "nothing is dropped"


def _best(reports: Sequence[VariantReport]) -> str:
    if len(reports) == 1:
        only = reports[0]
        return f"{only.id} delivers {_all(only)} of {plural(only.tally.sent, 'packet')} ({_losses(only)}).{_price(only)}"
    best = max(reports, key=lambda report: (report.tally.success, -report.overhead, -len(report.needs)))
    tied = all(report.tally.success == best.tally.success for report in reports)
    return (
        f"{best.id}: it delivers {'as many as any' if tied else 'most'} ({_all(best)} of {plural(best.tally.sent, 'packet')}) "
        f"with the fewest extra bytes ({best.overhead:,}).{_price(best)}")


def assumptions(reports: Sequence[VariantReport]) -> tuple[str, ...]:
    """What the answer rests on: the traffic, then what the model assumes."""
    network = reports[0].network
    sets = ", ".join(
        f"{set_.name} ({reports[0].run.tallies[set_.name].sent:,} × {set_.size:,} B)" for set_ in network.traffic_sets()
        if set_.name in reports[0].run.tallies)
    rests = [
        f"traffic: {sets}; every packet went through the {network.engine_name} engine",
        f"{network.topology.provider.title} as documented; the control plane has converged and nothing is overloaded"]
    for report in reports:
        rests += [line for line in report.network.intent.assumptions if line not in rests]
    return tuple(rests)
