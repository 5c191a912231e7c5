"""A variant goes into a scenario's text, however that is written, and everything else stays; files are new ones."""

from __future__ import annotations

import pytest

from calisim.errors import UsageError
from calisim.scenario.reader import parse
from calisim.scenario.schema import VariantSpec
from calisim.view import saving

CHANGE = VariantSpec(name="changed", set={"nodes.*.down": True}, delete=["NetworkPolicy/x"])
ITEM = {"name": "changed", "set": {"nodes.*.down": True}, "delete": ["NetworkPolicy/x"]}
HEAD = "# a comment\napiVersion: calisim/v1\nkind: Scenario\nspec:\n"


@pytest.mark.parametrize(("spec", "listed"), [
    ("  seed: 1  # why\n", ["as-is"]),
    ("  seed: 1", ["as-is"]),
    ("  variants: [as-is, 'overlay-ipip']  # two\n  seed: 1\n", ["as-is", "overlay-ipip"]),
    ("  variants: []\n  seed: 1\n", ["as-is"]),
    ("  variants: [as-is, {name: own, set: {seed: 2}}]\n", ["as-is", {"name": "own", "set": {"seed": 2}}]),
    ("  variants: [\n    as-is,  # first\n    overlay-ipip,\n  ]\n  seed: 1\n", ["as-is", "overlay-ipip"]),
    ("  variants:\n  - as-is   # first\n  # the end\n  seed: 1\n", ["as-is"]),
    ("  variants:\n    - as-is\n    - name: own\n      set:\n        metadata.description: |\n"
     "          two\n          lines\n  seed: 1\n", ["as-is", {"name": "own", "set": {"metadata.description": "two\nlines\n"}}]),
    ("    variants: [as-is]\n    steps:\n    - title: >-\n        folded\n        text\n", ["as-is"]),
    ("  steps:\n    - title: |\n        the last thing\n", ["as-is"]),
])
@pytest.mark.parametrize("tail", ["", "---\nkind: Other\n# end\n", "...\n---\nkind: Other\n"])
def test_variant_is_added_and_lines_stay(spec: str, listed: list, tail: str) -> None:
    text = HEAD + spec + (tail if not tail or spec.endswith("\n") else "\n" + tail)
    made = saving.with_variant(text, CHANGE)
    found, problems = parse(made, "")
    before = parse(text, "")[0]
    assert not problems and [one.value for one in found[1:]] == [one.value for one in before[1:]]
    spec_ = found[0].value["spec"]
    assert spec_ == {**before[0].value["spec"], "variants": [*listed, ITEM]}
    assert [line for line in text.splitlines() if "#" in line and "variants" not in line] == [
        line for line in made.splitlines() if "#" in line and "variants" not in line]


@pytest.mark.parametrize("text", [
    "{apiVersion: calisim/v1, kind: Scenario, spec: {seed: 1}}\n", "{kind: Scenario, spec: {variants: [as-is]}}",
    HEAD + "  variants:\n  seed: 1\n",
    '{"kind": "Scenario", "spec": {"seed": 1, }}\n', HEAD + "  seed: &a 1\n  variants: &b [as-is]\n"])
def test_other_styles_keep_their_meaning(text: str) -> None:
    made, before = parse(saving.with_variant(text, CHANGE), "")[0], parse(text, "")[0]
    assert made[0].value["spec"] == {**before[0].value["spec"], "variants": ["as-is", ITEM]}


def test_documents_come_at_the_end() -> None:
    made = saving.with_variant(HEAD + "  seed: 1", CHANGE, ({"kind": "One"}, {"kind": "Two"}))
    assert [one.value.get("kind") for one in parse(made, "")[0]] == ["Scenario", "One", "Two"]


def test_nothing_is_ever_written_over(tmp_path) -> None:
    source = tmp_path / "s.yaml"
    source.write_text("before")
    (tmp_path / "s-changed-2.yaml").symlink_to(tmp_path / "nowhere")
    names = [saving.save(str(source), f"text {n}").name for n in range(3)]
    assert names == ["s-changed.yaml", "s-changed-3.yaml", "s-changed-4.yaml"]
    assert source.read_text() == "before" and not (tmp_path / "nowhere").exists()
    assert [(tmp_path / name).read_text() for name in names] == ["text 0", "text 1", "text 2"]


def test_folder_that_takes_no_file_is_said(tmp_path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        saving.save(str(tmp_path / "gone" / "s.yaml"), "text")
