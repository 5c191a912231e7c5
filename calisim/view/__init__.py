"""``calisim view``: the journey page over a scenario that is being worked on, on this machine only.

``toggles`` says what of a scenario can be switched, and as which edits; ``saving`` writes these edits down as a variant of the
scenario; ``picture`` runs what is shown, ``session`` does so whenever the file or a toggle changes, and ``server`` answers the
browser.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..analysis.explain import Request
    from ..analysis.network import Progress
    from ..scenario.scenario import Scenario


def serve(
    path: str, choose: Callable[[Scenario], tuple[str, ...]], asked: Sequence[Request] = (), *, port: int = 0,
    engine: str = "fast",
    opening: Callable[[], AbstractContextManager[Progress | None]] = nullcontext,
    ready: Callable[[str, Scenario], None] = lambda url, scenario: None,
) -> None:
    """Show a scenario's page until KeyboardInterrupt. ``choose`` says which of its variants, ``asked`` are packets to be played
    first; ``opening`` goes around the first run, ``ready`` is called with the address once there is something to see. Raises what
    is wrong with port, file or packets."""
    from .server import Server
    from .session import Session

    session = Session(path, choose, asked, engine)
    with Server(session, port) as server:
        with opening() as progress:
            scenario = session.open(progress)
        listening = threading.Thread(target=server.serve_forever, name="calisim view http", daemon=True)
        session.start()
        listening.start()
        try:
            ready(server.url, scenario)
            listening.join()
        finally:
            session.stop()
            server.shutdown()
