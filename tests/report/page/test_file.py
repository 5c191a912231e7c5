"""The file: nothing in the data ends its block, script and style are named by their hashes, modules are joined in order."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re

from hypothesis import given
from hypothesis import strategies as st

from calisim.report.page.file import ENTRY, data, modules, page


def document(name: str) -> dict:
    return {"scenario": {"name": name}}


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_data_survives_its_block(name):
    text = page(document(name))
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert block and json.loads(block[1]) == document(name)


def test_data_cannot_leave_its_block():
    text = data(document("</script><!--\u2028\u2029<script>&amp;"))
    assert not re.search("[<>&\u2028\u2029]", text)


def test_a_title_is_text():
    assert "<title>&lt;/title&gt;&lt;script&gt; – calisim</title>" in page(document("</title><script>"))


def test_braces_of_a_name_are_no_place_for_anything():
    assert page(document("{{script}}")).count("{{script}}") == 2                       # title and data


def test_policy_names_what_is_in_the_file_and_nothing_else():
    text = page(document("any"))
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1])
    tags = ("style", 'script type="module"')
    style, script = (re.search(f"<{tag}>(.*?)</{tag.split()[0]}>", text, re.DOTALL)[1] for tag in tags)
    hashes = [base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (style, script)]
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'")


def test_modules_come_after_what_they_need_and_once():
    script = modules(ENTRY)
    names = re.findall(r"^// ([\w-]+\.js)$", script, re.MULTILINE)
    assert len(names) == len(set(names)) and names.index("dom.js") < names.index("table.js") and names[-1] == ENTRY
    assert not re.search(r"^(import|export) ", script, re.MULTILINE)


def test_front_end_makes_no_markup_from_text():
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch(", "http://", "https://"):
        found = [line for line in modules(ENTRY).splitlines() if word in line and "www.w3.org/2000/svg" not in line]
        assert not found
