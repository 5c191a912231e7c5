"""The page in a real browser: it tells what ``trace --json`` tells, asks nothing of any network, and names inject nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

import calisim
from calisim.report.page.document import document
from calisim.report.page.file import page

from tests.report.page.browser import Watched, chromium

ROOT = Path(__file__).parents[3]
HOSTILE = ROOT / "tests" / "cases" / "scenarios" / "two-zones.yaml"
FIELDS = {
    "Length": "length", "TTL": "ttl", "Source": "src", "Destination": "dst", "Source port": "sport", "Destination port": "dport"}


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def written(tmp_path_factory, path: Path, variants: tuple[str, ...] | None = None, **edit) -> tuple[dict, Path]:
    scenario = calisim.load(path, **edit)
    made = document(scenario, variants or scenario.variant_ids)
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(page(made), "utf-8")
    return made, file


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    return written(tmp_path_factory, ROOT / "scenarios" / "three-az.yaml", ("calico-no-encap", "overlay-vxlan"))


@pytest.fixture
def opened(browser, three):
    watched = Watched(browser, three[1], viewport={"width": 1280, "height": 900})
    yield watched
    watched.close()
    assert not watched.faults


PLAYED = """(lane) => {
  const box = document.querySelector(`.details .lane[data-lane='${lane}']`);
  const text = (cell) => [...cell.childNodes].filter((node) => node.nodeName !== 'DEL').map((node) => node.textContent).join('');
  return [...box.querySelectorAll('.stages button')].map((button) => {
    button.click();
    return {
      says: document.querySelector(`.lanes > .lane[data-lane='${lane}'] .sentence`).textContent,
      headers: Object.fromEntries([...box.querySelectorAll('table.header')].map((table) => [
        table.dataset.layer,
        Object.fromEntries([...table.rows].map((row) => [row.dataset.field, text(row.querySelector('td'))]))])),
      bytes: [...box.querySelectorAll('.octets .line')].map((cell) => cell.textContent).join('').replaceAll(' ', '') };
  });
}"""


def test_player_tells_every_stage_as_the_trace_does(opened, three):
    made, page_ = three[0], opened.page
    for number, journey in enumerate(made["journeys"]):
        page_.locator(".cards button").nth(number).click()
        lanes = [one.get_attribute("data-variant") for one in page_.locator(".lanes > .lane").all()]
        for lane, variant in enumerate(lanes):
            trace = journey["told"][variant]["trace"]
            badge = page_.locator(f".lanes > .lane[data-lane='{lane}'] [data-verdict]")
            assert badge.get_attribute("data-verdict") == trace["verdict"]
            steps = [step for way in ("request", "reply") for step in (trace[way] or {"steps": []})["steps"]]
            for step, told in zip(steps, page_.evaluate(PLAYED, lane), strict=True):
                place = " ".join(filter(None, (step["where"], step["interface"], step["direction"])))
                assert told["says"].startswith(f"{place}: {step['says']} (stage {step['stage']})")
                if decider := step["decidedBy"]:
                    assert f"{decider['kind']} {decider['name']}, {decider['file']}:{decider['line']}" in told["says"]
                assert told["bytes"] == step.get("bytes", "")
                assert set(told["headers"]) == {header["layer"] for header in step["headers"]}
                for header in step["headers"]:
                    assert_header(told["headers"][header["layer"]], header)


def assert_header(found: dict, header: dict) -> None:
    assert found["Don't fragment"] == ("yes" if header["df"] else "no")
    assert found["Protocol"].split()[0] == str(header["protocol"])
    assert ("Source port" in found) == (header["protocol"] in (6, 17))
    for title, name in FIELDS.items():
        if title in found:
            assert found[title].removesuffix(" B").replace(",", "") == str(header[name])


def test_a_loss_shows_its_card(opened, three):
    made, page_ = three[0], opened.page
    journey = next(one for one in made["journeys"] if one["told"]["calico-no-encap"]["trace"]["request"]["reason"])
    page_.locator(".cards button").nth(made["journeys"].index(journey)).click()
    lost = journey["told"]["calico-no-encap"]["trace"]["request"]
    card = page_.locator(".drop")
    assert card.count() == 1
    text = card.inner_text()
    end = lost["steps"][-1]
    assert lost["reason"] in text and end["says"] in text and f"{end['decidedBy']['file']}:{end['decidedBy']['line']}" in text
    assert [one.inner_text() for one in card.locator("pre").all()] == lost["cure"]


def test_keys_play_and_step(opened):
    page_ = opened.page
    player = page_.locator(".player")
    player.get_by_label("First stage").focus()
    for key, frame in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("Home", 0)):
        page_.keyboard.press(key)
        assert player.get_attribute("data-frame") == str(frame)
    page_.keyboard.press("End")
    last = int(player.get_attribute("data-frame"))
    assert player.locator(".count").inner_text() == f"{last + 1} / {last + 1}"
    page_.locator(".scenebox").first.focus()
    page_.keyboard.press("Home")
    page_.keyboard.press("Space")
    assert player.get_by_label("Pause").count() == 1
    page_.wait_for_selector(".player:not([data-frame='0'])")
    page_.keyboard.press("Space")
    assert player.get_by_label("Play").count() == 1


def test_lanes_are_in_step(opened):
    page_ = opened.page
    page_.get_by_label("First stage").click()
    for _ in range(30):
        current = page_.locator(".details .stages button[aria-current]").all()
        assert len(current) == 2
        page_.get_by_label("Step on").click()


def test_tables_sort_and_filter(opened):
    page_ = opened.page
    table = page_.locator("#tables .table", has=page_.get_by_text("Traffic between nodes, overlay-vxlan", exact=True).first)
    head = table.locator("thead th", has_text="Packets")
    for order in ("descending", "ascending"):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == order
        counts = [int(text.replace(",", "")) for text in table.locator("tbody td:nth-child(6)").all_inner_texts()]
        assert counts == sorted(counts, reverse=order == "descending")
    table.get_by_role("searchbox").fill("b-2 internet")
    rows = table.locator("tbody tr").all_inner_texts()
    assert rows and all("b-2" in row and "internet" in row for row in rows)


def test_map_finds_and_chooses_a_node(opened):
    page_ = opened.page
    box = page_.locator(".map").first
    box.get_by_role("searchbox").fill("shop/db-7")
    box.get_by_role("searchbox").press("Enter")
    assert "b-4" in box.locator(".maptext").inner_text()
    box.locator(".mapstage").press("Escape")
    assert box.locator(".maptext").inner_text() == ""


def test_theme_follows_the_system_and_the_button(browser, three):
    watched = Watched(browser, three[1], color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = watched.page.evaluate(background)
    watched.page.get_by_role("button", name="Light").click()
    assert watched.page.evaluate(background) != dark
    watched.page.get_by_role("button", name="Dark").click()
    assert watched.page.evaluate(background) == dark
    watched.close()
    assert not watched.faults


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_sticks_out(browser, three, width):
    watched = Watched(browser, three[1], viewport={"width": width, "height": 800})
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= width
    watched.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(browser, three, scheme):
    axe = pytest.importorskip("axe_playwright_python.base", reason="no accessibility test: no axe-playwright-python")
    watched = Watched(browser, three[1], color_scheme=scheme, viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    watched.page.evaluate(axe.AXE_FILE_PATH.read_text("utf-8"))
    found = watched.page.evaluate("axe.run(document).then((result) => result.violations)")
    watched.close()
    assert [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found] == []


LONG = {"description", "says", "title", "why", "name", "answer"}
EVIL = "x</script><script>alert(1)</script>\"'`<img src=x onerror=alert(2)>\u202eevil\u2028&lt;b&gt;{{data}}"


def test_hostile_names_inject_nothing(browser, tmp_path_factory):
    made, _ = written(tmp_path_factory, HOSTILE)
    made = _renamed(made)
    file = tmp_path_factory.mktemp("hostile") / "report.html"
    file.write_text(page(made), "utf-8")
    watched = Watched(browser, file, viewport={"width": 1000, "height": 800})
    page_ = watched.page
    assert page_.locator("script").count() == 2 and page_.locator("img").count() == 0
    assert EVIL in page_.locator("h1").evaluate("node => node.textContent")
    assert page_.locator(".lead").evaluate("node => node.textContent.length") >= 10_000
    for number in range(page_.locator(".cards button").count()):
        page_.locator(".cards button").nth(number).click()
        page_.get_by_label("Last stage").click()
    assert page_.evaluate("document.documentElement.scrollWidth") <= 1000
    watched.close()
    assert not watched.faults


def _renamed(value):
    """A document in which every text that a user may choose is hostile: names of things, titles, sentences, files, commands."""
    free = {
        "name", "description", "file", "answer", "title", "says", "where", "interface", "cidr", "zone", "need", "why", "note",
        "from", "to", "example"}
    if isinstance(value, list):
        return [_renamed(one) for one in value]
    if not isinstance(value, dict):
        return value
    made = {key: _poisoned(one, key) if key in free else _renamed(one) for key, one in value.items()}
    if "cure" in made:
        made["cure"], made["told"] = [EVIL], [EVIL]
    return made


def _poisoned(value, key):
    if isinstance(value, str):
        return value + EVIL + "y" * 10_000 if key in LONG else f"{value}{EVIL}"
    return _renamed(value)
