"""Who may ask the server what: only on this machine, only with the token, only under its own name, only briefly."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from urllib.parse import quote

import pytest

from calisim.errors import UsageError
from calisim.view import server as module
from calisim.view.server import MOST_BYTES, Server

from tests.view.conftest import until

JSON = "application/json"


def ask(server: Server, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """As the page asks, but for what is said otherwise; a header "" is left out."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    named = {"Host": f"127.0.0.1:{server.server_port}"}
    if method == "POST":
        named |= {"Origin": f"http://{named['Host']}", "Content-Type": JSON, "Content-Length": str(len(body or b""))}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in named.items():
        if value:
            connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), content


def own(server: Server, route: str = "") -> str:
    return f"/{server.token}/{route}"


def alive(server: Server) -> bool:
    return ask(server, "GET", own(server, "picture"))[0] == 200


def raw(server: Server, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        connection.sendall(sent)
        parts = []
        try:
            while part := connection.recv(65536):
                parts.append(part)
        except ConnectionResetError:
            pass
        return b"".join(parts)


def test_page_picture_and_news_are_for_who_has_the_token(server: Server) -> None:
    status, headers, content = ask(server, "GET", own(server))
    assert status == 200 and b"s02-check-still-on" in content
    assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert json.loads(ask(server, "GET", own(server, "picture"))[2])["pair"] is None
    assert json.loads(ask(server, "GET", own(server, "news"))[2])["base"] == "as-is"


@pytest.mark.parametrize("path", [
    "/", "/picture", "/{wrong}/", "/{wrong}/picture", "/{half}/", "/{token}", "/..%2f{token}/", "/?token={token}",
    "/%00/", "/" + "x" * 5000 + "/", "/{token}x/", "http://127.0.0.1/{wrong}/"])
def test_wrong_token_gets_nothing(server: Server, path: str) -> None:
    named = {"token": server.token, "wrong": server.token[::-1], "half": server.token[:10]}
    status, headers, content = ask(server, "GET", path.format(**named))
    assert status == 403 and len(content) < 200 and server.token.encode() not in content
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("path", [
    "../scenario.yaml", "etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "..\\..\\x", "page.css", "switch/", "Picture"])
def test_there_are_no_files_to_be_had(server: Server, path: str) -> None:
    assert ask(server, "GET", own(server, quote(path, safe="/%")))[0] == 404


@pytest.mark.parametrize("host", [
    "", "evil.example", "evil.example:{port}", "127.0.0.1", "localhost", "127.0.0.1:1", "127.0.0.1.evil.example:{port}",
    "[::1]:{port}", "0.0.0.0:{port}", "127.0.0.1:{port}@evil.example"])
def test_a_page_under_another_name_gets_nothing(server: Server, host: str) -> None:
    status, _, content = ask(server, "GET", own(server), Host=host.format(port=server.server_port))
    assert status == 421 and len(content) < 200


def test_two_names_are_its_own(server: Server) -> None:
    for name in ("127.0.0.1", "localhost", "LOCALHOST"):
        assert ask(server, "GET", own(server), Host=f"{name}:{server.server_port}")[0] == 200
    twice = f"GET {own(server)} HTTP/1.1\r\nHost: {server.names[0]}\r\nHost: evil.example\r\n\r\n"
    assert b" 421 " in raw(server, twice.encode())


@pytest.mark.parametrize("origin", [
    "", "null", "http://evil.example", "https://127.0.0.1:{port}", "http://127.0.0.1", "http://127.0.0.1:1"])
def test_only_its_own_page_changes_anything(server: Server, origin: str) -> None:
    named = origin.format(port=server.server_port)
    status, _, _ = ask(server, "POST", own(server, "switch"), b'{"choices":{"down/a-1":true}}', Origin=named)
    assert status == 403 and server.session.state()["changes"] == []


@pytest.mark.parametrize("route", ["switch", "undo", "redo", "reset", "save"])
def test_nothing_is_changed_by_following_a_link(server: Server, route: str) -> None:
    assert ask(server, "GET", own(server, route))[0] == 405
    assert ask(server, "POST", own(server, route), b"{}", Content_Type="text/plain")[0] == 415
    assert ask(server, "POST", own(server, route), b"choices=1", Content_Type="application/x-www-form-urlencoded")[0] == 415


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "BREW"])
def test_other_methods_are_not_known(server: Server, method: str) -> None:
    status, headers, _ = ask(server, method, own(server))
    assert status == 501 and "Access-Control-Allow-Origin" not in headers
    assert ask(server, "POST", own(server, "picture"), b"{}")[0] == 405


@pytest.mark.parametrize(("body", "status"), [
    (b"", 400), (b"{", 400), (b"[]", 400), (b"\xff\xfe", 400), (b"[" * 100_000, 400), (b'{"choices":[]}', 400),
    (b'{"base":1}', 400), (b'{"choices":{"nobody":true}}', 409),
    (b'{"choices":{"mode/default-ipv4-ippool":[1]}}', 409), (b'{"choices":{"mode/default-ipv4-ippool":null}}', 409),
    (b'{"choices":{"down/a-1":"yes"}}', 409), (b'{"choices":{"down/a-1":[1]}}', 409),
    (b'{"base":"nowhere"}', 409), (b'{"base":"as-is,check-off"}', 409), (b'{"base":"' + b"x" * 10_000 + b'"}', 409)])
def test_nonsense_gets_a_short_answer(server: Server, body: bytes, status: int, capfd) -> None:
    found, _, content = ask(server, "POST", own(server, "switch"), body)
    assert found == status and 0 < len(content) < 1000
    assert alive(server) and server.session.state()["changes"] == [] and "Traceback" not in "".join(capfd.readouterr())


def test_bodies_are_bounded(server: Server) -> None:
    for length in (str(MOST_BYTES + 1), "9" * 30):
        assert ask(server, "POST", own(server, "switch"), b"", Content_Length=length)[0] == 413
    for length in ("", "-1", "x", "1_0", "٣"):
        assert ask(server, "POST", own(server, "switch"), b"", Content_Length=length.encode().decode("latin-1"))[0] == 411
    assert alive(server)


@pytest.mark.parametrize("sent", [
    b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00",
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 500 + b"\r\n", b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nA: " + b"x" * 100_000 + b"\r\n\r\n", b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET //[ HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n"])
def test_what_is_no_request_ends_nothing(server: Server, sent: bytes, monkeypatch, capfd) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.5)
    monkeypatch.setattr(module.Handler, "timeout", 0.5)
    answer = raw(server, sent.replace(b"PORT", str(server.server_port).encode()))
    assert len(answer) < 1500 and b"<html" not in answer
    assert alive(server) and "Traceback" not in "".join(capfd.readouterr())


def test_who_dawdles_is_cut_off(server: Server, monkeypatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.4)
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        with pytest.raises(OSError):
            for _ in range(200):                                   # a byte now and then never runs into the socket's own timeout
                connection.sendall(b"G")
                time.sleep(0.05)
    assert alive(server)


def test_connections_are_bounded_and_come_back(server: Server) -> None:
    for _ in range(module.MOST_CONNECTIONS - 3):
        server._room.acquire()
    held = [socket.create_connection(("127.0.0.1", server.server_port)) for _ in range(3)]
    for connection in held:
        connection.sendall(b"GET")
    deadline = time.monotonic() + 5
    while server._room._value and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(server, "GET", own(server, "picture"))
    for connection in held:
        connection.close()
    while server._room._value < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert alive(server)


def test_it_listens_on_this_machine_only(server: Server) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1" and server.url.startswith("http://127.0.0.1:")
    assert len(server.token) >= 30


def test_a_port_that_is_taken_is_said(server: Server) -> None:
    with pytest.raises(UsageError, match=f"127.0.0.1:{server.server_port} cannot be listened on.*--port-number"):
        Server(server.session, server.server_port)


def test_a_page_never_has_a_state_newer_than_its_picture(server: Server, monkeypatch) -> None:
    session = server.session
    until(session, lambda state, picture: picture["whole"])
    told = session.state

    def state() -> dict:
        monkeypatch.undo()
        session.switch({"down/a-1": True})                         # and drawn, between the two questions of the page
        until(session, lambda state, picture: picture["pair"])
        return told()

    monkeypatch.setattr(session, "state", state)
    text = ask(server, "GET", own(server))[2].decode()
    given = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    assert given["state"]["picture"] == session.state()["picture"] and given["picture"]["pair"]


def test_switch_undo_save_and_download(server: Server, scenario) -> None:
    assert ask(server, "GET", own(server, "scenario.yaml"))[0] == 409
    assert ask(server, "POST", own(server, "switch"), b'{"choices":{"down/a-1":true}}')[0] == 200
    until(server.session, lambda state, picture: picture["pair"])
    status, headers, content = ask(server, "GET", own(server, "scenario.yaml"))
    assert status == 200 and headers["Content-Disposition"].startswith("attachment")
    status, _, told = ask(server, "POST", own(server, "save"), b"{}")
    assert status == 200 and open(json.loads(told)["saved"], "rb").read() == content
    assert ask(server, "POST", own(server, "undo"), b"{}")[0] == 200 and server.session.state()["changes"] == []


def test_news_wait_for_something_new(server: Server) -> None:
    until(server.session, lambda state, picture: picture["whole"])
    version = server.session.state()["version"]
    found: list[dict] = []
    route = own(server, f"news?since={version}")
    waiting = threading.Thread(target=lambda: found.append(json.loads(ask(server, "GET", route)[2])))
    waiting.start()
    ask(server, "POST", own(server, "switch"), b'{"choices":{"down/a-1":true}}')
    waiting.join(10)
    assert found and found[0]["version"] > version
    for odd in ("x", "-5", "9" * 50, "1&since=2", "%ff"):
        assert ask(server, "GET", own(server, f"news?since={odd}"))[0] == 200
