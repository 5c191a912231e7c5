"""``calisim check``."""

from __future__ import annotations

import click

from . import options


@click.command(epilog="""\b
Examples:
  calisim check scenarios/three-az.yaml
  calisim check scenarios/*.yaml --junit report.xml
""")
@click.argument("scenarios", nargs=-1, required=True, type=click.Path(), metavar="SCENARIO...")
@click.option("--junit", type=click.Path(dir_okay=False), metavar="FILE", help="Also write the result as JUnit XML.")
@click.option("-q", "--quiet", is_flag=True, help="Only the failed ones and the sum.")
@options.editing
@options.engine
@options.answering
@click.pass_context
def command(
    ctx: click.Context, scenarios: tuple[str, ...], junit: str | None, quiet: bool, set_: tuple[str, ...], apply: tuple[str, ...],
    engine: str, as_json: bool, output: str | None,
) -> None:
    """Send what the expectations of each SCENARIO ask for and compare. Exit 0: all hold, 1: some do not, 2: wrong input."""
    from ..analysis.expectations import check
    from .progress import progress

    loaded = [(path, options.load(path, set_, apply)) for path in scenarios]
    options.warn(f"{path} expects nothing (spec.expect)" for path, scenario in loaded if not scenario.spec.expect)
    with progress() as tell:
        files = [(path, check(scenario, engine=engine, progress=tell)) for path, scenario in loaded]
    if junit is not None:
        from ..report.junit import document as junit_document

        options.write_whole(junit, junit_document(files))
    if as_json:
        from ..report.json import checks_document

        options.answer_lines([checks_document(files)], output)
    else:
        from ..report.checks import parts

        options.answer_text(parts(files, quiet=quiet), output)
    if any(not one.passed for _, checked in files for one in checked):
        ctx.exit(1)
