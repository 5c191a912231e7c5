"""A scenario that is being worked on: read again when its file is saved, run again when something is switched.

One thread does the work and drops it as soon as something newer is wanted; whoever asks gets the last picture that was made, and
what is wrong with the file until it is mended. Knows nothing of HTTP.
"""

from __future__ import annotations

import os
import shlex
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..analysis.explain import Request
from ..analysis.network import Progress
from ..errors import CalisimError, ProblemsError, UsageError
from ..report.page.file import data
from ..scenario.load import load
from ..scenario.scenario import Scenario
from . import saving
from .history import History, Position
from .picture import Pictures
from .toggles import MODE_TITLES, Board

Choose = Callable[[Scenario], tuple[str, ...]]

GLANCE = 0.4                    # seconds between two looks at the files
AT_ONCE = 0.5                   # seconds a picture may take so that its needs are measured before it is shown
BREATH = 0.15                   # seconds between two words on how far the work is


class _Superseded(Exception):
    """Something newer is wanted."""


class Session:
    """``choose`` says which variants of a scenario to show, ``asked`` are packets to be played first."""

    def __init__(self, path: str, choose: Choose, asked: Sequence[Request] = (), engine: str = "fast") -> None:
        self.path, self._choose, self._asked, self._engine = path, choose, asked, engine
        self._changes = threading.Condition()
        self._version = 0                                  # of everything that a page shows
        self._drawn = 0                                    # of the picture
        self._wanted = 0                                   # of what is to be drawn
        self._stopped = False
        self._busy = ""
        self._faults: list[dict[str, Any]] = []            # of the file
        self._problems: list[dict[str, Any]] = []          # of what is switched
        self._picture = b""
        self._pictures: Pictures | None = None
        self._board: Board | None = None                   # of what was drawn last
        self._history = History(Position(""))              # of no variant that there is
        self._saved = ""
        self._notes: tuple[str, ...] = ()
        self._seen: dict[str, tuple[int, ...]] = {}
        self._worker = threading.Thread(target=self._work, name="calisim view", daemon=True)

    # --- beginning and end ------------------------------------------------------------------------------------------

    def open(self, progress: Progress | None = None) -> Scenario:
        """Read the file and make the first picture; raises what is wrong with either."""
        scenario = self._read()
        pictures = self._prepared(scenario)
        self._publish(*self._made(pictures, self._history.now, progress, needs=False))
        return scenario

    def start(self) -> None:
        self._wanted += 1                                  # the needs are not measured yet
        self._worker.start()

    def stop(self) -> None:
        """The work ends at its next breath."""
        with self._changes:
            self._stopped = True
            self._changes.notify_all()
        if self._worker.is_alive():
            self._worker.join(5)

    # --- for the page -----------------------------------------------------------------------------------------------

    def state(self, since: int = -1, patience: float = 0) -> dict[str, Any]:
        """What a page shows besides the picture; waits for a version after ``since``."""
        with self._changes:
            self._changes.wait_for(lambda: self._version > since or self._stopped, patience)
            return self._state()

    @property
    def name(self) -> str:
        """The scenario's."""
        with self._changes:
            return self._ready().scenario.name

    @property
    def picture(self) -> bytes:
        """The picture as JSON that may stand in a page."""
        with self._changes:
            return self._picture

    def switch(self, choices: Mapping[str, object], base: str | None = None) -> None:
        """Change toggles, all together one step of undo; with ``base`` start from another variant."""
        with self._changes:
            board = self._ready()
            if base is not None and base not in board.scenario.select_variants("all"):
                raise UsageError(f"there is no variant {base[:80]!r}")
            board.check(choices)

        def move(history: History) -> None:
            merged = {**history.now.choices, **{id_: value for id_, value in choices.items() if isinstance(value, (str, bool))}}
            history.go(Position(base or history.now.base, board.settled(merged) if base is None else merged))

        self._go(move)

    def undo(self) -> None:
        self._go(History.undo)

    def redo(self) -> None:
        self._go(History.redo)

    def reset(self) -> None:
        self._go(lambda history: history.go(replace(history.now, choices={})))

    def text(self) -> str:
        """The scenario with what is switched as a variant of its own."""
        with self._changes:
            board, now, name = self._ready(), self._history.now, self._pictures.name if self._pictures else ""
        if board.base != now.base:
            raise UsageError("this is being worked out; try again in a moment")
        choices = board.settled(now.choices)
        if not choices:
            raise UsageError("nothing is switched, so there is nothing to save")
        return saving.changed_text(board.scenario, board.change(choices, name))

    def save(self) -> str:
        """Write :meth:`text` beside the scenario, into a file that was not there; gives its name."""
        name = str(saving.save(self.path, self.text()))
        with self._changes:
            self._saved = name
            self._tell()
        return name

    # --- within the lock --------------------------------------------------------------------------------------------

    def _ready(self) -> Board:
        assert self._board is not None
        return self._board

    def _tell(self) -> None:
        self._version += 1
        self._changes.notify_all()

    def _state(self) -> dict[str, Any]:
        board, now = self._ready(), self._history.now
        assert self._pictures is not None
        choices = board.settled(now.choices)
        down = [toggle.title for id_, toggle in board.down.items() if choices.get(id_, toggle.value)]
        return {
            "version": self._version, "picture": self._drawn, "busy": self._busy, "faults": self._faults,
            "problems": self._problems, "notes": self._notes,
            "toggles": [
                {"id": one.id, "kind": one.kind, "title": one.title, "note": one.note, "value": one.value,
                 "was": one.words(one.value), "now": choices.get(one.id, one.value)} for one in board.toggles.values()],
            "modes": list(MODE_TITLES.items()), "down": down, "changes": board.words(choices), "base": now.base,
            "bases": board.scenario.select_variants("all"), "undo": len(self._history.past),
            "redo": len(self._history.future), "saved": self._saved,
            "command": shlex.join(["calisim", "run", self._saved, "--variant", self._pictures.name]), "ended": self._stopped}

    def _go(self, move: Callable[[History], None]) -> None:
        with self._changes:
            before = self._history.now
            move(self._history)
            if self._history.now != before:
                self._wanted += 1
                self._saved = ""
            self._tell()

    # --- the work ---------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        drawn = 0
        while True:
            with self._changes:
                self._changes.wait_for(lambda: self._stopped or self._wanted > drawn, GLANCE)      # noqa: B023 – asked here only
                if self._stopped:
                    return
                wanted = self._wanted
            touched = self._touched()
            if touched:
                self._faults = _problems_of(lambda: self._prepared(self._read()))
            problems = self._problems
            if wanted > drawn or touched and not self._faults:
                try:
                    problems = _problems_of(lambda: self._redraw(wanted))    # noqa: B023 – at once
                except _Superseded:
                    continue
            elif not touched:
                continue
            drawn = wanted
            with self._changes:
                self._busy, self._problems = "", problems
                self._tell()

    def _redraw(self, wanted: int) -> None:
        with self._changes:
            pictures, now = self._pictures, self._history.now
        assert pictures is not None
        began = time.monotonic()
        last = 0.0

        def progress(what: str, packets: int) -> None:
            nonlocal last
            with self._changes:
                if self._stopped or self._wanted != wanted:
                    raise _Superseded
                if time.monotonic() > last + BREATH:
                    last = time.monotonic()
                    self._busy = f"{what}, {packets:,} packets" if packets else what
                    self._tell()

        first = self._made(pictures, now, progress, needs=False)
        if time.monotonic() - began >= AT_ONCE:
            self._publish(*first)
        self._publish(*self._made(pictures, now, progress, needs=True))

    def _made(
        self, pictures: Pictures, now: Position, progress: Progress | None, *, needs: bool,
    ) -> tuple[bytes, tuple[str, ...]]:
        """Picture and notes."""
        board = pictures.board(now.base)
        choices = board.settled(now.choices)
        with self._changes:
            self._board = board
        made = pictures.document(now.base, choices, progress, needs=needs)
        return data(made).encode("utf-8", "surrogateescape"), (*pictures.scenario.warnings, *made["failures"])

    def _publish(self, picture: bytes, notes: tuple[str, ...]) -> None:
        with self._changes:
            self._picture, self._notes = picture, notes
            self._drawn += 1
            self._tell()

    def _prepared(self, scenario: Scenario) -> Pictures:
        """A new version of the file: what was switched stays, where the scenario still has it."""
        pictures = Pictures(scenario, self._choose(scenario), self._asked, self._engine)
        known = scenario.select_variants("all")
        base = self._history.now.base
        pictures.board(base if base in known else pictures.ids[0])     # what may fail fails before anything is taken over
        with self._changes:                                            # meanwhile another variant may have been chosen
            if self._history.now.base not in known:
                self._history.now = replace(self._history.now, base=pictures.ids[0])
            self._pictures = pictures
        return pictures

    def _read(self) -> Scenario:
        """The scenario; which files it was read from is remembered either way."""
        self._seen = _looks([self.path, os.path.dirname(os.path.abspath(self.path)), *self._seen])
        scenario = load(self.path)
        self._seen = _looks([self.path, *scenario.draft.sources.texts])
        return scenario

    def _touched(self) -> bool:
        """Whether a file has changed, and is at rest again: an editor may need several strokes to save."""
        now = _looks(self._seen)
        while now != self._seen:
            time.sleep(GLANCE / 4)
            after = _looks(now)
            if after == now:
                return True
            now = after
        return False


def _looks(files: Sequence[str] | Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """What tells one version of a file from another."""
    found: dict[str, tuple[int, ...]] = {}
    for name in files:
        try:
            status = os.stat(name)
            found[name] = status.st_mtime_ns, status.st_size, status.st_ino
        except OSError:
            found[name] = ()
    return found


def _problems_of(work: Callable[[], object]) -> list[dict[str, Any]]:
    """What went wrong with a piece of work, for people."""
    try:
        work()
    except _Superseded:
        raise
    except CalisimError as error:
        return _problems(error)
    except Exception as error:                             # a fault of ours must not end the view
        return [_problem(f"calisim could not draw this: {type(error).__name__}: {error}", "the file is untouched")]
    return []


def _problems(error: CalisimError) -> list[dict[str, Any]]:
    if isinstance(error, ProblemsError):
        return [
            {"where": str(one.mark), "path": one.path, "message": one.message, "hint": one.hint, "line": one.mark.line,
             "column": one.mark.column, "text": one.text} for one in error.problems]
    return [_problem(str(error), "")]


def _problem(message: str, hint: str) -> dict[str, Any]:
    return {"where": "", "path": "", "message": message, "hint": hint, "line": 0, "column": 0, "text": ""}
