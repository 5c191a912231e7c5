"""For all tests: how fast a machine is decides nothing."""

from hypothesis import settings

settings.register_profile("calisim", deadline=None)
settings.load_profile("calisim")
