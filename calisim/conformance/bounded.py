"""Files of cases are read up to a bound, whatever the file system says of their size (a device says 0)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_json(path: Path, most: int) -> Any:
    """The JSON of a file of at most ``most`` bytes. OSError, ValueError and RecursionError as they come."""
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{path} has more than {most:,} bytes")
    return json.loads(content)
