"""``calisim``: the group of commands, and what holds for all of them – exit codes, errors, interrupts.

Exit: 0 fine · 1 an expectation, check or comparison failed · 2 the input or the call is wrong · 130 interrupted.
A reader that has gone away (``| head``) ends it silently by SIGPIPE, as it does any Unix tool (shells say 141).
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from typing import Any

import click

from ..errors import CalisimError

COMMANDS = {
    "run": "Send the scenario's traffic and add up what becomes of it.",
    "compare": "Overlay or cross-subnet? The same traffic through several variants.",
    "trace": "The journey of one packet and its answer, stage by stage.",
    "check": "Do the scenario's expectations hold? (exit 1 if not)",
    "policy": "Who may talk to whom, by which rule, and what is wrong with the policies.",
    "lint": "What will bite, found without sending a packet.",
    "routes": "A node's routing table, as `ip route` shows it.",
    "ipam": "Pools, blocks and addresses, as `calicoctl ipam show` shows them.",
    "map": "What exists: VPCs, subnets, nodes and pods, as text or as a picture.",
    "report": "The packets' journey as a picture: one HTML file for a ticket or a class.",
    "view": "The same page, alive: follows the file as you save it, switches things, shows the difference.",
    "capture": "The scenario's traffic as pcapng or pcap, one interface per hop.",
    "lab": "Labs to learn with: predict, run, explain, change, verify.",
    "quiz": "A healthy cluster, broken: find the cause and mend it.",
    "bench": "How fast, against what one would take instead, with proof of the work done.",
    "conformance": "Recorded behaviour of the real thing against this model.",
}

EPILOG = """\b
Examples:
  calisim compare scenarios/three-az.yaml
  calisim trace scenarios/three-az.yaml shop/web-a-1-0 shop/db-5 --port 5432
  calisim check scenarios/*.yaml

\b
Shell completion: eval "$(_CALISIM_COMPLETE=bash_source calisim)"
(zsh: zsh_source; fish: _CALISIM_COMPLETE=fish_source calisim | source)
"""


class Failure(click.ClickException):
    """A user's mistake on its way out: message on standard error, exit 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        click.echo(self.message, err=True, file=file)


class Commands(click.Group):
    """Commands by name; a command's module is imported when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f".{cmd_name}", __package__).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            close = get_close_matches(args[0], COMMANDS, 1)
            if close:
                raise click.UsageError(f"{error.message} Did you mean {close[0]!r}?", ctx) from None
            raise

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CalisimError as error:
            raise Failure(_words(error)) from None
        except KeyboardInterrupt:
            click.echo("calisim: interrupted", err=True)
            ctx.exit(130)


def _words(error: CalisimError) -> str:
    problems = getattr(error, "problems", ())
    if not problems:
        return f"calisim: {error}"
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    return f"calisim: {count}\n{error}"


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"calisim {import_module('calisim').__version__}")
        ctx.exit()


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "-V", "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version and exit.")
def cli() -> None:
    """What does a packet meet in a Kubernetes cluster with Calico on AWS, where is it lost, and why?

    A scenario file goes in (topology, verbatim Calico documents, traffic); every packet goes through a compiled
    datapath; every loss comes out with its cause and its cure.
    """


def main() -> None:
    """Entry point: as :func:`cli`, for closed and full outputs and encodings that cannot show every character, too."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:                                # closed by who called
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))     # noqa: SIM115 – open until the end
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)     # else click exits 1, as for a failed check
    try:
        try:
            cli(prog_name="calisim")
        finally:
            sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)      # what is still buffered would fail once more at exit
        _complain(f"calisim: the output cannot be written: {error.strerror or error}")
        sys.exit(2)


def _complain(sentence: str) -> None:
    """A last word, unless standard error is full as well."""
    try:
        click.echo(sentence, err=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
