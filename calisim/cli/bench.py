"""``calisim bench``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import click

from . import options

if TYPE_CHECKING:
    from ..bench.results import Change


@click.command(epilog="""\b
Examples:
  calisim bench --quick
  calisim bench --json -o before.json
  calisim bench --against before.json
  calisim bench --only path --only lookup
""")
@click.option("--quick", is_flag=True, help="A small cluster and few packets: seconds instead of minutes.")
@click.option("--only", multiple=True, metavar="ID", help="Only rows whose id begins so; may be given more than once.")
@click.option("--nodes", type=click.IntRange(6, 20_000), default=None, metavar="N", help="Nodes of the cluster, 30 pods on each.")
@click.option(
    "--against", type=click.File("r", encoding="utf-8"), default=None, metavar="FILE",
    help="Compare with an earlier --json (exit 1 where it became slower by more than noise).")
@options.answering
def command(
    quick: bool, only: tuple[str, ...], nodes: int | None, against: IO[str] | None, as_json: bool, output: str | None,
) -> None:
    """How fast is calisim on this machine, and how fast is what one would take instead?

    Rivals that are installed (pip install 'calisim[bench]') do the same work in turn, round after round; a ratio counts only
    where their output has the same digest as calisim's.
    """
    from ..bench.results import benchmark_document, compare, disagreements, elsewhere
    from ..bench.rows import FULL, QUICK

    before = _earlier(against)
    setting = {**(QUICK if quick else FULL), **({"nodes": nodes} if nodes else {})}
    made = benchmark_document(setting, _measured(setting, only))
    changes = []
    if against is not None:
        changes = compare(before, made, against.name)
        options.warn(elsewhere(before, made))
        made["against"] = [_change(change) for change in changes]
    if as_json:
        options.answer_lines([json.dumps(made, indent=1)], output)
    else:
        options.answer_text([*_parts(made), *_comparison(changes)], output)
    wrong = disagreements(made)
    options.warn(wrong)
    if wrong or any(change.verdict == "slower" for change in changes):
        click.get_current_context().exit(1)


def _earlier(file: IO[str] | None) -> Any:
    """Read before anything is measured, so that a wrong file costs no time."""
    from ..bench.results import check
    from ..errors import UsageError

    if file is None:
        return None
    try:
        made = json.load(file)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file.name} is no JSON: {error}") from None
    check(made, file.name)
    return made


def _measured(setting: dict[str, int], only: tuple[str, ...]) -> list[dict[str, Any]]:
    """Row after row."""
    import tempfile
    from pathlib import Path

    from ..bench.measure import measure
    from ..bench.results import row_document
    from ..bench.rows import ROWS, Bench, rows
    from ..errors import UsageError

    unknown = [word for word in only if not any(name.startswith(word) for name in ROWS)]
    if unknown:
        raise UsageError(f"no row begins with {unknown[0]!r}; there are {', '.join(ROWS)}")
    wanted = [name for name in ROWS if not only or name.startswith(only)]
    found = []
    with tempfile.TemporaryDirectory(prefix="calisim-bench-") as folder, _telling() as tell:
        bench = Bench(setting, Path(folder))
        tell("cluster", 0, len(wanted))
        for number, name in enumerate(wanted):
            tell(name, number, len(wanted))
            row = rows(bench)[name]()
            found.append(row_document(row, measure(row)))
    return found


@contextmanager
def _telling() -> Iterator[Callable[[str, int, int], None]]:
    """Progress on standard error, where somebody watches."""
    import sys

    def silent(what: str, done: int, of: int) -> None:
        pass

    if not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console

    with Console(stderr=True).status("…") as status:
        yield lambda what, done, of: status.update(f"{done} of {of} rows measured, now {what} …")


def _parts(made: Mapping[str, Any]) -> list[Any]:
    from ..report.text import paragraph, table

    machine, setting = made["machine"], made["setting"]
    commit = f" ({made['commit']})" if made["commit"] else ""
    head = paragraph(
        f"calisim {made['version']}{commit}, {made['date']}\n{machine['cpu']}, {machine['cores']} cores, load {machine['load']}; "
        f"Python {machine['python']} ({machine['compiler']}), numpy {machine['numpy']}; {machine['system']}\n"
        f"{setting['nodes']:,} nodes, {30 * setting['nodes']:,} pods, three subnets, 100 policies; one core but for two threads")
    spread = ["#Rate (per s)", "#Best (each)", "#Median (each)", "#Worst (each)"]
    figures = table("How fast calisim is", ["Work", "Clock", *spread, "!Digest"], [
        [row["title"], row["clock"], _rate(row["perSecond"]), *_times(row), row["digest"] or "–"] for row in made["rows"]])
    rivals = table(
        "What else does the same work, in the same run", ["Work", "Rival", *spread, "#calisim is (× as fast)", "Same output"],
        [[row["title"], _rival(rival), _rate(rival["perSecond"]), *_times(rival), _ratio(rival["ratio"]), _agreement(rival)]
         for row in made["rows"] for rival in row["rivals"]])
    facts = [f"{row['title']}: {_facts(row['facts'])}" for row in made["rows"] if row["facts"]]
    skipped = {skip["name"]: skip["why"] for row in made["rows"] for skip in row["skipped"]}
    notes = [*facts, *(f"skipped: {name}, {why}" for name, why in skipped.items())]
    return [head, figures, rivals, *([paragraph("\n".join(notes))] if notes else []), paragraph(
        "calisim simulates packets, routers move them: a rate above a router's says nothing against the router.")]


def _rival(rival: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (rival["name"], rival["version"], rival["note"] and f"({rival['note']})")))


def _ratio(ratio: float) -> str:
    return f"{ratio:,.2f}" if ratio < 100 else f"{ratio:,.0f}"


def _agreement(rival: Mapping[str, Any]) -> str:
    if rival["agrees"] is None:
        return "not compared"
    return f"yes ({rival['digest'][:8]}, {len(rival['claims'])} fields)" if rival["agrees"] else "NO"


def _facts(facts: Mapping[str, Any]) -> str:
    words = {"tableBytes": "tables {:,} bytes", "peakBytes": "peak memory {:,} bytes", "connections": "{:,} connections",
             "prefixes": "{:,} prefixes", "lost": "{:,} attempts lost",
             "connectionsKept": "{} % of the connections known before are known after"}
    return ", ".join(words[name].format(value) for name, value in facts.items())


def _rate(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:,.1f} {letter}"
    return f"{value:,.2f}"


def _times(figures: Mapping[str, Any]) -> list[str]:
    return [_time(figures["nanoseconds"][key]) for key in ("min", "median", "max")]


def _time(nanoseconds: float) -> str:
    for size, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if nanoseconds >= size:
            return f"{nanoseconds / size:,.1f} {unit}"
    return f"{nanoseconds:,.1f} ns"


def _change(change: Change) -> dict[str, Any]:
    return {"title": change.title, "factor": round(change.factor, 3), "verdict": change.verdict, "sameOutput": change.same_output}


def _comparison(changes: list[Change]) -> list[Any]:
    from ..report.text import table

    if not changes:
        return []
    return [table(
        "Against the earlier run (below a factor of 1.3, or where the spreads touch, it is noise)",
        ["Work", "#Before (median)", "#Now (median)", "#Faster by (factor)", "Verdict", "Output"],
        [[change.title, _time(change.before["median"]), _time(change.now["median"]), f"{change.factor:.2f}", change.verdict,
          "same" if change.same_output else "another"] for change in changes])]
