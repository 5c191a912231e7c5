"""``calisim lab`` for teachers: selftest, solution, grade, new."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path
from collections.abc import Sequence

import click

from ..errors import UsageError
from . import completion, options
from .files import whole_folder

SHEETS = ["summary", "stages", "wrong", "failed", "all"]


@click.command()
@click.argument("names", nargs=-1, metavar="[LAB]...", shell_complete=completion.labs)
@click.option("--seeds", type=click.IntRange(1, 10_000), default=1, show_default=True, metavar="N", help="Try seeds 1 to N.")
@options.answering
@click.pass_context
def selftest(ctx: click.Context, names: tuple[str, ...], seeds: int, as_json: bool, output: str | None) -> None:
    """For teachers: does a lab hold what it promises?

    Each stage fails as handed out and passes as solved, each check can fail, each hint is reached. Default: all labs and quizzes.
    """
    from ..labs.catalogue import load, names as all_names
    from ..labs.selftest import selftest as test
    from ..report.json import document
    from .progress import progress

    with progress() as tell:
        tested = []
        for name in names or all_names():
            for seed in range(1, seeds + 1):
                if tell is not None:
                    tell(f"{name}, seed {seed}", 0)
                tested.append(test(load(name, seed)))
    if as_json:
        rows = [{"lab": one.lab, "seed": one.seed, "stages": one.stages, "checks": one.checks, "hints": one.hints,
                 "faults": list(one.faults)} for one in tested]
        options.answer_lines([document("LabSelftest", labs=rows)], output)
    else:
        lines = []
        for one in tested:
            said = f"{one.stages} stages, {one.checks} questions and checks, {one.hints} hints"
            lines.append(f"{'FAULT' if one.faults else 'ok   '} {one.lab}, seed {one.seed}: {said}")
            lines += [f"        {fault}" for fault in one.faults]
        options.answer_lines(lines, output)
    if any(one.faults for one in tested):
        ctx.exit(1)


@click.command()
@click.argument("name", metavar="LAB", shell_complete=completion.labs)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=None, help="Which variant; default 1.")
@click.option("--student", default="", metavar="NAME", help="The variant of that student.")
@options.answering
def solution(name: str, seed: int | None, student: str, as_json: bool, output: str | None) -> None:
    """For teachers: the right answers of a variant, stage by stage, and what changes in scenario.yaml."""
    from ..labs.catalogue import load
    from ..labs.lab import seed_of
    from ..labs.selftest import solved
    from ..report.json import document

    lab = load(name, seed_of(student) if seed is None and student else 1 if seed is None else seed)
    stages = [(stage, *solved(lab, stage)) for stage in lab.stages]
    if as_json:
        content = [{"stage": stage.id, "answers": answers, "diff": list(diff)} for stage, answers, diff in stages]
        options.answer_lines([document("LabSolution", lab=lab.name, seed=lab.seed, stages=content)], output)
        return
    lines = [f"{lab.file.title} (seed {lab.seed})"]
    for stage, answers, diff in stages:
        lines += ["", f"{lab.position(stage.id) + 1}. {stage.title}", *(f"  {id}: {answer}" for id, answer in answers.items())]
        lines += (f"  {line}" for line in diff)
    options.answer_lines(lines, output)


@click.command()
@click.argument("folder", type=click.Path(), metavar="DIR")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values instead of a table.")
@click.option("--html", "as_html", is_flag=True, help="One page with all sheets, that needs no network; -o grades.html names it.")
@click.option(
    "--sheet", type=click.Choice(SHEETS), default="summary", show_default=True,
    help="One row for each student; each stage; each question and check; each that failed, with the reason; each wrong answer.")
@click.option("--lab", "own", multiple=True, type=click.Path(), metavar="FOLDER|RIDDLE",
              help="A lab of your own or a riddle that was worked on; calisim's labs are known.")
@options.answering
def grade(
        folder: str, as_csv: bool, as_html: bool, sheet: str, own: tuple[str, ...], as_json: bool, output: str | None) -> None:
    """For teachers: judge everything handed in below DIR (submissions, and lab folders as they are).

    Scenarios and answers are judged anew; what a submission says of itself is not believed. What cannot be judged has its
    fault in the last column.
    """
    from ..labs import gradebook
    from ..labs.catalogue import among
    from ..labs.grading import grades
    from ..report.json import document
    from ..report.text import table

    if as_csv + as_html + as_json > 1:
        raise UsageError("one of --csv, --html and --json")
    if not Path(folder).is_dir():
        raise UsageError(f"{folder} is no folder; name the one in which the submissions lie")
    found = list(grades(Path(folder), among(own)))
    if not found:
        raise UsageError(f"below {folder} is nothing that was handed in (submission.json, or the folder of a lab)")
    if as_html:
        options.answer_lines([gradebook.page(found).rstrip("\n")], output)
        return
    chosen = gradebook.sheet(sheet, found)
    if as_json:
        content = [dict(zip(chosen.columns, row, strict=True)) for row in chosen.rows]
        options.answer_lines([document("LabGrades", sheet=sheet, grades=content)], output)
    elif as_csv:
        text = StringIO()
        csv.writer(text, lineterminator="\n").writerows([chosen.columns, *map(_harmless, chosen.rows)])
        options.answer_lines([text.getvalue().rstrip("\n")], output)
    else:
        rows = [[gradebook.tame(cell) for cell in row] for row in chosen.rows]
        options.answer_text([table(f"{len(found)} handed in", chosen.columns, rows)], output)


def _harmless(row: Sequence[object]) -> list[object]:
    """Spreadsheets run cells that begin like formulas; names and answers are students' words."""
    return [f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell for cell in row]


@click.command()
@click.argument("folder", type=click.Path(), metavar="DIR")
def new(folder: str) -> None:
    """For teachers: a small lab of one's own to begin with, that passes its selftest."""
    from ..labs.lab import TEMPLATE

    name = Path(folder).resolve().name
    with whole_folder(folder) as place:
        for part in sorted(TEMPLATE.iterdir()):
            (place / part.name).write_text(part.read_text(encoding="utf-8"), encoding="utf-8")
    click.echo(
        f"{folder}: lab.yaml (stages, checks, hints), start.yaml (the scenario), README.md (the text).\n"
        f"Try it:  calisim lab selftest {folder} --seeds 3\n         calisim lab start {folder} work-{name}")
