"""``calisim routes``."""

from __future__ import annotations

import click

from . import completion, options


@click.command(epilog="""\b
Examples:
  calisim routes scenarios/three-az.yaml a-1
  calisim routes scenarios/three-az.yaml a-1 --variant overlay-vxlan
  diff <(calisim routes scenarios/three-az.yaml a-1 --step 1) <(calisim routes scenarios/three-az.yaml a-1)
""")
@options.scenario_argument
@click.argument("node", metavar="NODE", shell_complete=completion.nodes)
@options.editing
@options.variant
@options.step
@options.answering
def command(
    scenario: str, node: str, set_: tuple[str, ...], apply: tuple[str, ...], variant: str, step: int, as_json: bool,
    output: str | None,
) -> None:
    """Print what `ip route` would show on NODE (with --json: what `ip -json route` would, and who decided)."""
    from ..analysis.network import Network
    from ..report import iproute

    loaded = options.load(scenario, set_, apply)
    network = Network(loaded, variant, step=step)
    router = network.router_id(node)
    if as_json:
        from ..report.json import document

        name = network.intent.router(router).name
        routes = iproute.records(network.intent, router)
        options.answer_lines([document("Routes", scenario=loaded.name, variant=variant, node=name, routes=routes)], output)
    else:
        options.answer_lines(iproute.lines(network.intent, router), output)
