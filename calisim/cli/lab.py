"""``calisim lab``: list, start, status, check, hint, next, restore, view, submit – and a teacher's commands."""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import click

from ..errors import ScenarioError, UsageError
from . import completion, options
from .files import whole_file, whole_folder
from .lab_teaching import grade, new, selftest, solution

if TYPE_CHECKING:
    from ..labs.lab import Lab
    from ..labs.progress import Progress
    from ..labs.schema import Stage
    from ..labs.session import Item

BACKUP = "scenario.yaml.before-restore"
EXAM = "This is an exam: every hint costs points, and the last one may be asked for again without more.\n"
here = click.option(
    "-C", "folder", type=click.Path(file_okay=False), default=".", metavar="DIR", help="The lab's folder; default: this one.")
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")


@click.group(epilog="""\b
Examples:
  calisim lab list
  calisim lab start 1 && cd 01-follow-one-packet
  calisim lab check
""")
def command() -> None:
    """Labs: predict, run, explain, change, verify.

    `start` makes a folder with the text to read and the files to work on; `check` judges, `hint` helps, `next` goes on.
    For teachers: `selftest`, `solution`, `grade`, `new`. Exit 0: passed, 1: not yet, 2: wrong input.
    """


@command.command("list")
@as_json
def list_(as_json: bool) -> None:
    """The labs there are, with their time and what to do before."""
    from ..labs import lab as labs
    from ..report.json import document
    from ..report.text import table

    files = {folder: labs.load(folder).file for folder in labs.folders()}
    if as_json:
        rows = [{"lab": folder, "title": file.title, "minutes": file.minutes, "needs": file.needs, "version": file.version,
                 "stages": [stage.id for stage in file.stages]} for folder, file in files.items()]
        options.answer_lines([document("LabList", labs=rows)], None)
    else:
        rows_ = [[folder, file.title, file.minutes, ", ".join(file.needs) or "–"] for folder, file in files.items()]
        options.answer_text([table("Labs", ["!Lab", "About", "#Time (min)", "After"], rows_)], None)


@command.command()
@click.argument("lab", metavar="LAB", shell_complete=completion.labs)
@click.argument("folder", required=False, type=click.Path(), metavar="[DIR]")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=None, help="Which variant; default 1.")
@click.option("--student", default="", metavar="NAME", help="The variant of that student; the name goes into what is submitted.")
@click.option("--exam", is_flag=True, help="Every hint costs points.")
def start(lab: str, folder: str | None, seed: int | None, student: str, exam: bool) -> None:
    """Make a folder to work in: README.md (the text), scenario.yaml, answers.yaml. LAB: a number, a name, or your own folder."""
    from ..labs import session
    from ..labs.catalogue import load
    from ..labs.lab import seed_of

    chosen = load(lab, seed_of(student) if seed is None and student else 1 if seed is None else seed)
    target = folder or Path(chosen.source).name
    _, files = session.begin(chosen, student, exam)
    make(target, files)
    click.echo(f"{chosen.file.title} – about {chosen.file.minutes} minutes. Go on with:\n  cd {target}\n  less README.md\n")
    if exam:
        click.echo(EXAM)
    _show_stage(chosen, chosen.stages[0])


@command.command()
@here
@as_json
def status(folder: str, as_json: bool) -> None:
    """How far you are, what it is worth, and what the stage wants."""
    from ..labs.grading import ALL
    from ..labs.grading import grade as judge
    from ..report.json import document

    lab, progress, work = _open(folder)
    graded = judge(lab, progress, work["scenario.yaml"], work["answers.yaml"])
    done = [stage.id for stage in lab.stages if stage.id in progress.checkpoints]
    if as_json:
        options.answer_lines([document(
            "LabStatus", lab=lab.name, seed=lab.seed, stage=progress.stage, passed=done, stages=[one.id for one in lab.stages],
            attempts=progress.attempts, hints={stage: len(texts) for stage, texts in progress.hints.items()},
            score=graded.score, soFar=graded.so_far, of=ALL)], None)
        return
    click.echo(f"{lab.file.title} (seed {lab.seed}{', exam' if progress.exam else ''}): {graded.points}")
    for stage in lab.stages:
        mark = "passed" if stage.id in done else "now" if stage.id == progress.stage else ""
        hints = len(progress.hints.get(stage.id, ()))
        told = f"  ({hints} hint{'s' if hints > 1 else ''} taken)" if hints else ""
        click.echo(f"  {mark:7} {lab.position(stage.id) + 1}. {stage.title}{told}")
    click.echo()
    if progress.stage:
        _show_stage(lab, lab.stage(progress.stage))
    else:
        click.echo("All stages are done. calisim lab submit packs your work.")


@command.command()
@here
@as_json
@click.pass_context
def check(ctx: click.Context, folder: str, as_json: bool) -> None:
    """Judge the stage: answers and scenario. Exit 0 if it is passed, 1 if something is missing, 2 if a file is wrong."""
    from ..labs import session
    from ..labs.answers import asked
    from ..report.json import document

    lab, progress, work = _open(folder)
    if not progress.stage:
        done = document("LabCheck", lab=lab.name, seed=lab.seed, stage="", passed=True, items=[])
        click.echo(done if as_json else "All stages are done. calisim lab submit packs your work.")
        return
    stage = session.current(lab, progress)
    world = session.world(lab, work["scenario.yaml"], work["answers.yaml"])
    report = session.examine(stage, world, progress.predictions)
    _save(folder, session.record(progress, report, world))
    if as_json:
        items = [{"id": one.id, "kind": one.kind, "says": one.says, "passed": one.passed, "instead": one.instead,
                  "command": one.command} for one in report.items]
        options.answer_lines(
            [document("LabCheck", lab=lab.name, seed=lab.seed, stage=stage.id, passed=report.passed, items=items)], None)
    else:
        click.echo(f"Stage {lab.position(stage.id) + 1} of {len(lab.stages)}: {stage.title}")
        for item in report.items:
            show_item(item)
        if lost := [one.id for one in stage.questions if one.id not in asked(work["answers.yaml"])]:
            click.echo(f"  answers.yaml has no line for {', '.join(lost)}; calisim lab restore puts questions back, answers stay")
        click.echo()
        if report.passed:
            last = stage is lab.stages[-1]
            then = "That was the last stage; calisim lab submit packs your work." if last else "Go on with: calisim lab next"
            click.echo("\n\n".join(filter(None, [stage.done.strip(), f"Passed. {then}"])))
        else:
            click.echo(f"{sum(one.passed for one in report.items)} of {len(report.items)} done. Stuck? calisim lab hint")
    if not report.passed:
        ctx.exit(1)


@command.command()
@here
@as_json
def hint(folder: str, as_json: bool) -> None:
    """One hint more: for the wrong state that you are in, else a nudge, then where to look, then the change."""
    from ..labs import session
    from ..labs.grading import HINT_COST
    from ..labs.hints import hint as next_hint
    from ..report.json import document

    lab, progress, work = _open(folder)
    told = next_hint(lab, progress, session.world(lab, work["scenario.yaml"], work["answers.yaml"]))
    if told.new:
        _save(folder, progress.hinted(told.text))
    if as_json:
        options.answer_lines([document(
            "LabHint", lab=lab.name, stage=progress.stage, grade=told.grade, text=told.text.strip(), open=list(told.more))], None)
        return
    click.echo("\n".join(_wrapped(told.text, "", "")))
    for line in "\n".join(told.more).splitlines():
        margin = " " * (2 + len(line) - len(line.lstrip()))
        click.echo(margin + line.lstrip() if ": calisim " in line else "\n".join(_wrapped(line.strip(), margin, f"{margin}  ")))
    if not told.new:
        click.echo("(There is no hint beyond this one. calisim lab restore begins the stage anew.)")
    elif progress.exam:
        click.echo(f"(Exam: this hint costs {HINT_COST} points.)")


@command.command("next")
@here
def next_(folder: str) -> None:
    """On to the next stage, when this one is passed."""
    from ..labs import session

    lab, progress, work = _open(folder)
    progress, answers = session.advance(lab, progress, work["answers.yaml"])
    if answers != work["answers.yaml"]:
        _write(folder, "answers.yaml", answers)
    _save(folder, progress)
    if progress.stage:
        _show_stage(lab, lab.stage(progress.stage))
    else:
        click.echo("That was the last stage: well done. calisim lab submit packs your work.")


@command.command()
@here
@click.option("--stage", default=None, metavar="STAGE", shell_complete=completion.stages, help="Default: the one you are at.")
@click.option("--progress", "anew", is_flag=True, help="The state file is damaged: keep it aside and begin to count anew.")
def restore(folder: str, stage: str | None, anew: bool) -> None:
    """Back to the scenario with which a stage begins. What was in scenario.yaml is kept beside it."""
    from ..labs import session

    if anew:
        _begin_anew(folder)
        return
    lab, progress, work = _open(folder, whole=False)
    progress, text = session.restored(lab, progress, stage)
    before = work.get("scenario.yaml", text)
    if before != text:
        _write(folder, BACKUP, before)
    _write(folder, "scenario.yaml", text)
    _write(folder, "answers.yaml", session.with_questions(lab, progress.stage, work.get("answers.yaml", "")))
    kept = f"; what was in it is in {BACKUP}" if before != text else ""
    click.echo(f"scenario.yaml is as stage {progress.stage} begins{kept}\n")
    _save(folder, progress)
    _show_stage(lab, lab.stage(progress.stage))


@command.command(context_settings={"ignore_unknown_options": True})
@here
@click.option("--anyway", is_flag=True, help="Look before your predictions are made.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[OPTION]...")
@click.pass_context
def view(ctx: click.Context, folder: str, anyway: bool, arguments: tuple[str, ...]) -> None:
    """The lab's scenario as a picture that follows your edits: `calisim view scenario.yaml` with the same OPTIONs.

    What is switched there is for looking only, as --set is: the lab judges scenario.yaml, and a saved copy lies beside it. Where
    a stage wants a prediction, that comes first.
    """
    from .view import command as show

    lab, progress, _ = _open(folder)
    stage = lab.stage(progress.stage) if progress.stage else None
    unsaid = [one.id for one in stage.predict if one.id not in progress.predictions] if stage else []
    if unsaid and not anyway:
        raise UsageError(
            f"this stage wants to know first what you expect ({', '.join(unsaid)}): answer in answers.yaml, calisim lab check "
            f"records it, then look (or --anyway)")
    click.echo(
        "What you switch in the picture is for looking; saving it makes another file. The lab judges scenario.yaml, in which you "
        f"may change: {', '.join(lab.file.editable) or 'nothing'}", err=True)
    with show.make_context("view", [str(Path(folder) / "scenario.yaml"), *arguments], parent=ctx.find_root()) as inner:
        show.invoke(inner)


@command.command()
@here
@click.option("-o", "--output", type=click.Path(dir_okay=False), default=None, metavar="FILE", help="Default: submission.json.")
@click.pass_context
def submit(ctx: click.Context, folder: str, output: str | None) -> None:
    """Pack your work into one file to hand in. Exit 1 if there is something left to do (it is packed all the same)."""
    from ..labs.grading import SUBMISSION, submission
    from ..labs.grading import grade as judge
    from ..report.json import document

    lab, progress, work = _open(folder)
    graded = judge(lab, progress, work["scenario.yaml"], work["answers.yaml"])
    target = output or str(Path(folder) / SUBMISSION)
    packed = submission(progress, work["scenario.yaml"], work["answers.yaml"])
    options.write_whole(target, document("LabSubmission", student=progress.student, lab=lab.name, **packed) + "\n")
    click.echo(f"{target}: {graded.passed} of {len(lab.stages)} stages passed, {graded.points}")
    if graded.passed < len(lab.stages):
        ctx.exit(1)


for teaching in (selftest, solution, grade, new):
    command.add_command(teaching)


def make(target: str, files: dict[str, str]) -> None:
    """A folder with these files: whole or not there."""
    with whole_folder(target) as place:
        for name, text in files.items():
            (place / name).write_text(text, encoding="utf-8")


def _open(folder: str, *, whole: bool = True) -> tuple[Lab, Progress, dict[str, str]]:
    """The lab of a folder, the progress, and the texts of its files (``whole``: both have to be there)."""
    from ..labs.catalogue import opened
    from ..labs.progress import STATE, understood

    place = Path(folder)
    if not (place / STATE).exists():
        raise UsageError(f"{_shown(place)} is no lab's folder; calisim lab start LAB makes one, then cd into it (or say -C DIR)")
    progress = understood(read(place / STATE), str(place / STATE))
    lab = opened(progress.lab, progress.seed, place)
    if lab.file.version != progress.version:
        raise UsageError(
            f"this folder was made by version {progress.version} of the lab, here is version {lab.file.version}: start it again "
            f"in another folder, `calisim lab start {lab.source} --seed {lab.seed} NEW-DIR`")
    names = [name for name in ("scenario.yaml", "answers.yaml") if whole or (place / name).exists()]
    return lab, progress, {name: read(place / name) for name in names}


def _begin_anew(folder: str) -> None:
    """A fresh state for what lies in the folder; lab and seed stand in answers.yaml."""
    from ..labs import answers, session
    from ..labs.catalogue import opened
    from ..labs.progress import STATE

    place = Path(folder)
    if not (place / answers.ANSWERS).exists():
        raise UsageError(f"{answers.ANSWERS} is gone, and with it lab and seed: `calisim lab start` it in another folder")
    said = answers.understood(read(place / answers.ANSWERS))
    if "lab" not in said or not said.get("seed", "").isdecimal():
        raise UsageError(f"{answers.ANSWERS} does not say lab: and seed: at its beginning any more; put the two lines back")
    progress, files = session.begin(opened(said["lab"], int(said["seed"]), place))
    if (place / STATE).exists():
        _write(folder, f"{STATE}.damaged", read(place / STATE))
    _write(folder, STATE, files[STATE])
    click.echo(f"Begun anew at stage {progress.stage}; scenario.yaml and {answers.ANSWERS} are as they were.")


def read(path: Path) -> str:
    """A file of the folder, whatever is in it."""
    from ..scenario.sources import read

    if not os.path.lexists(path):
        raise UsageError(f"{path} is gone; calisim lab restore makes it anew")
    content, problem = read(path, str(path), regular=True)
    if problem is not None:
        raise ScenarioError([problem])
    return content.decode("utf-8", "surrogateescape")


def _write(folder: str, name: str, text: str) -> None:
    with whole_file(os.path.join(folder, name)) as file:
        file.write(text.encode("utf-8", "surrogateescape"))


def _save(folder: str, progress: Progress) -> None:
    from ..labs.progress import STATE, written

    _write(folder, STATE, written(progress))


def _show_stage(lab: Lab, stage: Stage) -> None:
    click.echo(f"Stage {lab.position(stage.id) + 1} of {len(lab.stages)}: {stage.title}\n{stage.goal.strip()}")
    files = [name for name, wanted in (("answers.yaml", stage.questions), ("scenario.yaml", stage.checks)) if wanted]
    for check in stage.checks:
        click.echo(f"  - {check.says}")
    click.echo(f"You work in {' and '.join(files)}; then: calisim lab check")


def show_item(item: Item) -> None:
    """One question or check: ``ok`` as it should be, ``open`` to be done, ``but`` a prediction that the simulator contradicts."""
    mark = "ok" if item.right else "but" if item.passed else "open"
    head = item.says if item.kind == "check" else item.id
    said = f"you said {item.instead}" if item.kind == "predict" and item.passed else item.instead
    shown = said if item.kind != "check" or not item.passed else ""
    text = " – ".join(filter(None, [head, shown, item.note]))
    click.echo("\n".join(_wrapped(text, f"  {mark:4} ", " " * 9)))
    if item.command and not item.right:
        click.echo(f"         see: {item.command}")


def _wrapped(text: str, first: str, others: str) -> list[str]:
    return wrap(text, 110, initial_indent=first, subsequent_indent=others, break_on_hyphens=False)


def _shown(place: Path) -> str:
    return "this" if str(place) == "." else str(place)

