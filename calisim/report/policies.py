"""``calisim policy`` for people: what applies, who may talk to whom, what changes, what decided how often."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..analysis.policy_words import service_of, shortened
from ..analysis.telling import decider_of, decision, place_of
from ..quantities import plural
from .text import number, paragraph, table, width

if TYPE_CHECKING:
    from ..analysis.policy_applies import DirectionApplied, Listed, PodPolicy, PolicyApplied
    from ..analysis.policy_diff import Change, PolicyDiff
    from ..analysis.policy_hits import HitsReport
    from ..analysis.policy_matrix import ConnectionSets, TruthTable
    from ..analysis.policy_staged import StagedReport
    from ..scenario.resources import Policy

MOST_SHOWN = 100        # changes or flows; --json has them all
_WIDEST = 40            # of a name beside a truth table


def list_parts(found: Sequence[Listed]) -> Iterator[Any]:
    """All policies in the order in which they are asked."""
    if not found:
        yield paragraph("The scenario has no policies: everybody may talk to everybody.")
        return
    yield table(
        "Policies in the order in which they are asked",
        ["Tier", "#Order", "Policy", "About", "#Pods", "Rules", "!Where"],
        ([one.policy.tier, "last" if one.policy.order is None else f"{one.policy.order:g}", f"{one.policy.kind} {one.name}",
          one.subject, number(one.pods), _rules(one.policy), _short(str(one.policy.mark))] for one in found))
    staged = sum(bool(one.policy.staged) for one in found)
    yield paragraph(f"{plural(len(found), 'policy').replace('policys', 'policies')}, {staged:,} of them staged", "bold")


def _rules(policy: Policy) -> str:
    """``2 in, 1 out``; a direction that is isolated without a rule counts none."""
    each = (("Ingress", policy.ingress, "in"), ("Egress", policy.egress, "out"))
    return ", ".join(f"{len(rules)} {word}" for way, rules, word in each if way in policy.types)


def _short(place: str) -> str:
    """The end of a place that is too wide for a column."""
    return place if len(place) <= _WIDEST else f"…{place[-_WIDEST + 1:]}"


# --- one pod --------------------------------------------------------------------------------------------------------


def pod_lines(found: PodPolicy) -> Iterator[str]:
    """What applies to a pod, direction by direction."""
    alike = f" (and {plural(found.alike - 1, 'other pod')} in the same way)" if found.alike > 1 else ""
    yield f"Policy of {found.pod}{alike}"
    for direction in found.directions:
        yield ""
        yield from _direction_lines(direction)


def _direction_lines(one: DirectionApplied) -> Iterator[str]:
    state = "isolated: what nothing below allows is denied" if one.isolated else "not isolated: no policy in force applies"
    yield f"{one.way.capitalize()} – {state}"
    step = 0
    for tier in one.tiers:
        step += 1
        yield f"{step:3}. tier {tier.object.name}{place_of(tier.object)}"
        for policy in tier.policies:
            yield from _policy_lines(policy, one.way)
        yield f"     at its end: {tier.end.name.lower()} what none of them decided"
    for profile in one.profiles:
        step += 1
        yield f"{step:3}. profile {profile.object.name}{place_of(profile.object)}, where no tier decided"
        yield from (f"       {rule.says}" for rule in profile.rules)
    yield f"{step + 1:3}. what is left is dropped"


def _policy_lines(policy: PolicyApplied, way: str) -> Iterator[str]:
    order = "" if policy.order is None else f", order {policy.order:g}"
    staged = ", STAGED: not in force" if policy.staged else ""
    yield f"     {policy.object.kind} {policy.object.name}{order}{staged}{place_of(policy.object)}"
    if not policy.rules:
        yield f"       no {way} rules: it only isolates"
    for rule in policy.rules:
        yield f"       {_own_name(rule.object.name, policy)}: {rule.says}{place_of(rule.object)}"


def _own_name(rule: str, policy: PolicyApplied) -> str:
    return rule.removeprefix(f"{policy.object.kind} {policy.object.name}").strip()


# --- who may talk to whom -------------------------------------------------------------------------------------------


def truth_lines(found: TruthTable) -> Iterator[str]:
    """Three tables as cyclonus draws them; a list of who reaches whom where they would not fit."""
    digits = len(str(len(found.destinations))) + 1
    widest = min(max((len(one.name) for one in (*found.sources, *found.destinations)), default=0), _WIDEST)
    if widest + digits * (len(found.destinations) + 1) > max(width(), 80):
        yield from _reach_lines(found)
        return
    yield f"{found.service}: . allowed, X denied, – itself (rows send to columns; {found.level})"
    same = found.sources == found.destinations
    if not same:
        yield ""
        yield "Columns: " + ", ".join(f"{column} {one.name}" for column, one in enumerate(found.destinations, 1))
    for title, cells in (("Ingress", found.ingress), ("Egress", found.egress), ("Combined", found.combined)):
        yield ""
        head = "".join(f"{column:>{digits}}" for column in range(1, len(found.destinations) + 1))
        yield f"{title:<{widest + digits + 1}}{head}"
        for row, (one, line) in enumerate(zip(found.sources, cells, strict=True), 1):
            label = f"{row:>{digits - 1}} " if same else " " * digits
            yield f"{label}{_cut(one.name, widest):<{widest}} " + "".join(f"{_cell(cell):>{digits}}" for cell in line)


def _cut(name: str, widest: int) -> str:
    return name if len(name) <= widest else f"{name[:widest - 1]}…"


def _cell(cell: bool | None) -> str:
    return "–" if cell is None else "." if cell else "X"


def _reach_lines(found: TruthTable) -> Iterator[str]:
    yield f"{found.service}, both ends ({found.level}): who reaches whom"
    for one, line in zip(found.sources, found.combined, strict=True):
        reached = [other.name for other, cell in zip(found.destinations, line, strict=True) if cell]
        yield f"  {one.name} → {shortened(reached, 12) or 'nobody'}"


def set_parts(found: ConnectionSets) -> Iterator[Any]:
    """Connection sets: everything that both ends allow."""
    yield table(
        f"Who may ask whom for what ({found.level}; both ends allow it)", ["From", "To", "Allowed"],
        ([one.source, shortened(list(one.destinations), 8), one.says] for one in found.rows))
    yield paragraph(f"{plural(found.pairs, 'pair')}, {found.silent:,} of them may not talk at all", "bold")


# --- changes --------------------------------------------------------------------------------------------------------


def diff_parts(found: PolicyDiff) -> Iterator[Any]:
    """Every changed pair, then an example of each."""
    for title, pods in (("only in the old one", found.only_old), ("only in the new one", found.only_new)):
        if pods:
            yield paragraph(f"{plural(len(pods), 'pod')} {title}, not compared: {shortened(list(pods))}")
    if not found.changes:
        yield paragraph(f"No verdict changes: {found.compared:,} pairs of all that policy can tell apart were compared.", "bold")
        return
    shown = found.changes[:MOST_SHOWN]
    more = f", the first {MOST_SHOWN} of {len(found.changes):,}" if len(found.changes) > MOST_SHOWN else ""
    yield table(
        f"Changed verdicts{more}", ["From", "To", "Now allowed", "Now denied"],
        ([one.source, one.destination, one.gained, one.lost] for one in shown))
    yield paragraph("\n".join(line for one in shown[:20] for line in _example(one)))
    yield paragraph(f"{plural(len(found.changes), 'pair')} of {found.compared:,} changed", "bold")


def _example(one: Change) -> Iterator[str]:
    yield f"{one.ends[0]} → {one.ends[1]} {service_of(one.example)}"
    for word, (allowed, sides) in (("was", one.before), ("is", one.after)):
        deciders = [side for side in sides if allowed or not side.allowed] or list(sides)
        why = "; ".join(f"{side.way} by {decision(side)}" for side in deciders)
        yield f"  {word:3} {'allowed' if allowed else 'denied'}{': ' + why if why else ': nobody polices it'}"


def staged_parts(found: StagedReport) -> Iterator[Any]:
    """Flows that would go another way."""
    if not found.policies:
        yield paragraph("The scenario has no staged policies.", "bold")
        return
    if found.shifts:
        yield table(
            "If the staged policies were enforced", ["Traffic", "From", "To", "What", "#Packets", "Now → then", "Decided by"],
            ([one.traffic, one.source, one.destination, one.service, number(one.packets),
              "allowed → DENIED" if one.allowed_now else "denied → ALLOWED", f"{one.side.way}: {decider_of(one.side)}"]
             for one in found.shifts[:MOST_SHOWN]))
    yield paragraph("Staged: " + ", ".join(f"{one.kind} {one.name}{place_of(one)}" for one in found.policies))
    unplaced = f"; {plural(found.unplaced, 'packet')} to a service or without an address left out" if found.unplaced else ""
    yield paragraph(
        f"Of {plural(found.packets, 'packet')} {found.count(allowed_now=True):,} would be denied that are allowed now, "
        f"{found.count(allowed_now=False):,} allowed that are denied now; nothing was enforced{unplaced}", "bold")


def hits_parts(found: HitsReport) -> Iterator[Any]:
    """Every rule and every end of a tier with what it decided."""
    yield table(
        "What decided how often (connections that were asked about)", ["!Direction", "Policy or tier", "Rule", "#Hits", "!Where"],
        ([one.way, one.policy, one.says, number(one.hits), _short(str(one.object.mark)) if one.object.mark.line else ""]
         for one in found.rows))
    unused = sum(not one.hits for one in found.rows)
    yield paragraph(f"{number(found.hits)} decisions in a run of {plural(found.packets, 'packet')}; {unused:,} of "
                    f"{len(found.rows):,} rules decided nothing", "bold")


