"""For all tests: how fast a machine is decides nothing, and CI tries the same examples every time."""

import os
import signal

from hypothesis import settings

settings.register_profile("calisim", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("calisim")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:          # a shell's background jobs start so, and what they start
    signal.signal(signal.SIGINT, signal.default_int_handler)
