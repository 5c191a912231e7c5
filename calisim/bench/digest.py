"""Digests of what came out: equal fields, equal digest, whatever the layout of the records that hold them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np


def digest(columns: Mapping[str, np.ndarray]) -> str:
    """16 hexadecimal digits over names and numbers, in the order of the names; widths and strides are nobody's business."""
    total = hashlib.sha256()
    for name in sorted(columns):
        column = np.ascontiguousarray(columns[name])
        total.update(f"{name} {column.shape}".encode())
        total.update(column.astype("<u8").tobytes())
    return total.hexdigest()[:16]


def columns_of(records: np.ndarray, prefix: str = "") -> dict[str, np.ndarray]:
    """Every field of a record array as a column."""
    return {prefix + name: records[name] for name in records.dtype.names or ()}
