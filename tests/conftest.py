"""For all tests: how fast a machine is decides nothing, and CI tries the same examples every time."""

import os

from hypothesis import settings

settings.register_profile("calisim", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("calisim")
