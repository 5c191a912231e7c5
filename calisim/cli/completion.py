"""What the shell offers on TAB: names out of the scenario that the line names. Whatever is wrong there, nothing is said."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from ..errors import CalisimError
from ..scenario.variants import BUILT_IN

if TYPE_CHECKING:
    from ..scenario.scenario import Scenario

MOST = 500              # names offered; who sees more types on
MISHAPS = (CalisimError, OSError, LookupError)   # a faulty scenario, a file that is not there, an argument not yet typed


def _silent(names: Callable[[click.Context, str], Iterable[str]]) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """A shell's callback: those of the names that begin as the word does, in their order, each once."""

    def complete(ctx: click.Context, _: click.Parameter, word: str) -> list[str]:
        try:
            found = (name for name in names(ctx, word) if name.startswith(word))
            return list(islice(dict.fromkeys(found), MOST))
        except MISHAPS:
            return []           # a half-written file is no reason to disturb who is typing

    return complete


def _scenario(ctx: click.Context) -> Scenario:
    """The scenario as the line has it so far; never waits for standard input or a pipe."""
    from ..scenario.load import load

    params: dict[str, Any] = ctx.params
    path = params["scenario"] or ctx.args[0]            # click gives arguments no names while an option lacks its value
    named = [path, *(params.get("apply") or ())]
    if not all(os.path.isfile(name) for name in named):
        raise FileNotFoundError
    return load(path, set=params.get("set_") or (), apply=params.get("apply") or ())


def _variants(ctx: click.Context, _: str = "") -> Iterator[str]:
    from ..scenario.schema import VariantSpec

    yield from BUILT_IN
    yield from (one.name for one in _scenario(ctx).spec.variants if isinstance(one, VariantSpec))


def _variant_lists(ctx: click.Context, word: str) -> Iterator[str]:
    """``a,b,…``: what is before the last comma stays, and is not offered again."""
    before, comma, _ = word.rpartition(",")
    chosen = before.split(",")
    yield from (f"{before}{comma}{name}" for name in (*_lenient(_variants(ctx)), "all") if name not in chosen)


def _lenient(names: Iterator[str]) -> Iterator[str]:
    """Names up to the first mishap: the built-in variants need no scenario."""
    try:
        yield from names
    except MISHAPS:
        return


def _nodes(ctx: click.Context, _: str) -> Iterator[str]:
    from ..model.topology import build

    return (node.name for node in build(_scenario(ctx)).entities.nodes)


def _endpoints(ctx: click.Context, word: str) -> list[str]:
    """``NAMESPACE/POD``, ``node/NAME``, ``host/NAME``; bare names where none of these begins like that."""
    from ..model.topology import build

    entities = build(_scenario(ctx)).entities
    names = [*(pod.id for pod in entities.pods), *(f"node/{node.name}" for node in entities.nodes),
             *(f"host/{host.name}" for host in entities.hosts)]
    whole = [name for name in names if name.startswith(word)]
    return whole or [name.partition("/")[2] for name in names]


def _traffic(ctx: click.Context, _: str) -> Iterator[str]:
    return (one.name for one in _scenario(ctx).spec.traffic)


def _labs(_: click.Context, word: str) -> Iterator[str]:
    from ..labs.lab import folders

    for folder in folders():
        yield from (folder, folder.partition("-")[2])


def _stages(ctx: click.Context, _: str) -> list[str]:
    """Of the lab in whose folder one is."""
    from ..labs import catalogue, progress

    folder = ctx.params.get("folder") or "."
    with open(os.path.join(folder, progress.STATE), encoding="utf-8") as file:
        state = progress.understood(file.read(), progress.STATE)
    return [stage.id for stage in catalogue.load(state.lab, state.seed).stages]


labs = _silent(_labs)
stages = _silent(_stages)
variants = _silent(lambda ctx, _: _lenient(_variants(ctx)))
variant_lists = _silent(_variant_lists)
nodes = _silent(_nodes)
endpoints = _silent(_endpoints)
traffic = _silent(_traffic)
