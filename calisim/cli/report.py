"""``calisim report``."""

from __future__ import annotations

import click

from . import completion, options


@click.command(epilog="""\b
Examples:
  calisim report scenarios/three-az.yaml -o report.html
  calisim report scenarios/three-az.yaml --compare -o report.html
  calisim report scenarios/vxlan-cross-subnet.yaml --variants overlay-vxlan,calico-cross-subnet-vxlan -o report.html
  calisim report scenarios/s02-check-still-on.yaml --packet web-a-1-0 web-a-2-0 --port 80 -o ticket.html
""")
@options.scenario_argument
@options.editing
@click.option(
    "--variant", default=None, metavar="ID", shell_complete=completion.variants,
    help="The one variant to show; default: the documents as they stand.")
@click.option("--compare", is_flag=True, help="All variants of the scenario side by side.")
@options.variants
@click.option(
    "--packet", "packets", nargs=2, multiple=True, metavar="FROM TO",
    help="Show this packet's journey, too, before those that stand for the traffic; as often as you like.")
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Destination port of these packets (default 80).")
@click.option("--protocol", default="tcp", show_default=True, help="Of these packets: tcp, udp, icmp or a number.")
@click.option(
    "--size", type=click.IntRange(20, 65535), default=1000, show_default=True, help="Of these packets, IP total length in bytes.")
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
    from ..analysis.explain import Request
    from ..errors import UsageError
    from ..report.page.document import document
    from ..report.page.file import page
    from .progress import progress

    if sum((variant is not None, compare, variants is not None)) > 1:
        raise UsageError("--variant, --compare and --variants exclude each other: one variant, all of the scenario's, or a list")
    loaded = options.load(scenario, set_, apply)
    if compare:
        ids = loaded.variant_ids
    else:
        ids = loaded.select_variants(variants if variants is not None else variant or "as-is")
    asked = [Request(sender, receiver, protocol, port, size) for sender, receiver in packets]
    edits = [word for value in set_ for word in ("--set", value)] + [word for file in apply for word in ("--apply", file)]
    with progress() as tell:
        made = document(loaded, ids, asked, engine=engine, progress=tell, edits=edits, warn=lambda text: options.warn([text]))
    if output == "-":
        click.echo(page(made), nl=False)
    else:
        options.write_whole(output, page(made))
