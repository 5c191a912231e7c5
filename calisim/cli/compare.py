"""``calisim compare``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from . import options, pictures

if TYPE_CHECKING:
    from ..analysis.compare import Comparison
    from ..report.plots.canvas import Picture


@click.command(epilog="""\b
Examples:
  calisim compare scenarios/three-az.yaml
  calisim compare scenarios/vxlan-cross-subnet.yaml --variants overlay-vxlan,calico-cross-subnet-vxlan
  calisim compare scenarios/s02-check-still-on.yaml --set 'nodes.a.sourceDestCheck=false' --pairs
  calisim compare scenarios/three-az.yaml --apply - < scenarios/three-az/document-2.yaml
  calisim compare scenarios/three-az.yaml --svg variants.svg --png variants.png
""")
@options.scenario_argument
@options.editing
@options.variants
@click.option("--pairs", is_flag=True, help="List endpoint pairs whose fate or encapsulation differs between variants.")
@options.engine
@pictures.drawing
@options.answering
def command(
    scenario: str, set_: tuple[str, ...], apply: tuple[str, ...], variants: str | None, pairs: bool, engine: str, svg: str | None,
    png: str | None, as_json: bool, output: str | None,
) -> None:
    """Send the same traffic through several variants: what each wraps, costs, loses and needs – and which to take.

    First the story (if the scenario has steps), then the variants, then what each needs with the packets that die where it is
    forgotten (really sent again without it), then the answer in one sentence.
    """
    from ..analysis.compare import compare
    from .progress import progress

    loaded = options.load(scenario, set_, apply)
    ids = loaded.select_variants(variants) if variants is not None else ()
    with progress() as tell:
        comparison = compare(loaded, ids, pairs=pairs, engine=engine, progress=tell)
    options.warn(failure for report in comparison.variants for failure in report.network.intent.failures)
    if pictures.draw(lambda: _picture(comparison), svg, png) and output is None:
        return
    if as_json:
        from ..report.json import comparison as document

        options.answer_lines([document(comparison)], output)
    else:
        from ..report.comparison import parts

        options.answer_text(parts(comparison), output)


def _picture(comparison: Comparison) -> Picture:
    from ..report.plots.comparison import picture

    return picture(comparison)
