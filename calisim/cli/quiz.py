"""``calisim quiz``."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import UsageError
from . import options

if TYPE_CHECKING:
    from ..labs.lab import Lab

AUTHORS = 4


@click.command(epilog="""\b
Examples:
  calisim quiz --level 1 --seed 7 && cd quiz-1-7
  calisim lab check
  calisim lab hint
""")
@click.argument("folder", required=False, type=click.Path(), metavar="[DIR]")
@click.option("--level", type=click.IntRange(1, AUTHORS), default=1, show_default=True,
              help="1: one fault, its reason is told; 2: one fault, symptoms only; 3: three faults; 4: you break it for others.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=None, help="Which faults; default: some other every time.")
@click.option("--student", default="", metavar="NAME", help="The faults of that student; the name goes into what is submitted.")
@click.option("--exam", is_flag=True, help="Every hint costs points.")
@click.option("--from", "riddle", type=click.Path(), metavar="RIDDLE", help="Heal what somebody else has broken (level 4).")
@click.option("--pack", type=click.Path(file_okay=False), metavar="DIR", help="Make riddle.json of what you broke (level 4).")
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="With --pack; default: DIR/riddle.json.")
def command(
        folder: str | None, level: int, seed: int | None, student: str, exam: bool, riddle: str | None, pack: str | None,
        output: str | None) -> None:
    """Break a healthy cluster and show the symptoms; find the cause and mend it.

    Makes a folder as `calisim lab start` does; `calisim lab check`, `hint` and `submit` work in it. With level 4 you break the
    cluster, for somebody else.
    """
    from ..labs import riddle as riddles
    from ..labs.catalogue import load
    from ..labs.lab import seed_of

    if riddle and pack:
        raise UsageError("one of --from and --pack")
    if output and not pack:
        raise UsageError("-o names the file that --pack makes")
    if pack:
        _pack(pack, output)
        return
    if riddle:
        _begin(riddles.load(Path(riddle)), folder, student, exam)
        return
    number = seed if seed is not None else seed_of(student) if student else secrets.randbelow(1_000_000)
    if level == AUTHORS:
        _author(number, folder, student)
    else:
        _begin(load(f"quiz-{level}", number), folder or f"quiz-{level}-{number}", student, exam)


def _begin(quiz: Lab, folder: str | None, student: str, exam: bool) -> None:
    """A folder to heal the shop in, and its symptoms."""
    from ..labs import session
    from .lab import EXAM, make, show_item

    progress, files = session.begin(quiz, student, exam)
    target = folder or quiz.source
    make(target, files)
    stage = session.current(quiz, progress)
    report = session.examine(stage, session.world(quiz, files["scenario.yaml"], files["answers.yaml"]), {})
    click.echo(f"{quiz.file.title} ({quiz.name}, seed {quiz.seed})\n{EXAM if exam else ''}{stage.goal}")
    for item in report.items:
        show_item(item)
    click.echo(f"\nMend {target}/scenario.yaml. In {target}: less README.md, calisim lab check, calisim lab hint")


def _author(seed: int, folder: str | None, student: str) -> None:
    """A folder to break the shop in."""
    from ..labs.riddle import begin
    from .lab import make

    target = folder or f"riddle-{seed}"
    make(target, begin(seed, student))
    click.echo(
        f"{target}: a healthy shop to break (scenario.yaml), and what to tell of it (ticket.yaml). Go on with:\n"
        f"  cd {target}\n  less README.md\n  calisim quiz --pack .")


def _pack(folder: str, output: str | None) -> None:
    """The riddle in one file, and what others will see of it."""
    from ..labs import session
    from ..labs.riddle import RIDDLE, TICKET, lab_of, pack, understood
    from ..labs.world import SCENARIO
    from .lab import read, show_item

    place = Path(folder)
    if not (place / TICKET).exists():
        raise UsageError(f"{place / TICKET} is not there; calisim quiz --level {AUTHORS} makes a folder to break a shop in")
    text = pack(read(place / TICKET), read(place / SCENARIO))
    target = output or str(place / RIDDLE)
    options.write_whole(target, text)
    lab = lab_of(understood(text, target))
    stage = lab.stages[0]
    click.echo(stage.goal)
    for item in session.examine(stage, session.world(lab, lab.start, ""), {}).items:
        show_item(item)
    click.echo(f"\nThis is what others will see. {target} is made; whoever gets it runs: calisim quiz --from {Path(target).name}")
