"""A trace in lines of text: each stage a line, its headers below it, the reason and the cure at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import Mark
from ..vocabulary import Direction, Stage, Verdict
from .policy_words import shortened

if TYPE_CHECKING:
    import numpy as np

    from .blockers import Blockers
    from .explain import Journey, Step, Trace
    from .policy_walk import PolicyAsked, RuleAsked, Side
    from ..control.intent import Intent, Object

_WORDS = {
    Verdict.DELIVERED: "delivered", Verdict.EXITED: "left the modelled network", Verdict.DROPPED: "DROPPED",
    Verdict.REFUSED: "refused", Verdict.UNDETERMINED: "undetermined",
    Verdict.CONTINUED: "waits for the rest of its datagram",
}


def lines(trace: Trace) -> Iterator[str]:
    """Both journeys and the verdict."""
    yield "Request"
    yield from journey_lines(trace.request)
    if trace.reply is not None:
        yield ""
        yield "Reply"
        yield from journey_lines(trace.reply)
    yield ""
    yield _verdict(trace)


def journey_lines(journey: Journey) -> Iterator[str]:
    """One way: numbered stages, then the cure of a loss."""
    shown: tuple[str, ...] = ()
    for number, step in enumerate(journey.steps, 1):
        yield f"{number:3}. {_place(step)}: {step.says}{decider(step.decided_by)}"
        headers = tuple(f"{header.layer:>5}  {header}" for header in step.headers)
        if headers != shown:
            yield from (f"       {header}" for header in headers)
            shown = headers
    if journey.loss is not None:
        yield f"     Reason  {journey.loss.reason.name} at stage {journey.loss.stage.name.lower()}"
        yield from (f"     Told    {sentence}" for sentence in journey.told)
    if any(side.tiers or not side.allowed for side in journey.policy):     # where nobody is policed there is nothing to tell
        yield "     Policy"
        yield from (f"       {line}" for side in journey.policy for line in side_lines(side))
    yield from _cure_lines(journey.cure)


def side_lines(side: Side) -> Iterator[str]:
    """What one end's policy says: an allowed packet in a line, a denied one with every rule that did not allow it."""
    if side.allowed:
        yield f"{side.way} of {side.who}: allowed by {decision(side)}"
        return
    count = len(side.isolated_by)
    applying = f"{count} policies apply, no rule of theirs allows it" if count > 1 else "one policy applies, not allowing it"
    by_end = side.tier is not None and side.tier.by_default
    yield f"{side.way} of {side.who}: DENIED {f'at the end of a tier: {applying}' if by_end else f'by {decision(side)}'}"
    for tier in side.tiers:
        default = " at its end" if tier.by_default else ""
        yield f"  tier {tier.object.name}{place_of(tier.object)}: {tier.action.name.lower()}{default}"
        for policy in tier.policies:
            yield from policy_lines(policy, side.way)
    for profile in side.profiles:
        yield from policy_lines(profile, side.way)


def policy_lines(policy: PolicyAsked, way: str) -> Iterator[str]:
    """A policy that was asked, its rules, and for each why it did not match."""
    head = f"    {policy.object.kind} {policy.object.name}{place_of(policy.object)}"
    yield head if policy.rules else f"{head} has no {way} rules: it allows nothing"
    for rule in policy.rules:
        yield f"      {rule_name(rule, policy)}: {rule.says}{place_of(rule.object)}{'' if rule.misses else '  ← matches'}"
        yield from (f"        ✗ {miss}" for miss in rule.misses)


def rule_name(rule: RuleAsked, policy: PolicyAsked) -> str:
    """``ingress[0]``, as the policy's own line has said whose it is."""
    return rule.object.name.removeprefix(f"{policy.object.kind} {policy.object.name}").strip()


def decision(side: Side) -> str:
    """What decided: a rule with its tier, the end of a tier with the policies that made it count, or the profiles."""
    if side.decided_by is None:
        return "the want of any profile that says something"
    if side.decided_by.kind == "Tier":
        names = [f"{one.object.kind} {one.object.name}{place_of(one.object)}" for one in side.tiers[-1].policies]
        applies = "applies and none of its rules" if len(names) == 1 else "apply and none of their rules"
        return f"the end of tier {side.decided_by.name}: {shortened(names, 3)} {applies} allows it"
    if side.policy is not None and side.policy.kind == "Profile":
        return f"profile {side.policy.name}, for no tier decided{place_of(side.decided_by)}"
    tier = f", tier {side.tier.object.name}" if side.tier else ""
    return f"{side.decided_by.name}{tier}{place_of(side.decided_by)}"


def decider_of(side: Side) -> str:
    """The same in a few words."""
    if side.decided_by is None or side.decided_by.kind != "Tier":
        return side.decided_by.name if side.decided_by else "no profile"
    return shortened([f"{one.object.kind} {one.object.name}" for one in side.tiers[-1].policies], 3)


def place_of(one: Object) -> str:
    return f" ({one.mark})" if one.mark.line else ""


def blocker_lines(blockers: Blockers) -> Iterator[str]:
    """Every blocker with its cure, then how it ends once they are gone."""
    if not blockers.found:
        yield "Nothing is in the way."
    for number, blocker in enumerate(blockers.found, 1):
        loss = blocker.loss
        yield f"Blocker {number} (on the {blocker.way}): {loss.reason.name} at {loss.where}"
        yield f"     {loss.sentence}{decider(loss.object)}"
        yield from _cure_lines(blocker.cure.commands)
    if blockers.found:
        yield ""
        yield (
            f"With {'all of them' if len(blockers.found) > 1 else 'it'} removed the exchange succeeds."
            if blockers.cleared else "The last one cannot be removed by a change of the configuration that calisim knows.")


def event_line(intent: Intent, event: np.void) -> str:
    """One EVENT: ``17 a-1 tunl0 out  IPIP … | TCP …``."""
    from .explain import headers_of, interface_of, where_of

    headers = " | ".join(str(header) for header in headers_of(event))
    way = Direction(int(event["direction"])).name.lower()
    return f"{int(event['row']):7} {where_of(intent, event)} {interface_of(intent, event)} {way}  {headers}"


def decider(decided_by: Object | None) -> str:
    """``[IPPool default, three-az.yaml:12:3]``."""
    if decided_by is None:
        return ""
    return f"  [{decided_by.kind} {decided_by.name}{place(decided_by.mark)}]"


def place(mark: Mark) -> str:
    return f", {mark}" if mark.line else ""


def _place(step: Step) -> str:
    interface = f" {step.interface}" if step.interface else ""
    return f"{step.where}{interface}" if step.stage is not Stage.NONE else step.where


def _cure_lines(commands: tuple[str, ...]) -> Iterator[str]:
    for number, command in enumerate(commands):
        label = "Try it" if command.startswith("calisim ") else "and" if number else "Cure"
        if "\n" not in command:
            yield f"     {label:6}  {command}"
        else:                             # a document: from the first column on, so that it can be copied
            yield f"     {label}"
            yield from command.split("\n")


def _verdict(trace: Trace) -> str:
    request = f"request {_WORDS[trace.request.verdict]}"
    if trace.reply is None:
        return f"Verdict: {request}, no reply to send"
    return f"Verdict: {request}, reply {_WORDS[trace.reply.verdict]}"
