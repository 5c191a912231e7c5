"""Options and arguments that several commands share, each written once; how a command loads and how it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..scenario.variants import CLASSIC
from . import completion

if TYPE_CHECKING:
    from ..analysis.explain import Request
    from ..scenario.scenario import Scenario

F = TypeVar("F", bound=Callable[..., Any])

scenario_argument = click.argument("scenario", type=click.Path(), metavar="SCENARIO")


def editing(function: F) -> F:
    """``--set`` and ``--apply``: the scenario changed for this call."""
    function = click.option(
        "--apply", "apply", multiple=True, type=click.Path(allow_dash=True), metavar="FILE|-",
        help="Apply Calico or Kubernetes documents as `calicoctl apply -f` would; - is standard input.")(function)
    return click.option(
        "--set", "set_", multiple=True, metavar="PATH=VALUE",
        help="Change a value of the scenario, for example nodes.*.sourceDestCheck=true (* is all).")(function)


def shown(function: F) -> F:
    """``--variant``, ``--compare``, ``--variants``: what a page shows; see :func:`chosen`."""
    function = click.option(
        "--variants", default=None, metavar="A,B|all", shell_complete=completion.variant_lists,
        help="These variants, two of them side by side.")(function)
    function = click.option("--compare", is_flag=True, help="All variants of the scenario side by side.")(function)
    return click.option(
        "--variant", default=None, metavar="ID", shell_complete=completion.variants,
        help="The one variant to show; default: the documents as they stand.")(function)


def chosen(scenario: Scenario, variant: str | None, compare: bool, variants: str | None) -> tuple[str, ...]:
    """The variants that a page shows."""
    from ..errors import UsageError

    if sum((variant is not None, compare, variants is not None)) > 1:
        raise UsageError("--variant, --compare and --variants exclude each other: one variant, all of the scenario's, or a list")
    return scenario.variant_ids if compare else scenario.select_variants(variants if variants is not None else variant or "as-is")


def packets(function: F) -> F:
    """``--packet`` and what its packets are like; see :func:`requests`."""
    function = click.option(
        "--size", type=click.IntRange(20, 65535), default=1000, show_default=True,
        help="Of these packets, IP total length in bytes.")(function)
    function = click.option(
        "--protocol", default="tcp", show_default=True, help="Of these packets: tcp, udp, icmp or a number.")(function)
    function = click.option(
        "--port", type=click.IntRange(0, 65535), default=None, help="Destination port of these packets (default 80).")(function)
    return click.option(
        "--packet", "packets", nargs=2, multiple=True, metavar="FROM TO", shell_complete=completion.endpoints,
        help="Show this packet's journey, too, before those that stand for the traffic; as often as you like.")(function)


def requests(packets: Iterable[tuple[str, str]], port: int | None, protocol: str, size: int) -> list[Request]:
    """The packets that ``--packet`` asks for."""
    from ..analysis.explain import Request

    return [Request(sender, receiver, protocol, port, size) for sender, receiver in packets]


variant = click.option(
    "--variant", default="as-is", show_default=True, metavar="ID", shell_complete=completion.variants,
    help="What Calico is told instead of the documents.")
variants = click.option(
    "--variants", default=None, metavar="A,B|all", shell_complete=completion.variant_lists,
    help=f"Variants to compare (all: every one there is); default: the scenario's own, else {', '.join(CLASSIC)}.")
traffic = click.option(
    "--traffic", metavar="NAME", default=None, shell_complete=completion.traffic, help="Only this traffic set.")
engine = click.option(
    "--engine", type=click.Choice(["fast", "reference"]), default="fast", show_default=True,
    help="The compiled core, or the slow judge in plain Python.")
step = click.option(
    "--step", type=click.IntRange(min=0), default=0, metavar="N",
    help="The state after the story's first N steps; default: the file as it stands.")


def answering(function: F) -> F:
    """``--json`` and ``-o``."""
    function = click.option(
        "-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="Write to a file: whole or not at all.")(function)
    return click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")(function)


def load(path: str, set_: Iterable[str], apply: Iterable[str]) -> Scenario:
    """The scenario; what was understood but is not modelled is said on standard error."""
    from ..scenario.load import load as read

    scenario = read(path, set=set_, apply=apply)
    warn(scenario.warnings)
    return scenario


def warn(warnings: Iterable[str]) -> None:
    for warning in dict.fromkeys(warnings):
        click.echo(f"warning: {warning}", err=True)


def answer_text(parts: Iterable[Any], output: str | None) -> None:
    """Show rich parts on standard output or put them into a file."""
    from ..report.text import show

    if output is None:
        show(parts)
        return
    from io import StringIO

    text = StringIO()
    show(parts, text)
    write_whole(output, text.getvalue())


def answer_lines(lines: Iterable[str], output: str | None) -> None:
    """Plain text; a file gets it whole or not at all."""
    text = "\n".join(lines)
    if output is None:
        click.echo(text)
    else:
        write_whole(output, text + "\n")


def write_whole(path: str, text: str) -> None:
    """Write a text file that is either complete or not there."""
    from .files import whole_file

    with whole_file(path) as file:
        file.write(text.encode())
