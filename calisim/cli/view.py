"""``calisim view``."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import click

from . import options

if TYPE_CHECKING:
    from ..scenario.scenario import Scenario


@click.command(epilog="""\b
Examples:
  calisim view scenarios/s02-check-still-on.yaml
  calisim view scenarios/three-az.yaml --variants overlay-ipip,calico-cross-subnet
  calisim view scenarios/s02-check-still-on.yaml --packet web-a-1-0 web-a-2-0 --port 80
  calisim view scenarios/three-az.yaml --no-browser --port-number 8000      # over ssh -L 8000:127.0.0.1:8000
""")
@options.scenario_argument
@options.shown
@options.packets
@options.engine
@click.option(
    "--port-number", type=click.IntRange(0, 65535), default=0, metavar="N",
    help="Listen on this port of 127.0.0.1; default: any free one.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def command(
    scenario: str, variant: str | None, compare: bool, variants: str | None, packets: tuple[tuple[str, str], ...],
    port: int | None, protocol: str, size: int, engine: str, port_number: int, no_browser: bool,
) -> None:
    """The page of `report`, alive: it follows the file as you save it, and lets you switch things and see the difference.

    Encapsulation, natOutgoing, the source/destination check, protocol 4, policies, single nodes: whatever the scenario has can be
    switched, undone, and saved as a scenario with a variant of its own. The page is served on 127.0.0.1 only, to whoever
    has the address with its token. Ctrl-C ends it.
    """
    from ..view import serve
    from .progress import progress

    def ready(url: str, loaded: Scenario) -> None:
        options.warn(loaded.warnings)
        click.echo(url)
        click.echo("Ctrl-C ends it.", err=True)
        sys.stdout.flush()
        if not no_browser and _has_screen():
            click.launch(url)

    def choose(loaded: Scenario) -> tuple[str, ...]:
        return options.chosen(loaded, variant, compare, variants)

    asked = options.requests(packets, port, protocol, size)
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)     # a browser that goes away is no reason to end
    try:
        serve(scenario, choose, asked, port=port_number, engine=engine, opening=progress, ready=ready)
    except KeyboardInterrupt:
        click.echo("calisim: ended", err=True)


def _has_screen() -> bool:
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
