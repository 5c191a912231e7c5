"""Progress is seen by who watches a terminal, from a second on, also before the first packet is sent."""

from __future__ import annotations

import sys
import threading

import pytest

from calisim.cli import progress as module


class Shown:
    """Stands for what rich would draw."""

    def __init__(self) -> None:
        self.begun, self.texts, self.stopped = threading.Event(), [], False

    def start(self, text: str) -> Shown:
        self.texts.append(text)
        self.begun.set()
        return self

    def update(self, text: str) -> None:
        self.texts.append(text)

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    made = Shown()
    monkeypatch.setattr(module, "_status", made.start)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    return made


def test_silence_ends_before_the_first_packet(shown, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    with module.progress() as tell:
        assert tell is not None and shown.begun.wait(60)
        tell("mesh", 1_048_576)
    assert shown.texts == ["control plane and tables …", "mesh … 1,048,576 packets"] and shown.stopped


def test_short_work_shows_nothing(shown, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 3600.0)
    with module.progress() as tell:
        assert tell is not None
        tell("overlay-ipip: control plane", 0)
    assert shown.texts == []


def test_a_pipe_gets_no_progress(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    with module.progress() as tell:
        assert tell is None
