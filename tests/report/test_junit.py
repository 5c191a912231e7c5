"""JUnit XML: counts, places, and names that would break XML if they were pasted in."""

from __future__ import annotations

from xml.etree import ElementTree

from calisim.analysis.expectations import Checked
from calisim.errors import Mark
from calisim.report.junit import document


def test_counts_and_escapes():
    good = Checked("a → b: delivered", Mark("x.yaml", 3), True)
    bad = Checked("app == '<web>' & \"x\" → b", Mark("x.yaml", 4, 7), False, "1 of 2 <not>", "calisim trace x.yaml a b")
    root = ElementTree.fromstring(document([("x.yaml", [good, bad]), ("y.yaml", [])]).encode())
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    assert [suite.get("name") for suite in root] == ["x.yaml", "y.yaml"]
    cases = root.findall(".//testcase")
    assert [case.get("line") for case in cases] == ["3", "4"]
    failure = cases[1].find("failure")
    assert failure is not None and failure.get("message") == "1 of 2 <not>" and "x.yaml:4:7" in (failure.text or "")
