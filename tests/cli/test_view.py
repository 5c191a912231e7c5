"""``calisim view`` as it is called: the address, the end, and mistakes as every command says them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from calisim.cli import view
from calisim.cli.main import cli

ROOT = Path(__file__).parents[2]
TWO_ZONES = str(ROOT / "tests" / "cases" / "scenarios" / "two-zones.yaml")
SCREENLESS = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")}


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """The command at work and the address that it printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "calisim", "view", TWO_ZONES, *arguments], cwd=ROOT, env=SCREENLESS | environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read()


def call(*arguments: str):
    return CliRunner().invoke(cli, ["view", *arguments], prog_name="calisim")


def test_it_serves_until_it_is_interrupted():
    with running("--variants", "overlay-ipip,calico-no-encap") as (process, url):
        assert b'"id":"calico-no-encap"' in fetched(f"{url}picture")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 0 and "calisim: ended" in said and "Traceback" not in said


def test_a_browser_that_goes_away_does_not_end_it():
    with running() as (process, url):
        host, port = url.split("/")[2].split(":")
        for _ in range(5):
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(f"GET /{url.split('/')[3]}/ HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        time.sleep(0.3)
        assert b"<title>" in fetched(url) and process.poll() is None


def test_wrong_token_is_refused_from_outside():
    with running() as (_, url), pytest.raises(urllib.error.HTTPError, match="403"):
        fetched(url[:-5] + "/")


def test_a_port_may_be_chosen_and_a_taken_one_is_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = call(TWO_ZONES, "--no-browser", "--port-number", str(port))
        assert result.exit_code == 2 and f"127.0.0.1:{port} cannot be listened on" in result.stderr
    with running("--port-number", str(port)) as (_, url):
        assert url.startswith(f"http://127.0.0.1:{port}/")


def test_mistakes_are_told_before_anything_is_served(tmp_path):
    empty = tmp_path / "empty.yaml"
    empty.write_text(Path(TWO_ZONES).read_text().split("  traffic:")[0])
    for arguments, cause in (
        ([TWO_ZONES, "--variant", "nowhere"], "nowhere"), ([TWO_ZONES, "--variant", "as-is", "--compare"], "exclude each other"),
        ([TWO_ZONES, "--packet", "node/a-1", "nobody"], "'nobody'"), ([str(tmp_path / "none.yaml")], "none.yaml"),
        ([str(empty)], "sends nothing"),
    ):
        result = call(*arguments, "--no-browser")
        assert result.exit_code == 2 and cause in result.stderr and "Traceback" not in result.output and not result.stdout


@pytest.mark.parametrize(("environment", "opened"), [({}, False), ({"DISPLAY": ":0"}, True), ({"BROWSER": "lynx"}, True)])
def test_a_browser_is_opened_where_there_is_a_screen(monkeypatch, environment, opened):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert view._has_screen() is opened
