"""Names as a picture can bear them: on one line, of a bounded length, with nothing in them that acts on what stands beside it."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable

LONGEST = 44
_JOINERS = "\u200c\u200d"           # belong to words of some scripts
_ACTING = ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")       # controls, marks of direction, line ends, no characters at all


def clean(text: str) -> str:
    """The same text without what cannot be seen: each such character is shown as one that stands for it."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        " " if char in "\n\t" else "\N{REPLACEMENT CHARACTER}"
        if char not in _JOINERS and unicodedata.category(char) in _ACTING else char for char in text)


def label(text: str, longest: int = LONGEST) -> str:
    """A name; of a long one the beginning and the end, for pods of one workload differ at the end."""
    shown = clean(text)
    if len(shown) <= longest:
        return shown
    end = (longest - 1) * 2 // 5
    return f"{shown[:longest - 1 - end]}…{shown[len(shown) - end:]}"


def wrapped(text: str, columns: int, most: int = 6) -> list[str]:
    """A sentence in lines, the last one ending in … where it is too long."""
    lines = textwrap.wrap(clean(text), columns, break_on_hyphens=False)
    return lines if len(lines) <= most else [*lines[:most - 1], f"{lines[most - 1][:columns - 2]} …"]


def some(names: Iterable[str], most: int) -> list[str]:
    """The first names, and in their stead how many more there are."""
    listed = list(names)
    return listed if len(listed) <= most else [*listed[:most], f"… {len(listed) - most:,} more"]
