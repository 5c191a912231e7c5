"""``calisim lint``."""

from __future__ import annotations

import click

from . import options


@click.command(epilog="""\b
Examples:
  calisim lint scenarios/three-az.yaml
  calisim lint scenarios/three-az.yaml --variant calico-cross-subnet --set 'nodes.*.sourceDestCheck=true'
""")
@options.scenario_argument
@options.editing
@options.variant
@options.answering
@click.pass_context
def command(
    ctx: click.Context, scenario: str, set_: tuple[str, ...], apply: tuple[str, ...], variant: str, as_json: bool,
    output: str | None,
) -> None:
    """Errors, warnings and facts of a scenario, found without sending a packet. Exit 1 if there are errors."""
    from ..analysis.lint import lint
    from ..analysis.network import Network
    from ..scenario.load import load

    network = Network(load(scenario, set=set_, apply=apply), variant)
    findings = lint(network)
    if as_json:
        from ..report.json import lint_document

        options.answer_lines([lint_document(network.scenario.name, findings)], output)
    else:
        from ..report.lints import lines

        options.answer_lines(lines(findings), output)
    if any(one.severity == "error" for one in findings):
        ctx.exit(1)
