"""Floor 4 – Intent → FibImage: the control plane's decisions as flat arrays of integers. What is done address by address or
record by record is compiled (``_loops.pyx``)."""

from ..errors import StaleBuildError
from ..vocabulary.declarations import digest

try:
    from . import _loops
except ImportError as error:
    raise StaleBuildError("the loops of the compiler are not built for this Python: run pip install -e .") from error
if _loops.VOCABULARY != digest():
    raise StaleBuildError("the loops of the compiler were built from another vocabulary: run pip install -e .")

__all__ = ["_loops"]
