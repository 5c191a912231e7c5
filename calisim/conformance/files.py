"""The files of cases: which folders hold one, and what is in them.

They are read up to a bound, whatever the file system says of their size (a device says 0).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import UsageError


def case_folders(directory: Path, file: str, group: str, names: Iterable[str] | None) -> list[Path]:
    """The folders below ``directory`` that hold ``file``, in the order of their names, or those named, in the order given."""
    if not directory.is_dir():
        raise UsageError(f"{directory} is no folder; {group} cases are a folder with one folder a case")
    found = {path.parent.name: path.parent for path in sorted(directory.glob(f"*/{file}"))}
    if not found:
        raise UsageError(f"{directory} holds no CASE/{file}")
    wanted = list(found if names is None else names)
    if unknown := [name for name in wanted if name not in found]:
        raise UsageError(f"{directory} has no case {', '.join(unknown)}; it has {', '.join(found)}")
    return [found[name] for name in wanted or found]


def read_bytes(path: Path, most: int) -> bytes:
    """A file of at most ``most`` bytes. OSError and ValueError as they come."""
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{path} has more than {most:,} bytes")
    return content


def read_json(path: Path, most: int) -> Any:
    """The JSON of such a file; RecursionError as it comes, too."""
    return json.loads(read_bytes(path, most))
