"""``calisim run``."""

from __future__ import annotations

import click

from . import options


@click.command(epilog="""\b
Examples:
  calisim run scenarios/three-az.yaml
  calisim run scenarios/three-az.yaml --variant calico-no-encap --traffic mesh
  calisim run scenarios/three-az.yaml --replies --counters --json -o run.json
""")
@options.scenario_argument
@click.option("--traffic", metavar="NAME", default=None, help="Only this traffic set.")
@click.option("--replies", is_flag=True, help="Send an answer for every packet that arrived.")
@click.option("--counters", is_flag=True, help="Packets and bytes of every node's interfaces.")
@click.option("--events", is_flag=True, help="Every interface crossing (of small traffic).")
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True, help="Of the fast engine.")
@options.editing
@options.variant
@options.step
@options.engine
@options.answering
def command(
    scenario: str, traffic: str | None, replies: bool, counters: bool, events: bool, threads: int, set_: tuple[str, ...],
    apply: tuple[str, ...], variant: str, step: int, engine: str, as_json: bool, output: str | None,
) -> None:
    """Send the scenario's traffic and add up what becomes of it: verdicts, reasons, scopes, shapes of journeys."""
    from ..analysis.network import Network
    from .progress import progress

    loaded = options.load(scenario, set_, apply)
    network = Network(loaded, variant, step=step, engine=engine)
    with progress() as tell:
        done = network.run(traffic, threads=threads, events=events, replies=replies, keep=events, progress=tell)
    options.warn(network.intent.failures)
    if as_json:
        from ..report.json import run_document

        options.answer_lines([run_document(network, done, per_node=counters, events=events)], output)
    else:
        from ..report.runs import parts

        options.answer_text(parts(network, done, counters=counters, events=events), output)
