"""``calisim report``."""

from __future__ import annotations

import click

from . import options


@click.command(epilog="""\b
Examples:
  calisim report scenarios/three-az.yaml -o report.html
  calisim report scenarios/three-az.yaml --compare -o report.html
  calisim report scenarios/vxlan-cross-subnet.yaml --variants overlay-vxlan,calico-cross-subnet-vxlan -o report.html
  calisim report scenarios/s02-check-still-on.yaml --packet web-a-1-0 web-a-2-0 --port 80 -o ticket.html
""")
@options.scenario_argument
@options.editing
@options.shown
@options.packets
@options.engine
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, allow_dash=True), required=True, metavar="FILE",
    help="The HTML file, written whole or not at all; - is standard output.")
def command(
    scenario: str, set_: tuple[str, ...], apply: tuple[str, ...], variant: str | None, compare: bool, variants: str | None,
    packets: tuple[tuple[str, str], ...], port: int | None, protocol: str, size: int, engine: str, output: str,
) -> None:
    """Write the packets' journey as a picture: one HTML file that needs no network and no server.

    It holds the story and the table of `compare`, a map of the cluster with its traffic, and a player that takes a packet
    through every stage with both headers – and, where it dies, why, by whose line, and what cures it.
    """
    from ..report.page.document import document
    from ..report.page.file import page
    from .progress import progress

    loaded = options.load(scenario, set_, apply)
    ids = options.chosen(loaded, variant, compare, variants)
    asked = options.requests(packets, port, protocol, size)
    edits = [word for value in set_ for word in ("--set", value)] + [word for file in apply for word in ("--apply", file)]
    with progress() as tell:
        made = document(loaded, ids, asked, engine=engine, progress=tell, edits=edits, warn=lambda text: options.warn([text]))
    if output == "-":
        click.echo(page(made), nl=False)
    else:
        options.write_whole(output, page(made))
