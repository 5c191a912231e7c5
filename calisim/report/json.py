"""Answers as JSON documents ``{apiVersion: calisim/v1, kind: …}``; keys are part of the interface."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..analysis.explain import headers_of, interface_of, where_of
from ..analysis.losses import mapping_of
from ..analysis.run import Run, Tally, is_reply, lost_by_name, total
from ..analysis.scopes import SCOPES
from ..analysis.telling import decision
from ..vocabulary import Device, Direction, DropReason, Encap, Stage, Verdict

if TYPE_CHECKING:
    import numpy as np

    from ..analysis.blockers import Blockers
    from ..analysis.compare import Comparison, VariantReport
    from ..analysis.explain import Journey, Step, Trace
    from ..analysis.expectations import Checked
    from ..analysis.lint import Finding
    from ..analysis.needs import Need
    from ..analysis.network import Network
    from ..analysis.policy_walk import PolicyAsked, Side
    from ..control.intent import Object
    from ..traffic.replay import Replay
    from .capture import Recording

API_VERSION = "calisim/v1"
HEADERS = 96
"""Bytes of a packet that a trace shows: the headers of a tunnel and of what is in it (VXLAN 50, IPv4 20, TCP 20)."""


def document(kind: str, **content: Any) -> str:
    """One JSON document with its envelope."""
    return json.dumps({"apiVersion": API_VERSION, "kind": kind, **content}, indent=2, ensure_ascii=False)


def comparison(answer: Comparison) -> str:
    content: dict[str, Any] = {"scenario": answer.scenario.name}
    if answer.chapters:
        content["steps"] = [
            {"step": chapter.number, "title": chapter.title, "scopes": chapter.cells} for chapter in answer.chapters]
    content["variants"] = [_variant(report) for report in answer.variants]
    if answer.pairs is not None:
        content["pairs"] = [
            {"from": one.sender, "to": one.receiver, "traffic": one.traffic, "outcomes": one.outcomes} for one in answer.pairs]
        content["differingPackets"] = answer.differing
    return document("Comparison", **content, answer=answer.answer, assumptions=list(answer.assumptions))


def _variant(report: VariantReport) -> dict[str, Any]:
    low, high = report.pod_mtu
    return {
        "id": report.id, "packets": packets(report.tally), "scopes": scopes(report.tally), "podMtu": low,
        **({"podMtuMax": high} if high != low else {}), "encapsulated": report.encapsulated, "overheadBytes": report.overhead,
        "needs": [_need(need) for need in report.needs], "counters": counters(report.run),
    }


def _need(need: Need) -> dict[str, Any]:
    example = need.example and {"from": need.example.sender, "to": need.example.receiver, "reason": need.example.reason}
    return {"need": need.need, "why": need.why, "met": need.met,
            "ifForgotten": {"lost": need.lost, "example": example, **({"answers": True} if need.answers else {})},
            **({"note": need.note} if need.note else {})}


def packets(tally: Tally) -> dict[str, Any]:
    """Sent, delivered, exited, refused, undetermined, dropped by reason; and fragments that wait for others, if there are any."""
    by = {verdict: amount.packets for verdict, amount in tally.by(lambda outcome: outcome.verdict).items()}
    return {
        "sent": tally.sent, "delivered": by.get(Verdict.DELIVERED, 0), "exited": by.get(Verdict.EXITED, 0),
        "dropped": dict(lost_by_name(tally)), "refused": by.get(Verdict.REFUSED, 0),
        "undetermined": by.get(Verdict.UNDETERMINED, 0),
        **({"continued": by[Verdict.CONTINUED]} if Verdict.CONTINUED in by else {}),
    }


def scopes(tally: Tally) -> dict[str, Any]:
    """Per scope in which something was sent: packets, encapsulation, bytes, translated ones."""
    used = tally.by(lambda outcome: outcome.scope)
    return {scope: _scope(tally, scope) for scope in SCOPES if scope in used}


def _scope(tally: Tally, scope: str) -> dict[str, Any]:
    mine = [(outcome, amount) for outcome, amount in tally if outcome.scope == scope]
    return {
        "sent": sum(amount.packets for _, amount in mine),
        "delivered": sum(amount.packets for outcome, amount in mine if outcome.verdict is Verdict.DELIVERED),
        "exited": sum(amount.packets for outcome, amount in mine if outcome.verdict is Verdict.EXITED),
        "encap": {
            encap.name.lower(): sum(amount.packets for outcome, amount in mine if outcome.encap == encap) for encap in Encap},
        "bytes": {"inner": sum(amount.inner for _, amount in mine), "wire": sum(amount.wire for _, amount in mine)},
        "snat": sum(amount.packets for outcome, amount in mine if outcome.snat),
    }


def counters(run: Run) -> dict[str, Any]:
    """Packets and bytes (IP total length) per kind of interface, all nodes together."""
    return {"interfaces": _interfaces(run.links)}


def _interfaces(links: np.ndarray) -> dict[str, Any]:
    return {
        device.name.lower(): {
            way: {"packets": int(links[device, side, 0]), "bytes": int(links[device, side, 1])}
            for side, way in enumerate(("in", "out"))}
        for device in Device if links[device].any()}


def run_document(
    network: Network, run: Run, *, per_node: bool = False, events: bool = False, replay: Replay | None = None,
) -> str:
    """``calisim run``."""
    content: dict[str, Any] = {
        "scenario": network.scenario.name, "variant": network.variant, "packets": packets(run.sent), "scopes": scopes(run.sent),
        "traffic": [
            {"name": name, "packets": packets(tally), "scopes": scopes(tally)} for name, tally in run.tallies.items()],
        "counters": counters(run),
    }
    if any(is_reply(name) for name in run.tallies):
        content["replies"] = packets(total(tally for name, tally in run.tallies.items() if is_reply(name)))
    if replay is not None:
        content["replay"] = _replay(replay)
    if per_node:
        content["nodes"] = per_node_counters(network, run)
    if events and run.events is not None:
        content["events"] = [_event(network, event) for event in run.events]
    return document("Run", **content)


def _replay(replay: Replay) -> dict[str, Any]:
    return {
        "name": replay.name, "read": replay.read, "sent": replay.sent, "waves": replay.waves_sent, "opened": replay.opened,
        "reordered": replay.reordered,
        "leftOut": [
            {"reason": reason, "packets": left.packets, "first": left.number, "example": left.example}
            for reason, left in sorted(replay.left_out.items(), key=lambda item: -item[1].packets)],
        "error": None if replay.error is None else {
            "packet": replay.error.number, "byte": replay.error.offset, "reason": replay.error.reason}}


def _event(network: Network, event: np.void) -> dict[str, Any]:
    return {
        "packet": int(event["row"]), "where": where_of(network.intent, event), "interface": interface_of(network.intent, event),
        "direction": Direction(int(event["direction"])).name.lower(), "stage": Stage(int(event["stage"])).name.lower(),
        "headers": [mapping_of(header) for header in headers_of(event)],
        "decidedBy": object_(network.intent.object(int(event["detail"])))}


def capture_document(network: Network, recording: Recording, output: str) -> str:
    """``calisim capture``."""
    return document(
        "Capture", scenario=network.scenario.name, variant=network.variant, output=output, frames=len(recording),
        packets=packets(recording.run.tally), interfaces=list(recording.interfaces), unseen=recording.unseen())


def per_node_counters(network: Network, run: Run) -> list[dict[str, Any]]:
    """Counters of every node that saw a packet."""
    assert run.state is not None
    found = []
    for router in network.intent.routers:
        links, drops = run.state.links[router.id], run.state.drops[router.id]
        if not links.any() and not drops.any():
            continue
        found.append({
            "node": router.name,
            "interfaces": _interfaces(links),
            "dropped": {reason.name: int(drops[reason]) for reason in DropReason if drops[reason]},
        })
    return found


def trace_document(trace: Trace, blockers: Blockers | None = None) -> str:
    """``calisim trace``."""
    from .capture import Recording

    recording, first = Recording(trace.network.intent, trace.run()), 0
    ways = []
    for way in trace.ways:
        ways.append(journey(way, partial(_octets, recording, first)))
        first += len(way.fates.family) if way.fates else 0
    content: dict[str, Any] = {
        "request": ways[0], "reply": ways[1] if trace.reply else None, "verdict": trace.verdict.name.lower()}
    if blockers is not None:
        content["blockers"] = [
            {"way": one.way, "reason": one.loss.reason.name, "where": one.loss.where, "says": one.loss.sentence,
             "decidedBy": object_(one.loss.object), "cure": list(one.cure.commands)} for one in blockers.found]
        content["cleared"] = blockers.cleared
    return document("Trace", **content)


def _octets(recording: Recording, first: int, crossing: tuple[int, int]) -> str:
    """The bytes of a crossing of the journey whose generations begin at ``first``."""
    return recording.octets(first + crossing[0], crossing[1], HEADERS).hex()


def journey(one: Journey, octets: Callable[[tuple[int, int]], str]) -> dict[str, Any]:
    return {
        "steps": [
            {**_step(step), **({"bytes": octets(step.crossing)} if step.crossing is not None else {})} for step in one.steps],
        "verdict": one.verdict.name.lower(),
        "reason": one.loss.reason.name if one.loss else None, "cure": list(one.cure),
        "told": list(one.told), "policy": [side(each) for each in one.policy]}


def side(one: Side) -> dict[str, Any]:
    """What the policy of one end says of a packet."""
    return {
        "direction": one.way, "endpoint": one.who, "allowed": one.allowed, "decidedBy": object_(one.decided_by),
        "policy": object_(one.policy), "tier": object_(one.tier.object if one.tier else None), "says": decision(one),
        "tiers": [
            {"tier": object_(tier.object), "action": tier.action.name.lower(), "byDefault": tier.by_default,
             "policies": [_policy_asked(policy) for policy in tier.policies]} for tier in one.tiers],
        "profiles": [_policy_asked(profile) for profile in one.profiles]}


def _policy_asked(one: PolicyAsked) -> dict[str, Any]:
    return {
        "policy": object_(one.object), "action": one.action.name.lower() if one.action else None,
        "rules": [
            {"rule": object_(rule.object), "says": rule.says, "action": rule.action.name.lower(), "matches": not rule.misses,
             "misses": list(rule.misses)} for rule in one.rules]}


def _step(step: Step) -> dict[str, Any]:
    return {
        "where": step.where, "interface": step.interface, "direction": step.direction, "stage": step.stage.name.lower(),
        "says": step.says, "headers": [mapping_of(header) for header in step.headers], "decidedBy": object_(step.decided_by)}


def object_(one: Object | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {"kind": one.kind, "name": one.name, "file": one.mark.file, "line": one.mark.line}


def checks_document(files: list[tuple[str, list[Checked]]]) -> str:
    """``calisim check``."""
    rows = [
        {"scenario": path, "expectation": one.text, "passed": one.passed, "instead": one.instead, "trace": one.command or None,
         "file": one.mark.file, "line": one.mark.line} for path, checked in files for one in checked]
    failed = sum(not row["passed"] for row in rows)
    return document("CheckReport", passed=len(rows) - failed, failed=failed, checks=rows)


def lint_document(scenario: str, findings: list[Finding]) -> str:
    """``calisim lint``."""
    return document("LintReport", scenario=scenario, findings=[finding(one) for one in findings])


def finding(one: Finding) -> dict[str, Any]:
    return {
        "code": one.code, "severity": one.severity, "message": one.message, "cure": one.cure, "file": one.mark.file,
        "line": one.mark.line, "column": one.mark.column}
