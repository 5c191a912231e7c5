"""``calisim run``."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

import click

from . import options, pictures

if TYPE_CHECKING:
    from ..analysis.flows import Flows
    from ..analysis.network import Network
    from ..analysis.run import Run
    from ..report.plots.canvas import Picture


@click.command(epilog="""\b
Examples:
  calisim run scenarios/three-az.yaml
  calisim run scenarios/three-az.yaml --variant calico-no-encap --traffic mesh
  calisim run scenarios/three-az.yaml --replies --counters --json -o run.json
  calisim capture scenarios/three-az.yaml --traffic out -o - | calisim run scenarios/three-az.yaml --replay -
  calisim run scenarios/three-az.yaml --variant calico-no-encap --png losses.png
""")
@options.scenario_argument
@options.traffic
@click.option(
    "--replay", type=click.File("rb"), default=None, metavar="FILE",
    help="Send the packets of a pcap or pcapng instead, each from the endpoint with its source address; - is standard input.")
@click.option("--replies", is_flag=True, help="Send an answer for every packet that arrived.")
@click.option("--counters", is_flag=True, help="Packets and bytes of every node's interfaces.")
@click.option("--events", is_flag=True, help="Every interface crossing (of small traffic).")
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True, help="Of the fast engine.")
@options.editing
@options.variant
@options.step
@options.engine
@pictures.drawing
@options.answering
def command(
    scenario: str, traffic: str | None, replay: BinaryIO | None, replies: bool, counters: bool, events: bool, threads: int,
    set_: tuple[str, ...], apply: tuple[str, ...], variant: str, step: int, engine: str, svg: str | None,
    png: str | None, as_json: bool, output: str | None,
) -> None:
    """Send the scenario's traffic and add up what becomes of it: verdicts, reasons, scopes, shapes of journeys."""
    from ..analysis.flows import Flows
    from ..analysis.network import Network
    from ..errors import UsageError
    from .progress import progress

    if replay is not None and (traffic is not None or replies):
        raise UsageError(f"{'--traffic' if traffic else '--replies'} and --replay exclude each other: a capture brings its own")
    loaded = options.load(scenario, set_, apply)
    network = Network(loaded, variant, step=step, engine=engine)
    flows = None if svg is None and png is None else Flows(network)
    with progress() as tell:
        replayed = None if replay is None else network.replay(replay, os.path.basename(getattr(replay, "name", "<stdin>")))
        done = network.run(
            replayed or traffic, threads=threads, events=events, replies=replies, keep=events, progress=tell, watch=flows)
    options.warn(network.intent.failures)
    if replayed is not None and replayed.read and not replayed.sent:
        options.warn([f"no packet of {replayed.name} was sent: see what was left out, and calisim ipam for addresses"])
    if flows is not None and pictures.draw(partial(_picture, network, done, flows), svg, png) and output is None:
        pass
    elif as_json:
        from ..report.json import run_document

        options.answer_lines([run_document(network, done, per_node=counters, events=events, replay=replayed)], output)
    else:
        from ..report.runs import parts

        options.answer_text(parts(network, done, counters=counters, events=events, replay=replayed), output)
    if replayed is not None and replayed.error is not None:
        raise UsageError(f"{replayed.name}: {replayed.error}; the packets before it are in the report")


def _picture(network: Network, done: Run, flows: Flows) -> Picture:
    from ..report.plots.outcomes import picture

    return picture(network, done, flows)
