"""``answers.yaml``: what students write is read as words; what is no YAML is told question by question, with its cure."""

from __future__ import annotations

import pytest

from calisim.errors import ScenarioError
from calisim.labs.answers import understood


@pytest.mark.parametrize(("text", "said"), [
    ("why: 'because: it is so'\n", "because: it is so"),
    ("why: |\n  because: it is so\n  and so on\n", "because: it is so\nand so on"),
    ("why: yes\n", "yes"),
    ("why:\t32\n", "32"),
    ("why: 10.1.0.0/26    # my guess\n", "10.1.0.0/26"),
    ("# nothing yet\nwhy:\n", None),
])
def test_words_and_numbers_are_read_as_they_stand(text: str, said: str | None):
    assert understood(text).get("why") == said


@pytest.mark.parametrize(("text", "place", "fault", "cure"), [
    ("a: 1\nwhy: because: it is so\n", "answers.yaml:2:13: why:", "a colon and a blank", "'because: it is so'"),
    ("why: it's: so\n", "answers.yaml:1:10: why:", "a colon and a blank", "'it''s: so'"),
    ("a: 1\n\nwhy:\n\tbecause\n", "answers.yaml:4:1: why:", "a tab indents this line", "indent with blanks"),
    ("\twhy: because\n", "answers.yaml:1:1:", "a tab indents this line", "indent with blanks"),
    ("why:because\nb: 2\n", "answers.yaml:1:5: why:", "a blank is missing", "why: because"),
    ("why: @home\n", "answers.yaml:1:6: why:", "not to be read", "'@home'"),
    ('why: "because\nb: 2\n', "answers.yaml:1:6: why:", "not to be read", "'because'"),
    ("why: [a\nb: 2\n", "answers.yaml:1:6: why:", "not to be read", "'[a'"),
    ("why: it is\n  so: yes\n", "answers.yaml:2:5: why:", "several lines", "write `why: |` above"),
    ("a: 1\nbecause it is so\nb: 2\n", "answers.yaml:2:1:", "this is no answer", "`question: answer`"),
    ("a: 1\n---\nb: 2\n", "answers.yaml:2:1:", "this is no answer", "`question: answer`"),
])
def test_a_fault_is_told_with_its_place_its_question_and_its_cure(text: str, place: str, fault: str, cure: str):
    with pytest.raises(ScenarioError) as raised:
        understood(text)
    assert len(raised.value.problems) == 1
    assert str(raised.value).startswith(place) and fault in str(raised.value) and cure in str(raised.value)


def test_no_fault_hides_another():
    with pytest.raises(ScenarioError) as raised:
        understood("a: x: y\nb: 2\nc: @d\nd:4\n")
    assert [(one.mark.line, one.path) for one in raised.value.problems] == [(1, "a"), (3, "c"), (4, "d")]


def test_many_faults_are_told_in_part():
    with pytest.raises(ScenarioError) as raised:
        understood("a: b: c\n" * 1000)
    assert len(raised.value.problems) == 20
