"""A scenario in a folder of its own, and a session and a server over it."""

from __future__ import annotations

import json
import shutil
import threading
import time
from pathlib import Path

import pytest

from calisim.view.server import Server
from calisim.view.session import Session

ROOT = Path(__file__).parents[2]


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    return Path(shutil.copy(ROOT / "scenarios" / "s02-check-still-on.yaml", tmp_path))


@pytest.fixture
def session(scenario: Path):
    made = Session(str(scenario), lambda loaded: loaded.select_variants("as-is"))
    made.open()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def server(session: Session):
    with Server(session) as made:
        listening = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
        listening.start()
        yield made
        made.shutdown()
        listening.join()


def until(session: Session, wanted) -> tuple[dict, dict]:
    """State and picture as soon as they are as wanted."""
    version, end = -1, time.monotonic() + 20
    while time.monotonic() < end:
        state = session.state(version, 1)
        version, picture = state["version"], json.loads(session.picture)
        if not state["busy"] and wanted(state, picture):
            return state, picture
    raise AssertionError(f"never so: {state}")
