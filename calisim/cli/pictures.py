"""``--svg``, ``--png``, ``--mermaid``, ``--dot``: answers as pictures, beside the text or instead of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import UsageError

if TYPE_CHECKING:
    from ..report.plots.canvas import Picture

F = TypeVar("F", bound=Callable[..., Any])


def drawing(function: F) -> F:
    """``--svg`` and ``--png``."""
    for name in ("png", "svg"):
        function = click.option(
            f"--{name}", type=click.Path(dir_okay=False, allow_dash=True), metavar="FILE", callback=_possible,
            help=f"Also draw it, as {name.upper()} (whole or not at all; - is standard output, instead of the text).")(function)
    return function


def diagrams(function: F) -> F:
    """``--mermaid`` and ``--dot``."""
    function = click.option("--dot", is_flag=True, help="Graphviz text instead, for dot -Tsvg.")(function)
    return click.option("--mermaid", is_flag=True, help="Mermaid text instead, for Markdown.")(function)


def _possible(ctx: click.Context, _: click.Parameter, path: str | None) -> str | None:
    """Mistakes are said before a long run, not after it."""
    if path is not None:
        from ..report.plots.canvas import require

        require()
        if path in (ctx.params.get("svg"), ctx.params.get("png")):            # whichever was read before this one
            raise UsageError(f"--svg and --png both write to {'standard output' if path == '-' else path}; name two files")
    return path


def one_form(**forms: bool) -> None:
    """Standard output has room for one form only."""
    chosen = [f"--{name}" for name, wanted in forms.items() if wanted]
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} exclude each other: one answer, one form")


def draw(made: Callable[[], Picture], svg: str | None, png: str | None) -> bool:
    """Write what was asked for; whether standard output is taken by it."""
    from .files import whole_file

    if svg is None and png is None:
        return False
    picture = made()
    files = [*([(svg, picture.svg())] if svg is not None else []), *([(png, picture.png())] if png is not None else [])]
    for path, octets in files:
        if path == "-":
            sys.stdout.buffer.write(octets)
        else:
            with whole_file(path) as file:
                file.write(octets)
    return "-" in (svg, png)
