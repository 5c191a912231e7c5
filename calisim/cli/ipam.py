"""``calisim ipam``."""

from __future__ import annotations

import click

from . import options


@click.command(epilog="""\b
Examples:
  calisim ipam scenarios/three-az.yaml
  calisim ipam scenarios/s14-ipam-borrowing.yaml --show-blocks
""")
@options.scenario_argument
@click.option("--show-blocks", is_flag=True, help="Every block below its pool.")
@options.editing
@options.variant
@options.step
@options.answering
def command(
    scenario: str, show_blocks: bool, set_: tuple[str, ...], apply: tuple[str, ...], variant: str, step: int,
    as_json: bool, output: str | None,
) -> None:
    """Print what `calicoctl ipam show` would; pods that got no address are told on standard error."""
    from ..analysis.network import Network
    from ..report import ipam

    loaded = options.load(scenario, set_, apply)
    network = Network(loaded, variant, step=step)
    options.warn(network.intent.failures)
    if as_json:
        from ..report.json import document

        pools = ipam.records(network.intent)
        options.answer_lines([document("IPAM", scenario=loaded.name, variant=variant, pools=pools)], output)
    else:
        options.answer_lines([ipam.table(network.intent, show_blocks=show_blocks)], output)
