"""Writes docs/reasons.md from the vocabulary: every drop reason with its cause, an example and its cure.

    python docs/reasons.py            # write
    python docs/reasons.py --check    # exit 1 if the page is not up to date
"""

from __future__ import annotations

import sys
from pathlib import Path

from calisim.vocabulary import DropReason

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reasons.md"
CASES = ROOT / "tests" / "cases" / "reasons"

HEAD = """# Drop reasons

Made from `calisim/vocabulary/reasons.py` by `python docs/reasons.py`; do not edit.

A lost packet has exactly one reason, the stage that decided, the place where it happened and, where there is one, the object
that decided, with file and line. Codes and names are stable. *Severity* says how to take a loss: **error** is almost surely a
misconfiguration, **warning** lies in the network's nature, **expected** means that a rule did its work. Words in braces are
filled in with the packet's own facts. Each example is a scenario that loses a packet for this reason and no other; `check`
runs it (where no traffic set can make such a packet, it stands beside the scenario in `<reason>.packets.yaml`).

"""


def page() -> str:
    """The whole page."""
    reasons = [reason for reason in DropReason if reason is not DropReason.NONE]
    index = "".join(
        f"| {reason.value} | [{reason.name}](#{reason.name.lower()}) | {reason.stage.name} | {reason.severity.name.lower()} |\n"
        for reason in reasons)
    return HEAD + "| code | reason | stage | severity |\n|---|---|---|---|\n" + index + "".join(map(section, reasons))


def section(reason: DropReason) -> str:
    """One reason: cause, cure, example."""
    case = CASES / f"{reason.name.lower()}.yaml"
    if case.exists():
        says = case.read_text().splitlines()[0].removeprefix("# ")
        example = f"{says} [`{case.relative_to(ROOT)}`](../{case.relative_to(ROOT)})"
    else:
        example = "none yet: nothing that is modelled causes it."
    return (
        f"\n## {reason.name}\n\n"
        f"Code {reason.value}, decided at stage {reason.stage.name}, {reason.severity.name.lower()}.\n\n"
        f"- **Cause** {reason.sentence}\n- **Cure** {reason.remedy}\n- **Example** {example}\n")


def main() -> int:
    if "--check" in sys.argv[1:]:
        return int(PAGE.read_text() != page())
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
