"""``calisim lab`` as students and teachers call it: what goes well, what goes wrong, and that nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.labs.working import Student, run, truths


@pytest.fixture
def student(tmp_path: Path) -> Student:
    return Student(tmp_path / "lab")


def test_labs_are_listed_with_their_time():
    listed = json.loads(run("lab", "list", "--json").stdout)
    assert listed["kind"] == "LabList"
    assert listed["labs"][0]["lab"] == "01-follow-one-packet" and listed["labs"][0]["minutes"] == 20
    assert "Follow one packet" in run("lab", "list").stdout


def test_the_first_lab_from_start_to_end(student: Student):
    for _ in student.lab.stages:
        assert student.does("check").exit_code == 1
        student.solve()
    assert "100 of 100 points" in student.does("status").stdout
    assert student.does("check").exit_code == 0 and json.loads(student.does("check", "--json").stdout)["passed"]
    assert student.does("hint").exit_code == 2
    submitted = student.does("submit")
    assert submitted.exit_code == 0 and "5 of 5 stages passed, 100 of 100 points" in submitted.stdout


def test_points_count_what_could_be_had_by_now(student: Student):
    assert "100 points to be had" in student.does("status").stdout
    student.solve()
    told = student.does("status")
    assert "17 of 17 points so far, 100 in all" in told.stdout and "17 of 100" not in told.stdout
    status = json.loads(student.does("status", "--json").stdout)
    assert (status["score"], status["soFar"], status["of"]) == (17, 17, 100)
    assert "1 of 5 stages passed, 17 of 17 points so far, 100 in all" in student.does("submit").stdout
    student.answer({"route-nobody": "default"})
    assert "19 of 19 points so far" in student.does("status").stdout


def test_what_a_hint_costs_in_an_exam_is_said(tmp_path: Path):
    for begin in (("lab", "start", "1"), ("quiz",)):
        assert "This is an exam" in run(*begin, str(tmp_path / begin[0]), "--exam").stdout
        assert "This is an exam" not in run(*begin, str(tmp_path / f"{begin[0]}-at-home")).stdout
    exam = Student(tmp_path / "exam", "1", 1, "--exam")
    exam.solve()
    assert "(Exam: this hint costs 10 points.)" in exam.does("hint").stdout
    assert "7 of 17 points (hints cost 10) so far, 100 in all" in exam.does("status").stdout


def test_the_last_hint_may_be_asked_for_again_and_knows_what_is_open(student: Student):
    student.solve()
    for _ in range(3):
        told = student.does("hint")
    assert "route-stock: calisim routes scenario.yaml a1\n    there: the first column" in told.stdout
    student.answer({"route-stock": truths(student.lab, "routes")["route-stock"]})
    again = student.does("hint")
    assert "route-stock" not in again.stdout and "route-nobody" in again.stdout and "no hint beyond" in again.stdout
    assert len(json.loads(student.text(".calisim-lab.json"))["hints"]["routes"]) == 3


def test_a_stage_that_is_not_passed_is_not_left(student: Student):
    refused = student.does("next")
    assert refused.exit_code == 2 and "not passed yet" in refused.stderr
    assert student.stage == "predict"


def test_predictions_count_as_they_were_first_made(student: Student):
    guesses = truths(student.lab, "predict") | {"to-cart": "none"}
    student.answer(guesses)
    told = student.does("check")
    assert told.exit_code == 0 and "to-cart – you said none – the simulator says eth0" in told.stdout
    student.answer({"to-cart": "eth0"})
    assert "to-cart – you said none" in student.does("check").stdout


def test_the_truth_is_told_only_when_all_is_predicted(student: Student):
    student.answer({"to-cart": "none"})
    told = student.does("check")
    assert told.exit_code == 1 and "the simulator says" not in told.stdout


def test_an_answer_that_is_no_choice_is_said_to_be_none(student: Student):
    student.answer({"to-cart": "wlan0"})
    assert "wlan0 is not one of these: veth, eth0, tunl0, none" in student.does("check").stdout


def test_hints_come_in_three_grades_and_know_the_state(student: Student):
    student.solve()
    student.answer({"route-node": "default"})
    grades = [json.loads(student.does("hint", "--json").stdout)["grade"] for _ in range(5)]
    assert grades == ["state", "nudge", "where", "change", "last"]


def test_check_as_json(student: Student):
    checked = student.does("check", "--json")
    document = json.loads(checked.stdout)
    assert checked.exit_code == 1 and document["kind"] == "LabCheck" and not document["passed"]
    assert {item["id"] for item in document["items"]} == set(truths(student.lab, "predict"))


def test_restore_keeps_what_was_there(student: Student):
    mine = student.text("scenario.yaml") + "# my note\n"
    student.write("scenario.yaml", mine)
    assert student.does("restore").exit_code == 0
    assert student.text("scenario.yaml") == student.lab.start
    assert student.text("scenario.yaml.before-restore") == mine


def test_a_line_copied_whole_is_not_called_wrong(student: Student):
    student.does("restore", "--stage", "journey")
    student.write(
        "answers.yaml", 'lost-at: "b1: b2: a1:"\nlost-why: BLACKHOLE at stage lookup\nouter-destination: nowhere at all\n')
    said = student.does("check").stdout
    assert said.count("more than was asked for: write the one word only") == 2 and "nowhere at all is not it" in said


def test_a_route_is_taken_as_an_engineer_writes_it(student: Student):
    student.solve()
    destination = truths(student.lab, "routes")["route-stock"]
    student.answer({"route-nobody": "0.0.0.0/0", "route-stock": str(destination).partition("/")[0]})
    said = student.does("check").stdout
    assert "ok   route-nobody – 0.0.0.0/0 – " in said and "less than was asked for: write the length" in said


def test_the_last_stage_leads_to_submit_and_no_further(student: Student):
    for _ in student.lab.stages[:-1]:
        student.solve()
    student.answer(truths(student.lab, "explain"))
    said = student.does("check").stdout
    assert "Passed. That was the last stage; calisim lab submit" in said and "lab next" not in said


def test_no_hint_is_spent_on_a_stage_that_is_passed(student: Student):
    student.answer(truths(student.lab, "predict"))
    assert student.does("check").exit_code == 0
    refused = student.does("hint")
    assert refused.exit_code == 2 and "calisim lab next goes on" in refused.stderr
    assert not json.loads(student.text(".calisim-lab.json"))["hints"]


def test_restore_leads_to_a_stage_that_was_never_reached(student: Student):
    assert student.does("restore", "--stage", "explain").exit_code == 0
    assert student.stage == "explain"
    assert student.text("scenario.yaml") == student.lab.solved["move"]
    student.answer(truths(student.lab, "explain"))
    assert student.does("check").exit_code == 0


def test_what_is_gone_can_be_restored(student: Student):
    (student.folder / "scenario.yaml").unlink()
    (student.folder / "answers.yaml").unlink()
    refused = student.does("check")
    assert refused.exit_code == 2 and "calisim lab restore makes it anew" in refused.stderr
    assert student.does("restore").exit_code == 0 and student.does("check").exit_code == 1


def test_locked_keys_are_told_by_place_and_value(student: Student):
    student.write("scenario.yaml", student.lab.start.replace("ipipMode: CrossSubnet", "ipipMode: Always"))
    refused = student.does("check")
    assert refused.exit_code == 2
    assert "IPPool/pods.spec.ipipMode: is 'Always', but this lab has locked it" in refused.stderr
    assert "scenario.yaml:41:" in refused.stderr and "it was 'CrossSubnet': put it back" in refused.stderr


@pytest.mark.parametrize(("name", "text", "said"), [
    ("scenario.yaml", "kind: [", "scenario.yaml:2:1: not YAML"),
    ("answers.yaml", "to-cart: [veth]\n", "answers.yaml:1:10: to-cart: the answer is a word or a number"),
    ("answers.yaml", "just words\n", "answers are written as `question: answer`"),
    ("answers.yaml", "a: 1\na: 2\n", "answers.yaml:2:1"),
    (".calisim-lab.json", "{", ".calisim-lab.json is damaged (no JSON)"),
    (".calisim-lab.json", '{"kind": "LabProgress", "seal": "0"}', "its seal does not fit"),
])
def test_a_damaged_file_is_told(student: Student, name: str, text: str, said: str):
    student.write(name, text)
    refused = student.does("check")
    assert refused.exit_code == 2 and said in refused.stderr and "Traceback" not in refused.output
    assert student.text(name) == text


def test_an_edited_state_is_seen_and_can_be_begun_anew(student: Student):
    edited = student.text(".calisim-lab.json").replace('"stage": "predict"', '"stage": "explain"')
    student.write(".calisim-lab.json", edited)
    assert student.does("status").exit_code == 2
    assert student.does("restore", "--progress").exit_code == 0
    assert student.text(".calisim-lab.json.damaged") == edited
    assert student.stage == "predict" and student.does("check").exit_code == 1


def test_with_state_and_answers_lost_a_lab_is_started_again(student: Student):
    student.write(".calisim-lab.json", "")
    (student.folder / "answers.yaml").unlink()
    refused = student.does("restore", "--progress")
    assert refused.exit_code == 2 and "`calisim lab start` it in another folder" in refused.stderr


def test_lost_questions_are_told(student: Student):
    student.write("answers.yaml", "to-cart: veth\n")
    said = student.does("check").stdout
    assert "answers.yaml has no line for to-shop-1, to-stock, to-customer, ttl-at-stock; calisim lab restore" in said
    student.does("restore")
    assert "to-cart: veth\n" in student.text("answers.yaml") and "\nto-stock:\n" in student.text("answers.yaml")
    assert "has no line" not in student.does("check").stdout


@pytest.mark.parametrize("name", ["answers.yaml", ".calisim-lab.json"])
def test_what_is_no_file_is_told(student: Student, name: str):
    (student.folder / name).unlink()
    (student.folder / name).symlink_to("/dev/zero")
    refused = student.does("check")
    assert refused.exit_code == 2 and "is not a regular file" in refused.stderr


def test_start_leaves_alone_what_is_there(student: Student):
    refused = run("lab", "start", "1", str(student.folder))
    assert refused.exit_code == 2 and "is not empty" in refused.stderr


@pytest.mark.parametrize(("arguments", "said"), [
    (("lab", "start", "follow-one-paket"), "did you mean follow-one-packet?"),
    (("lab", "start", "99"), "there is no lab '99'"),
    (("lab", "check", "-C", "nowhere"), "nowhere is no lab's folder"),
    (("lab", "start", "1", "/proc/nowhere/lab"), "cannot be written"),
])
def test_a_wrong_call_is_told(arguments: tuple[str, ...], said: str):
    refused = run(*arguments)
    assert refused.exit_code == 2 and said in refused.stderr


def test_a_folder_of_ones_own_is_a_lab(tmp_path: Path):
    from calisim.labs.lab import CONTENT

    own = tmp_path / "own"
    own.mkdir()
    for part in (CONTENT / "01-follow-one-packet").iterdir():
        (own / part.name).write_text(part.read_text())
    student = Student(tmp_path / "work", str(own))
    student.solve()
    (own / "lab.yaml").write_text((own / "lab.yaml").read_text().replace("version: 1", "version: 2"))
    refused = student.does("check")
    assert refused.exit_code == 2 and "made by version 1 of the lab, here is version 2" in refused.stderr


def test_selftest_tells_an_authors_faults(tmp_path: Path):
    from calisim.labs.lab import CONTENT

    for part in (CONTENT / "01-follow-one-packet").iterdir():
        (tmp_path / part.name).write_text(part.read_text().replace("is: default/keeper\n", "isNot: nobody\n").replace(
            "fact: ttl", "fact: prefix_length").replace("{from: shop-0, to: stock}, on", "{node: a1, to: stock}, on"))
    tested = run("lab", "selftest", str(tmp_path))
    assert tested.exit_code == 1
    assert "the truth of ttl-at-stock, 26, is none of its choices" in tested.stdout
    assert "no state fails the check 'of all pods keeper alone is reached in another way than at the beginning'" in tested.stdout


def test_the_solution_of_a_variant_is_what_passes(tmp_path: Path):
    told = json.loads(run("lab", "solution", "1", "--student", "Anna", "--json").stdout)
    student = Student(tmp_path / "lab", "1", told["seed"])
    for stage in told["stages"]:
        assert stage["answers"] == truths(student.lab, stage["stage"])
        assert any("node:" in line for line in stage["diff"]) == (stage["stage"] == "move")
    assert "  +    - {name: c2, subnet" in run("lab", "solution", "2", "--seed", "11").stdout


def test_a_new_lab_passes_its_selftest(tmp_path: Path):
    assert run("lab", "new", str(tmp_path / "mine")).exit_code == 0
    tested = run("lab", "selftest", str(tmp_path / "mine"), "--seeds", "2", "--json")
    assert tested.exit_code == 0 and [one["faults"] for one in json.loads(tested.stdout)["labs"]] == [[], []]
    assert run("lab", "new", str(tmp_path / "mine")).exit_code == 2


@pytest.mark.parametrize(("before", "after", "said"), [
    ("title: Across two zones", "titel: Across", "lab.yaml:3:8: titel: nobody knows this key"),
    ("minutes: 10", "minutes: soon", "lab.yaml:5:10: minutes: "),
    ("${vpc}.0.0/16]", "${vcp}.0.0/16]", "start.yaml: ${vcp} is drawn by no row of vary"),
    ("fact: fate,", "fact: fait,", "there is no fact 'fait'; there are fate,"),
    ("about: {from: web-a-0, to: web-b-0}, on: start}", "about: {whence: web-a-0}, on: start}", "unexpected keyword argument"),
    ('replace: "ipipMode: Never"', 'replace: "ipipMode: Nevr"', "is in the scenario 0 times, not once"),
    ("id: mend", "id: predict", "the id predict is there twice"),
])
def test_a_faulty_lab_is_told_with_its_place(tmp_path: Path, before: str, after: str, said: str):
    mine = tmp_path / "mine"
    run("lab", "new", str(mine))
    for part in mine.iterdir():
        part.write_text(part.read_text().replace(before, after))
    told = run("lab", "selftest", str(mine))
    assert told.exit_code in (1, 2) and said in told.output and "Traceback" not in told.output


def test_grades_are_judged_anew(tmp_path: Path):
    good, lazy = Student(tmp_path / "a", "1", 3, "--student", "=Anna"), Student(tmp_path / "b", "1", 4, "--student", "Ben")
    for _ in good.lab.stages:
        good.solve()
    lazy.solve()
    lazy.does("hint")
    for student in (good, lazy):
        student.does("submit")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "submission.json").write_text("{")
    graded = run("lab", "grade", str(tmp_path), "--csv").stdout.splitlines()
    assert graded[0].startswith("file,student,lab,seed,score,passed,stages,hints")
    assert graded[1].startswith("a/submission.json,'=Anna,follow-one-packet,3,100,5,5,0")
    assert graded[2].startswith("b/submission.json,Ben,follow-one-packet,4,") and ",1,5,1," in graded[2]
    assert graded[3].endswith("is no JSON")
    failed = json.loads(run("lab", "grade", str(tmp_path), "--sheet", "failed", "--json").stdout)["grades"]
    assert {row["student"] for row in failed} == {"Ben", ""} and all(not row["passed"] for row in failed)
    assert len(run("lab", "grade", str(tmp_path), "--sheet", "all", "--csv").stdout.splitlines()) == 40


def test_a_forged_submission_earns_nothing(tmp_path: Path):
    from calisim.labs.progress import understood, written

    student = Student(tmp_path / "a")
    progress = understood(student.text(".calisim-lab.json"), "")
    for stage in student.lab.stages:
        progress = progress.passed(student.lab.start).at(stage.id)
    student.write(".calisim-lab.json", written(progress))
    row = run("lab", "grade", str(tmp_path), "--csv").stdout.splitlines()[1]
    assert row.startswith(".calisim-lab.json".join(["a/", ",,follow-one-packet,1,"])) and ",0,5,0," in row


def test_hints_cost_points_in_an_exam(tmp_path: Path):
    exam, practice = Student(tmp_path / "a", "1", 1, "--exam"), Student(tmp_path / "b")
    scores = []
    for student in (exam, practice):
        student.solve()
        student.does("hint")
        scores.append(json.loads(student.does("status", "--json").stdout)["score"])
    assert scores[1] - scores[0] == 10


@pytest.mark.parametrize(("folder", "said"), [("nowhere", "is no folder"), (".", "nothing that was handed in")])
def test_grading_nothing_is_told(tmp_path: Path, folder: str, said: str):
    graded = run("lab", "grade", str(tmp_path / folder))
    assert graded.exit_code == 2 and said in graded.stderr


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Where a view would be served."""
    import calisim.view

    found: list[tuple[str, int]] = []
    monkeypatch.setattr(calisim.view, "serve", lambda path, *_, port, **__: found.append((path, port)))
    return found


def test_view_shows_the_labs_scenario_and_says_what_counts(student: Student, served: list[tuple[str, int]]):
    student.solve()
    shown = student.does("view", "--no-browser", "--port-number", "8123")
    assert shown.exit_code == 0 and served == [(str(student.folder / "scenario.yaml"), 8123)]
    assert "you may change: pods.keeper.node, pods.keeper.ip" in shown.stderr and "another file" in shown.stderr


def test_nobody_looks_before_the_prediction_is_made(student: Student, served: list[tuple[str, int]]):
    refused = student.does("view", "--no-browser")
    assert refused.exit_code == 2 and "what you expect (to-shop-1, to-cart," in refused.stderr and not served
    assert student.does("view", "--no-browser", "--anyway").exit_code == 0 and len(served) == 1
    student.answer(truths(student.lab, "predict"))
    assert student.does("check").exit_code == 0 and student.does("view").exit_code == 0


def test_a_finished_lab_may_be_looked_at(student: Student, served: list[tuple[str, int]]):
    for _ in student.lab.stages:
        student.solve()
    assert student.does("view").exit_code == 0 and served


def test_no_write_permission_is_told_and_loses_nothing(student: Student, monkeypatch: pytest.MonkeyPatch):
    import tempfile

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    before = student.text(".calisim-lab.json")
    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    refused = student.does("check")
    assert refused.exit_code == 2 and "cannot be written: Permission denied" in refused.stderr
    assert student.text(".calisim-lab.json") == before


def test_an_interrupt_loses_nothing(student: Student, monkeypatch: pytest.MonkeyPatch):
    from calisim.labs import session

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {path.name: path.read_text() for path in student.folder.iterdir()}
    monkeypatch.setattr(session, "examine", interrupt)
    stopped = student.does("check")
    assert stopped.exit_code == 130
    assert {path.name: path.read_text() for path in student.folder.iterdir()} == before


def test_a_seal_over_nonsense_is_told(student: Student):
    from calisim.labs.progress import _seal

    content = {"kind": "LabProgress", "lab": "1", "version": "one"}
    student.write(".calisim-lab.json", json.dumps({**content, "seal": _seal(content)}))
    refused = student.does("check")
    assert refused.exit_code == 2 and "comes from another version" in refused.stderr


def test_documents_in_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    student = Student(tmp_path / "lab", "3")
    start = student.text("scenario.yaml")
    inline = start[start.index("      apply:\n"):start.index("    - title: check off")]
    student.write("pool.yaml", start[start.rindex("---") + 4:])
    student.write("scenario.yaml", start.replace(inline, "      apply: [pool.yaml]\n"))
    monkeypatch.chdir(student.folder)
    refused = student.does("check")
    assert refused.exit_code == 2 and "pool.yaml is another file; the lab is one file" in refused.stderr


@pytest.mark.parametrize("lab", ["2", "3", "4"])
def test_the_other_labs_from_start_to_end(lab: str, tmp_path: Path):
    student = Student(tmp_path / "lab", lab, 2)
    for _ in student.lab.stages:
        student.solve()
    assert "100 of 100 points" in student.does("submit").stdout
