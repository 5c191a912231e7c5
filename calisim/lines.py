"""Arrays that begin at a cache line, so that a record of 64 bytes lies in one and not, as numpy's memory begins, in two; and at a
pair of lines, which processors fetch together."""

from __future__ import annotations

from math import gcd

import numpy as np

_LINE = 128


def room(count: int, dtype: np.dtype) -> np.ndarray:
    """``np.empty``, aligned."""
    return in_line(np.empty(room_for(count, dtype), np.uint8), count, dtype)


def zeros(count: int, dtype: np.dtype) -> np.ndarray:
    """``np.zeros``, aligned."""
    return in_line(np.zeros(room_for(count, dtype), np.uint8), count, dtype)


def room_for(count: int, dtype: np.dtype) -> int:
    """Bytes that so many take wherever they begin."""
    return count * dtype.itemsize + _LINE


def in_line(octets: np.ndarray, count: int, dtype: np.dtype) -> np.ndarray:
    """So many, of ``room_for`` them, aligned."""
    start = -octets.ctypes.data % _LINE
    return octets[start:start + count * dtype.itemsize].view(dtype)


def aligned(array: np.ndarray) -> np.ndarray:
    """The array itself where no record lies in more lines than it need, else a copy."""
    if array.ctypes.data % gcd(array.itemsize, _LINE) == 0:
        return array
    copy = room(array.size, array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
