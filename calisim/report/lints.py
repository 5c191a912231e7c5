"""``calisim lint`` for people: one finding a block, its place first, so that editors can jump there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..quantities import plural

if TYPE_CHECKING:
    from ..analysis.lint import Finding


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Findings in order, then how many of each severity."""
    for one in findings:
        yield f"{one.mark}: {one.severity}: {one.message} [{one.code}]"
        if one.cure:
            yield f"    cure: {one.cure}"
    counts = Counter(one.severity for one in findings)
    yield ", ".join(plural(counts[severity], severity) for severity in ("error", "warning", "fact"))
