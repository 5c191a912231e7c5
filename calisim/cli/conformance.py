"""``calisim conformance``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from . import options

if TYPE_CHECKING:
    from ..conformance import CaseResult


@click.command(epilog="""\b
Examples:
  calisim conformance calico
  calisim conformance calico ../shared/conformance/calico --topic encap_decision --failed
""")
@click.argument("group", type=click.Choice(["calico"]))
@click.argument("directory", required=False, type=click.Path(file_okay=False), metavar="[DIR]")
@click.option("--topic", "topics", multiple=True, metavar="NAME", help="Only this topic (may be repeated).")
@click.option("--failed", is_flag=True, help="Name every case that does not agree.")
@options.answering
@click.pass_context
def command(
    ctx: click.Context, group: str, directory: str | None, topics: tuple[str, ...], failed: bool, as_json: bool,
    output: str | None,
) -> None:
    """Run recorded cases of the real thing through calisim. DIR holds one <topic>.json a topic.

    Without DIR the folder is the group's in $CALISIM_CONFORMANCE, else in ../shared/conformance. Exit 1 if a case
    disagrees; topics that no judge covers are listed and counted.
    """
    from ..conformance import data_directory, run

    results = run(directory or data_directory(group), topics or None)
    if as_json:
        from ..report.json import document

        cases = [
            {"topic": one.topic, "id": one.id, "ok": one.ok, "message": one.message, "covered": one.covered} for one in results]
        options.answer_lines([document("Conformance", group=group, cases=cases)], output)
    else:
        options.answer_text(_parts(results, failed), output)
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
