"""``calisim conformance``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from . import options

if TYPE_CHECKING:
    from ..conformance import CaseResult
    from ..conformance.kernel import KernelResult
    from ..conformance.policy import PolicyResult


@click.command(epilog="""\b
Examples:
  calisim conformance kernel tests/cases/kernel
  calisim conformance kernel tests/cases/kernel --case silent-links --emit predicted
""")
@click.argument("group", type=click.Choice(["calico", "kernel", "policy"]))
@click.argument("directory", required=False, type=click.Path(file_okay=False), metavar="[DIR]")
@click.option("--topic", "--case", "names", multiple=True, metavar="NAME",
              help="Only this topic (calico) or this case (kernel, policy); may be repeated.")
@click.option("--failed", is_flag=True, help="calico: name every case that does not agree (the others always do).")
@click.option("--emit", type=click.Path(file_okay=False), metavar="OUT",
              help="kernel: write what calisim predicts to OUT/CASE/golden.json.")
@options.answering
@click.pass_context
def command(
    ctx: click.Context, group: str, directory: str | None, names: tuple[str, ...], failed: bool, emit: str | None,
    as_json: bool, output: str | None,
) -> None:
    """Run recorded cases of the real thing through calisim.

    calico: DIR holds one <topic>.json a topic. kernel: DIR holds one folder a case with case.json and golden.json, what the
    Linux kernel did with each packet; both engines must give the same fate and the same bytes on every interface. policy: DIR
    holds one folder a case with cluster.yaml, policies.yaml and expected.json, the verdicts of a public suite.

    Without DIR the folder is the group's in $CALISIM_CONFORMANCE, else in ../shared/conformance. Exit 1 if a case
    disagrees or cannot run; topics that no judge covers are listed and counted.
    """
    from ..conformance import data_directory
    from ..errors import UsageError

    def answer(parts: Callable[[], list[Any]], content: Callable[[], dict[str, Any]]) -> None:
        if as_json:
            from ..report.json import document

            options.answer_lines([document("Conformance", group=group, **content())], output)
        else:
            options.answer_text(parts(), output)

    where = directory or data_directory(group)
    if group == "kernel":
        from ..conformance import kernel

        cases = kernel.run(where, names or None)
        if emit is not None:
            _emit(cases, emit)
        answer(lambda: _kernel_parts(cases), lambda: {"cases": [_case(one) for one in cases], "totals": _totals(cases)})
        ctx.exit(0 if all(one.ok for one in cases) else 1)
    if emit is not None:
        raise UsageError("--emit writes predictions of kernel cases: calisim conformance kernel --emit OUT")
    if group == "policy":
        from ..conformance import policy

        judged = policy.run(where, names or None)
        answer(
            lambda: _policy_parts(judged),
            lambda: {"cases": [_policy_case(one) for one in judged], "totals": _policy_totals(judged)})
        ctx.exit(0 if all(one.ok for one in judged) else 1)
    from ..conformance import run

    results = run(where, names or None)
    answer(lambda: _parts(results, failed), lambda: {"cases": [
        {"topic": one.topic, "id": one.id, "ok": one.ok, "message": one.message, "covered": one.covered} for one in results]})
    if any(one.covered and not one.ok for one in results):
        ctx.exit(1)


def _parts(results: Sequence[CaseResult], failed: bool) -> list[Any]:
    from ..report.text import number, paragraph, table

    rows = []
    for topic in dict.fromkeys(one.topic for one in results):
        mine = [one for one in results if one.topic == topic]
        agree = sum(one.ok for one in mine)
        judged = mine[0].covered
        rows.append([
            topic, number(len(mine)), number(agree) if judged else "–", number(len(mine) - agree) if judged else "–",
            "" if judged else "not covered"])
    parts = [table("Conformance", ["Topic", "#Cases", "#Agree (cases)", "#Differ (cases)", "Note"], rows)]
    parts += [paragraph(f"{one.topic} {one.id}: {one.message}") for one in results if failed and one.covered and not one.ok]
    covered = [one for one in results if one.covered]
    good = sum(one.ok for one in covered)
    return [*parts, paragraph(
        f"{good:,} of {len(covered):,} cases agree; {len(results) - len(covered):,} cases are of topics that are not covered")]


def _emit(cases: Sequence[KernelResult], folder: str) -> None:
    """OUT/CASE/golden.json for every case that could be played; never over what a kernel is on record with."""
    import os

    from ..conformance.kernel import emitted
    from ..errors import UsageError

    if any(os.path.exists(os.path.join(folder, case.name, "case.json")) for case in cases):
        raise UsageError(f"{folder} holds the cases themselves: --emit would replace what the kernel did by what calisim says; "
                         "give another folder")
    for case in cases:
        if not case.predictions:
            continue
        try:
            os.makedirs(os.path.join(folder, case.name), exist_ok=True)
        except OSError as error:
            raise UsageError(f"{folder} cannot be written: {error.strerror or error}") from None
        options.write_whole(os.path.join(folder, case.name, "golden.json"), emitted(case))


def _totals(cases: Sequence[KernelResult]) -> dict[str, int]:
    packets = [packet for case in cases for packet in case.packets]
    right = [packet for packet in packets if packet.difference is None]
    return {
        "cases": len(cases), "casesAgree": sum(case.ok for case in cases), "packets": len(packets), "packetsAgree": len(right),
        "hops": sum(packet.hops for packet in packets), "hopsAgree": sum(packet.hops for packet in right)}


def _case(case: KernelResult) -> dict[str, Any]:
    mismatches = []
    for packet in case.mismatches:
        difference = packet.difference
        assert difference is not None
        sides = {
            name: data.hex() if data is not None else None
            for name, data in (("calisim", difference.ours), ("kernel", difference.kernels))}
        mismatches.append({"packet": packet.id, "message": difference.message, "field": difference.field, **sides})
    return {
        "id": case.name, "ok": case.ok, "fault": case.fault, "packets": len(case.packets),
        "hops": sum(packet.hops for packet in case.packets), "enginesAgree": not _divided(case), "mismatches": mismatches}


def _divided(case: KernelResult) -> bool:
    return any(one.disagreement for one in case.predictions)


def _engines(case: KernelResult) -> str:
    if not case.predictions:
        return "–"
    return "differ" if _divided(case) else "agree"


def _kernel_parts(cases: Sequence[KernelResult]) -> list[Any]:
    from ..report.text import number, paragraph, table

    rows = [
        [case.name, number(len(case.packets)), number(sum(packet.hops for packet in case.packets)),
         number(len(case.mismatches)), _engines(case), case.fault] for case in cases]
    parts = [table(
        "Conformance with the Linux kernel", ["Case", "#Packets", "#Hops", "#Mismatches (packets)", "Engines", "Fault"], rows)]
    parts += [paragraph("\n".join(_mismatch(case, packet))) for case in cases for packet in case.mismatches]
    total = _totals(cases)
    return [*parts, paragraph(
        f"{total['casesAgree']:,} of {total['cases']:,} cases, {total['packetsAgree']:,} of {total['packets']:,} packets and "
        f"{total['hopsAgree']:,} of {total['hops']:,} hops agree byte for byte, with both engines")]


def _mismatch(case: KernelResult, packet: Any) -> list[str]:
    from ..conformance.kernel.judge import side_by_side

    difference = packet.difference
    lines = [f"{case.name} {packet.id}: {difference.message}"]
    if difference.field:
        lines.append(f"  first difference: {difference.field}")
    return lines + [f"  {line}" for line in side_by_side(difference)]


def _policy_totals(cases: Sequence[PolicyResult]) -> dict[str, int]:
    judged = [case for case in cases if not case.out_of_scope]
    return {
        "cases": len(judged), "casesAgree": sum(case.ok for case in judged), "flows": sum(case.flows for case in judged),
        "flowsAlone": sum(case.alone for case in judged),
        "mismatches": sum(len(case.mismatches) for case in judged), "outOfScope": len(cases) - len(judged)}


def _policy_case(case: PolicyResult) -> dict[str, Any]:
    return {
        "id": case.name, "suite": case.suite, "features": list(case.features), "ok": case.ok and not case.out_of_scope,
        "fault": case.fault, "outOfScope": case.out_of_scope, "flows": case.flows, "unlawful": list(case.unlawful),
        "mismatches": [{"flow": dict(one.flow), "side": one.side, "expected": one.expected, "under": list(one.under)}
                       for one in case.mismatches]}


def _policy_parts(cases: Sequence[PolicyResult]) -> list[Any]:
    """By suite, by feature, what is out of scope, and every disagreement."""
    from ..conformance.policy import MODELS, OUT_OF_SCOPE
    from ..report.text import paragraph, table

    judged = [case for case in cases if not case.out_of_scope]
    heads = ["#Cases", "#Agree (cases)", "#Flows", "#Mismatches (flows)"]
    suites = sorted({case.suite for case in judged})
    features = sorted({feature for case in judged for feature in case.features if ":" not in feature})
    parts = [
        table("Conformance with policy suites", ["Suite", *heads], [
            [suite, *_policy_counts([case for case in judged if case.suite == suite])] for suite in suites]),
        table("The same by feature", ["Feature", *heads], [
            [feature, *_policy_counts([case for case in judged if feature in case.features])] for feature in features])]
    for feature, why in OUT_OF_SCOPE.items():
        if beyond := sum(case.out_of_scope == feature for case in cases):
            parts.append(paragraph(f"Out of scope: {beyond:,} cases with {feature}: {why}"))
    if unlawful := [case.name for case in judged if case.unlawful]:
        parts.append(paragraph(f"Policies that Calico's API would refuse, read past its validation: {', '.join(unlawful)}"))
    for case in judged:
        if case.fault:
            parts.append(paragraph(f"{case.name}: {case.fault}"))
        for one in case.mismatches:
            under = "; ".join(one.under)
            parts.append(paragraph(f"{case.name}: {one.side} of {_flow(one.flow)} should be {one.expected} ({under})"))
    total = _policy_totals(cases)
    return [*parts, paragraph(
        f"{total['casesAgree']:,} of {total['cases']:,} cases agree, {total['flows']:,} flows, under {len(MODELS)} models of "
        f"encapsulation and both engines; of {total['flowsAlone']:,} flows no packet can tell and the stage alone was asked; "
        f"{total['outOfScope']:,} cases are out of scope")]


def _policy_counts(cases: Sequence[PolicyResult]) -> list[str]:
    from ..report.text import number

    counts = _policy_totals(cases)
    return [number(counts[key]) for key in ("cases", "casesAgree", "flows", "mismatches")]


def _flow(flow: Mapping[str, Any]) -> str:
    return f"{flow['src']} -> {flow['dst']} {flow['protocol']} {flow.get('port', '')}".rstrip()
