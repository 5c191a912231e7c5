"""``calisim trace``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from . import completion, options, pictures

if TYPE_CHECKING:
    from ..analysis.blockers import Blockers
    from ..analysis.explain import Trace
    from ..report.plots.canvas import Picture


@click.command(epilog="""\b
Examples:
  calisim trace scenarios/three-az.yaml shop/web-a-1-0 shop/db-5 --port 5432
  calisim trace scenarios/three-az.yaml web-a-1-0 203.0.113.10 --port 443 --step 3 --all-blockers
  calisim trace scenarios/three-az.yaml node/a-1 shop/db-0 --protocol icmp --variant overlay-ipip
  calisim trace scenarios/three-az.yaml shop/web-a-1-0 shop/db-5 --port 5432 --png journey.png
  calisim trace scenarios/three-az.yaml shop/web-a-1-0 shop/db-5 --mermaid -o journey.mmd
  calisim trace scenarios/three-az.yaml shop/web-a-1-0 shop/db-5 --dot -o journey.dot
""")
@options.scenario_argument
@click.argument("a", metavar="FROM", shell_complete=completion.endpoints)
@click.argument("b", metavar="TO", shell_complete=completion.endpoints)
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Destination port (default 80).")
@click.option("--protocol", default="tcp", show_default=True, help="tcp, udp, icmp, ipip, gre, esp, sctp or a number.")
@click.option("--size", type=click.IntRange(20, 65535), default=1000, show_default=True, help="IP total length in bytes.")
@click.option("--ttl", type=click.IntRange(0, 255), default=64, show_default=True)
@click.option("--df/--no-df", default=True, show_default=True, help="Don't-fragment bit.")
@click.option("--all-blockers", is_flag=True, help="Remove each blocker, send again, and list them all.")
@options.editing
@options.variant
@options.step
@options.engine
@pictures.drawing
@pictures.diagrams
@options.answering
@click.pass_context
def command(
    ctx: click.Context, scenario: str, a: str, b: str, port: int | None, protocol: str, size: int, ttl: int, df: bool,
    all_blockers: bool, set_: tuple[str, ...], apply: tuple[str, ...], variant: str, step: int, engine: str, svg: str | None,
    png: str | None, mermaid: bool, dot: bool, as_json: bool, output: str | None,
) -> None:
    """Tell the journey of one packet from FROM to TO, and of the answer, stage by stage with both headers.

    FROM and TO: NAMESPACE/POD, node/NAME, host/NAME, an IP address, or a bare name where it is unique. A loss ends in its
    reason, the object that decided (file and line) and the command that cures it. Exit 1 if the exchange fails.
    """
    from ..analysis.blockers import all_blockers as find
    from ..analysis.explain import Request, trace
    from ..analysis.network import Network
    from ..errors import UsageError
    from ..vocabulary import Verdict

    pictures.one_form(json=as_json, mermaid=mermaid, dot=dot)
    if all_blockers and (mermaid or dot):
        raise UsageError("--all-blockers is a list, no diagram; leave --mermaid or --dot out")
    loaded = options.load(scenario, set_, apply)
    network = Network(loaded, variant, step=step, engine=engine)
    request = Request(a, b, protocol, port, size, df, ttl)
    told = trace(network, request)
    blockers = find(network, request) if all_blockers else None
    if not pictures.draw(lambda: _picture(told), svg, png) or output is not None:
        options.answer_lines(_text(told, blockers, as_json=as_json, mermaid=mermaid, dot=dot), output)
    if told.verdict in (Verdict.DROPPED, Verdict.REFUSED):
        ctx.exit(1)


def _picture(told: Trace) -> Picture:
    from ..report.plots.journey import picture

    return picture(told)


def _text(told: Trace, blockers: Blockers | None, *, as_json: bool, mermaid: bool, dot: bool) -> Iterator[str]:
    """The answer in the one form that was asked for."""
    if as_json:
        from ..report.json import trace_document

        yield trace_document(told, blockers)
    elif mermaid or dot:
        from ..report import dot as graphviz
        from ..report import mermaid as diagram

        yield (diagram if mermaid else graphviz).journey(told)
    else:
        from ..analysis.telling import blocker_lines, lines

        yield from lines(told)
        if blockers is not None:
            yield ""
            yield from blocker_lines(blockers)
