"""A student for the tests: a lab's folder in a temporary place, worked on through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from click.testing import CliRunner, Result

from calisim.cli.main import cli
from calisim.labs.claims import shown, truth
from calisim.labs.lab import Lab, edited, load
from calisim.labs.world import World


class Student:
    """Works in ``folder`` on a lab with a seed."""

    def __init__(self, folder: Path, lab: str = "1", seed: int = 1, *more: str) -> None:
        self.folder, self.lab = folder, load(lab, seed)
        done = run("lab", "start", lab, str(folder), "--seed", str(seed), *more)
        assert done.exit_code == 0, done.output

    def does(self, command: str, *more: str) -> Result:
        return run("lab", command, "-C", str(self.folder), *more)

    def text(self, name: str) -> str:
        return (self.folder / name).read_text()

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def answer(self, answers: dict[str, str]) -> None:
        self.write("answers.yaml", "".join(f"{key}: {json.dumps(value)}\n" for key, value in {
            **yaml.safe_load(self.text("answers.yaml")), **answers}.items()))

    @property
    def stage(self) -> str:
        return str(json.loads(self.text(".calisim-lab.json"))["stage"])

    def solve(self) -> None:
        """Answer and change what the stage wants, check, and go on."""
        stage = self.lab.stage(self.stage)
        if stage.solution:
            self.write("scenario.yaml", edited(self.text("scenario.yaml"), list(stage.solution), "test"))
        self.answer(truths(self.lab, self.stage))
        checked = self.does("check")
        assert checked.exit_code == 0, checked.output
        assert self.does("next").exit_code == 0


def truths(lab: Lab, stage: str) -> dict[str, str]:
    """The right answers of a stage, as the simulator has them."""
    world = World(lab.start, lab.solved[stage])
    return {one.id: shown(truth(one, world)) for one in lab.stage(stage).questions}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))
