"""Checks as JUnit XML, as CI servers read it: a suite a scenario, a case an expectation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from ..analysis.expectations import Checked


def document(files: Sequence[tuple[str, Sequence[Checked]]]) -> str:
    """The XML text."""
    every = [one for _, checked in files for one in checked]
    root = ElementTree.Element("testsuites", name="calisim", tests=str(len(every)), failures=str(_failures(every)))
    for path, checked in files:
        suite = ElementTree.SubElement(
            root, "testsuite", name=path, tests=str(len(checked)), failures=str(_failures(checked)), errors="0", skipped="0")
        for one in checked:
            case = ElementTree.SubElement(
                suite, "testcase", classname=path, name=f"{one.text} (line {one.mark.line})", file=one.mark.file,
                line=str(one.mark.line))
            if not one.passed:
                failure = ElementTree.SubElement(case, "failure", message=one.instead)
                failure.text = f"{one.mark}\nexpected: {one.text}\ninstead: {one.instead}\nsee: {one.command}"
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _failures(checked: Sequence[Checked]) -> int:
    return sum(not one.passed for one in checked)
