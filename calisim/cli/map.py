"""``calisim map``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from . import options, pictures

if TYPE_CHECKING:
    from ..analysis.network import Network
    from ..report.plots.canvas import Picture


@click.command(epilog="""\b
Examples:
  calisim map scenarios/three-az.yaml
  calisim map scenarios/three-az.yaml --png map.png
  calisim map scenarios/three-az.yaml --mermaid -o map.mmd
  calisim map scenarios/three-az.yaml --set 'nodes.a.count=2' --dot -o map.dot
""")
@options.scenario_argument
@options.editing
@options.variant
@options.step
@pictures.drawing
@pictures.diagrams
@options.answering
def command(
    scenario: str, set_: tuple[str, ...], apply: tuple[str, ...], variant: str, step: int, svg: str | None, png: str | None,
    mermaid: bool, dot: bool, as_json: bool, output: str | None,
) -> None:
    """Show what exists: VPCs, subnets, nodes and pods, boxes in boxes; of many only how many there are (--json has them all)."""
    from ..analysis.network import Network

    pictures.one_form(json=as_json, mermaid=mermaid, dot=dot)
    network = Network(options.load(scenario, set_, apply), variant, step=step)
    options.warn(network.intent.failures)
    if not pictures.draw(lambda: _picture(network), svg, png) or output is not None:
        options.answer_lines(_text(network, as_json=as_json, mermaid=mermaid, dot=dot), output)


def _picture(network: Network) -> Picture:
    from ..report.plots.topology import picture

    return picture(network)


def _text(network: Network, *, as_json: bool, mermaid: bool, dot: bool) -> Iterator[str]:
    """The answer in the one form that was asked for."""
    from ..report import atlas
    from ..report import dot as graphviz
    from ..report import mermaid as diagram

    if as_json:
        from ..report.json import document
        from ..report.page.map import Map

        yield document("Map", scenario=network.scenario.name, variant=network.variant, **Map(network).document())
    elif mermaid or dot:
        yield (diagram if mermaid else graphviz).topology(network)
    else:
        yield from atlas.lines(atlas.atlas(network))
