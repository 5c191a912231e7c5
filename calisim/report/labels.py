"""Names as a picture can bear them: on one line, of a bounded length, with nothing in them that acts on what stands beside it."""

from __future__ import annotations

import textwrap
import unicodedata

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


def columns(text: str) -> int:
    """How wide a text is, in letters: those of some scripts are twice as wide as others."""
    return len(text) if text.isascii() else sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


def label(text: str, longest: int = LONGEST) -> str:
    """A name; of a long one the beginning and the end, for pods of one workload differ at the end."""
    if len(text) <= longest and columns(whole := clean(text)) <= longest:
        return whole
    parts = clean(text[:longest]), clean(text[-longest:])
    return next(short for short in (_middle(*parts, keep) for keep in range(longest - 1, -1, -1)) if columns(short) <= longest)


def _middle(first: str, last: str, keep: int) -> str:
    end = keep * 2 // 5
    return f"{first[:keep - end]}…{last[len(last) - end:]}"


def wrapped(text: str, columns: int, most: int = 6) -> list[str]:
    """A sentence in lines, the last one ending in … where it is too long."""
    lines = textwrap.wrap(clean(text), columns, break_on_hyphens=False)
    return lines if len(lines) <= most else [*lines[:most - 1], f"{lines[most - 1][:columns - 2]} …"]
