"""The live page in a real browser: it follows the file and the switches, and the reader stays where he was."""

from __future__ import annotations

import json
import time

import pytest

from tests.report.page.browser import chromium
from tests.view.conftest import until


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


class Live:
    """A page with all that it should not do."""

    def __init__(self, browser, server, **options) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        self.page = self.context.new_page()
        self.server, self.faults = server, []
        self.page.on("console", lambda said: self.faults.append(said.text) if said.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda one: None if one.url.startswith(server.url) else self.faults.append(one.url))
        self.page.goto(server.url)
        self.page.wait_for_selector("html[data-ready=yes]", state="attached")
        self.settle()

    def settle(self) -> None:
        """Until the page shows what the session has to say."""
        state, _ = until(self.server.session, lambda state, picture: picture["whole"])
        for name in ("picture", "version"):
            self.when(f"Number(document.documentElement.dataset.{name}) >= {state[name]}")

    def when(self, expression: str) -> None:
        """Waits; the page's policy forbids the browser to evaluate texts by itself."""
        end = time.monotonic() + 20
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, expression
            time.sleep(0.02)

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()


@pytest.fixture
def live(browser, server):
    made = Live(browser, server)
    yield made
    made.context.close()
    assert made.faults == []


def flip(live: Live, name: str) -> None:
    count = live.server.session.state()["picture"]
    live.page.get_by_label(name).click()
    until(live.server.session, lambda state, picture: state["picture"] > count and picture["whole"])
    live.settle()


def test_a_switch_shows_the_difference_side_by_side(live) -> None:
    page = live.page
    assert page.locator("#difference").is_hidden() and page.locator(".map").count() == 1
    flip(live, "us-east-1a")
    assert "8 packets that were lost arrive now" in live.text("#difference .answer")
    assert live.text(".changes") == "source/destination check us-east-1a: on → off"
    rows = {row.split("\t")[0]: row.split("\t")[1:] for row in live.text("#difference tbody").splitlines()}
    assert rows["Lost"] == ["24", "16", "−8"] and rows["Arrived"] == ["108", "116", "+8"]
    assert page.locator(".map h3").all_inner_texts() == ["as-is", "changed"]
    assert page.locator(".lanes > .lane h3").all_inner_texts() == ["as-is", "changed"]
    assert live.text(".switch:has-text('us-east-1a') .was") == "● was on"
    page.get_by_role("button", name="Show a packet that fares differently").click()
    words = page.locator(".cards button[aria-pressed=true] .chip").all_inner_texts()
    assert len(set(words)) == 2


def test_numbers_are_those_of_the_picture(live) -> None:
    flip(live, "us-east-1a")
    told = json.loads(live.server.session.picture)
    assert live.text("#difference .answer") == told["difference"]["sentence"]
    assert live.text("#answer .answer") == told["report"]["comparison"]["answer"]
    assert live.page.locator(".cards button").count() == len(told["report"]["journeys"])


def test_undo_redo_by_button_and_key(live) -> None:
    page = live.page
    flip(live, "us-east-1a")
    page.keyboard.press("Control+z")
    page.wait_for_selector("#difference", state="hidden")
    assert page.get_by_label("us-east-1a").is_checked() and page.locator(".map").count() == 1
    page.keyboard.press("Control+Shift+z")
    page.wait_for_selector("#difference:not([hidden])")
    page.get_by_role("button", name="Reset").click()
    page.wait_for_selector("#difference", state="hidden")
    assert page.get_by_role("button", name="Reset").is_disabled()
    page.get_by_role("button", name="Undo").click()
    page.wait_for_selector("#difference:not([hidden])")


def test_everything_there_is_can_be_switched_by_keyboard(live) -> None:
    page = live.page
    page.get_by_label("encapsulation").select_option("vxlan")
    page.get_by_label("natOutgoing").focus()
    page.keyboard.press("Space")
    page.get_by_role("textbox", name="Node").or_(page.get_by_role("combobox", name="Node")).first.fill("b-2")
    page.get_by_role("button", name="Take down").press("Enter")
    page.wait_for_selector(".downs li")
    until(live.server.session, lambda state, picture: len(state["changes"]) == 3 and picture["whole"])
    live.settle()
    assert "b-2" in live.text(".downs")
    assert page.locator(".pool .was").all_inner_texts() == ["● was IPIP, CrossSubnet", "● was on"]
    told = page.locator(".changes li").all_inner_texts()
    assert told == [
        "encapsulation default-ipv4-ippool, 100.96.0.0/11: IPIP, CrossSubnet → VXLAN, Always",
        "natOutgoing default-ipv4-ippool, 100.96.0.0/11: on → off", "node b-2: up → down"]
    page.get_by_role("button", name="Bring up b-2").press("Enter")
    live.when("document.querySelectorAll('.changes li').length === 2")


def test_another_look_finds_everything_as_it_was(live) -> None:
    flip(live, "us-east-1a")
    sentence = live.text("#difference .answer")
    live.page.reload()
    live.page.wait_for_selector("html[data-ready=yes]", state="attached")
    assert live.text("#difference .answer") == sentence and not live.page.get_by_label("us-east-1a").is_checked()
    assert live.page.locator(".map h3").all_inner_texts() == ["as-is", "changed"]
    assert live.page.get_by_role("button", name="Undo").is_enabled()


def test_a_node_of_the_map_can_be_taken_down(live) -> None:
    page = live.page
    page.locator(".map input").fill("a-2")
    page.locator(".map input").press("Enter")
    page.get_by_role("button", name="Take down").click()
    live.when("document.querySelectorAll('.changes li').length === 1")
    live.settle()
    live.when("document.querySelector('.maptext').textContent.includes('a-2')")
    assert "ENDPOINT_DOWN" in live.text("#difference")


def test_the_reader_stays_where_he_was(live, scenario) -> None:
    page = live.page
    page.get_by_role("button", name="Dark").click()
    page.locator(".cards button").nth(1).click()
    pair = live.text(".cards button[aria-pressed=true] .pair")
    page.locator(".map input").fill("b-1")
    page.locator(".map input").press("Enter")
    for _ in range(3):
        page.get_by_label("Step on").click()
    sentence = page.locator(".lanes > .lane .sentence").first.inner_text()
    page.evaluate("scrollTo(0, 700)")
    top = page.evaluate("scrollY")
    scenario.write_text(scenario.read_text().replace("size: 1000", "size: 1000, tos: 8"))
    count = live.server.session.state()["picture"]
    until(live.server.session, lambda state, picture: state["picture"] > count and picture["whole"])
    live.settle()
    assert live.text(".cards button[aria-pressed=true] .pair") == pair
    assert page.locator(".lanes > .lane .sentence").first.inner_text() == sentence
    assert live.text(".maptext").startswith("b-1 ") and page.locator("html").get_attribute("data-theme") == "dark"
    assert abs(page.evaluate("scrollY") - top) < 5
    flip(live, "us-east-1a")
    assert live.text(".cards button[aria-pressed=true] .pair") == pair
    assert page.locator(".lanes > .lane .sentence").first.inner_text() == sentence


def test_errors_of_the_file_are_shown_over_the_last_good_picture(live, scenario) -> None:
    page, good = live.page, scenario.read_text()
    scenario.write_text(good.replace("172.20.64.0/19", "172.20.300.0/19<img src=x onerror=alert(1)>"))
    page.wait_for_selector(".problems")
    shown = live.text(".problems")
    assert f"{scenario}:" in shown and "172.20.300.0" in shown and page.locator("img").count() == 0
    assert page.locator(".map").count() == 1
    scenario.write_text(good)
    page.wait_for_selector(".problems", state="detached")


def test_saving_says_where(live, scenario) -> None:
    flip(live, "us-east-1a")
    live.page.get_by_role("button", name="Save as scenario").click()
    live.when("document.querySelector('aside').textContent.includes('-changed.yaml')")
    saved = scenario.with_name("s02-check-still-on-changed.yaml")
    assert saved.exists() and live.text(".saved pre") == f"calisim run {saved} --variant changed"
    with live.page.expect_download() as download:
        live.page.get_by_role("link", name="Download").click()
    assert download.value.path().read_text() == saved.read_text()


def test_what_did_not_work_stays_until_the_next_wish(live, scenario, monkeypatch) -> None:
    flip(live, "us-east-1a")
    monkeypatch.setattr("calisim.view.saving.MOST_NAMES", 1)
    live.page.get_by_role("button", name="Save as scenario").click()
    live.page.wait_for_selector(".problems")
    scenario.write_text(scenario.read_text().replace("size: 1000", "size: 1000, tos: 8"))
    count = live.server.session.state()["picture"]
    until(live.server.session, lambda state, picture: state["picture"] > count and picture["whole"])
    live.settle()
    assert "That did not work" in live.text(".problems") and "there are 1 files like" in live.text(".problems")
    flip(live, "us-east-1b")
    assert live.page.locator(".problems").count() == 0
    assert len(live.faults) == 1 and "409" in live.faults.pop()        # the browser tells of it, too


def test_an_end_is_told(browser, server) -> None:
    live = Live(browser, server)
    server.session.stop()
    live.when("document.querySelector('.status').textContent.includes('ended')")
    live.context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 380)])
def test_axe_finds_no_violation_and_nothing_sticks_out(browser, server, scenario, scheme, width) -> None:
    axe = pytest.importorskip("axe_playwright_python.base", reason="no accessibility test: no axe-playwright-python")
    live = Live(browser, server, color_scheme=scheme, viewport={"width": width, "height": 900}, reduced_motion="reduce")
    flip(live, "us-east-1a")
    scenario.write_text(scenario.read_text().replace("172.20.64.0/19", "172.20.300.0/19"))
    live.page.wait_for_selector(".problems")
    live.page.evaluate("() => document.querySelector('.notes')?.setAttribute('open', '')")
    assert live.page.evaluate("document.documentElement.scrollWidth") <= width
    live.page.evaluate(axe.AXE_FILE_PATH.read_text("utf-8"))
    found = live.page.evaluate("axe.run(document).then((result) => result.violations)")
    live.context.close()
    assert [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found] == []
