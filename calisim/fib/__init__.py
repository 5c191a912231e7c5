"""Floor 4 – Intent → FibImage: the control plane's decisions as flat arrays of integers."""

from ..errors import StaleBuildError

try:
    from . import _loops
except ImportError as error:
    raise StaleBuildError("the compiler's loops are not built for this Python: run pip install -e .") from error

__all__ = ["_loops"]
