"""``calisim quiz``."""

from __future__ import annotations

import secrets

import click


@click.command(epilog="""\b
Examples:
  calisim quiz --level 1 --seed 7 && cd quiz-1-7
  calisim lab check
  calisim lab hint
""")
@click.argument("folder", required=False, type=click.Path(), metavar="[DIR]")
@click.option("--level", type=click.IntRange(1, 3), default=1, show_default=True,
              help="1: one fault, its reason is told; 2: one fault, symptoms only; 3: three faults.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=None, help="Which faults; default: some other every time.")
@click.option("--student", default="", metavar="NAME", help="The faults of that student; the name goes into what is submitted.")
@click.option("--exam", is_flag=True, help="Every hint costs points.")
def command(folder: str | None, level: int, seed: int | None, student: str, exam: bool) -> None:
    """Break a healthy cluster and show the symptoms; find the cause and mend it.

    Makes a folder as `calisim lab start` does; `calisim lab check`, `hint` and `submit` work in it.
    """
    from ..labs import session
    from ..labs.catalogue import load
    from ..labs.lab import seed_of
    from .lab import make, show_item

    number = seed if seed is not None else seed_of(student) if student else secrets.randbelow(1_000_000)
    quiz = load(f"quiz-{level}", number)
    progress, files = session.begin(quiz, student, exam)
    target = folder or f"quiz-{level}-{number}"
    make(target, files)
    stage = session.current(quiz, progress)
    report = session.examine(stage, session.world(quiz, files["scenario.yaml"], files["answers.yaml"]), {})
    click.echo(f"{quiz.file.title} (level {level}, seed {number})\n{stage.goal}")
    for item in report.items:
        show_item(item)
    click.echo(f"\nMend {target}/scenario.yaml. In {target}: less README.md, calisim lab check, calisim lab hint")

