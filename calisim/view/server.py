"""The browser's side of a session: a small HTTP server on 127.0.0.1 that trusts nobody who does not know its token.

Whoever asks must know the first part of the path (compared in constant time) and call the server by its own name (a page of
somebody else's whose name was made to lead here cannot); who changes something must be a page of this server. Requests are small
and brief, connections few, answers are never kept by anybody.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs

from ..errors import CalisimError, UsageError
from ..report.page.file import data, framed, policy
from .session import Session

ADDRESS = "127.0.0.1"
ENTRY = "view.js"
MOST_CONNECTIONS = 64
MOST_BYTES = 1 << 20            # of a request's body
PATIENCE = 10                   # seconds for a request to arrive, and for each write of an answer
LONGEST_WAIT = 10               # seconds that a question for news may stay open

_HEADERS = {
    "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin"}
_CLOSED = "default-src 'none'; frame-ancestors 'none'"


class Refused(Exception):
    """An answer that is no picture: status and a short sentence."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class Server(ThreadingHTTPServer):
    """Listens on ``port`` (0: any free one) of this machine only."""

    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, session: Session, port: int = 0) -> None:
        self.session, self.token = session, secrets.token_urlsafe(24)
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        try:
            super().__init__((ADDRESS, port), Handler)
        except OSError as error:
            raise UsageError(
                f"{ADDRESS}:{port} cannot be listened on: {error.strerror or error}; "
                "name another port with --port-number, or leave it out for any free one") from None
        port_shown = "" if self.server_port == 80 else f":{self.server_port}"          # as browsers call it
        self.names = tuple(f"{name}{port_shown}" for name in (ADDRESS, "localhost"))

    @property
    def url(self) -> str:
        return f"http://{self.names[0]}/{self.token}/"

    def server_bind(self) -> None:
        """As HTTPServer does, but nobody is asked for this machine's name."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = ADDRESS, self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)                 # who is here already goes first
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._room.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke off is nobody's business."""


class Handler(BaseHTTPRequestHandler):
    """One request; the connection is closed after it."""

    server: Server
    server_version, sys_version = "calisim", ""
    timeout = PATIENCE

    def setup(self) -> None:
        super().setup()
        self._guard = threading.Timer(PATIENCE, self._cut)      # who sends a byte now and then has no longer than who is silent
        self._guard.daemon = True
        self._guard.start()

    def finish(self) -> None:
        self._guard.cancel()
        super().finish()

    def _cut(self) -> None:
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass                                           # it is gone already

    def do_GET(self) -> None:
        self._answer(_GET)

    def do_POST(self) -> None:
        self._answer(_POST)

    def _answer(self, routes: dict[str, Callable[[Handler], None]]) -> None:
        try:
            self._admit()
            if routes is _POST:
                self._own_page()
            route = routes.get(self.route)
            if route is None:
                other = _POST if routes is _GET else _GET
                known = self.route in other
                raise Refused(HTTPStatus.METHOD_NOT_ALLOWED if known else HTTPStatus.NOT_FOUND, "there is nothing here")
            route(self)
        except Refused as refused:
            self.send(refused.status, "text/plain; charset=utf-8", f"{refused.sentence}\n".encode())
        except CalisimError as error:
            self.reply({"error": str(error)}, HTTPStatus.CONFLICT)
        except OSError:
            raise                                          # whoever asked has gone
        except Exception as error:
            sentence = f"calisim could not answer: {type(error).__name__}\n"
            self.send(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", sentence.encode())

    def _admit(self) -> None:
        """Is this meant for us, by one who was let in?"""
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or hosts[0].lower() not in self.server.names:
            raise Refused(HTTPStatus.MISDIRECTED_REQUEST, "this server is called 127.0.0.1")
        path, _, query = self.path.partition("?")
        token, slash, self.route = path.removeprefix("/").partition("/")
        self.query = parse_qs(query[:200])
        if not slash or not hmac.compare_digest(token.encode("utf-8", "replace"), self.server.token.encode()):
            raise Refused(HTTPStatus.FORBIDDEN, "open the address that calisim view has printed, with its token")

    def _own_page(self) -> None:
        origin = self.headers.get("Origin", "")
        if origin not in [f"http://{name}" for name in self.server.names]:
            raise Refused(HTTPStatus.FORBIDDEN, "only the page of this server may change anything")

    def body(self) -> dict[str, Any]:
        """The JSON object that was sent."""
        if self.headers.get_content_type() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json")
        written = self.headers.get("Content-Length", "")
        if not written.isascii() or not written.isdigit():
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "say how long it is")
        if len(written) > 9 or int(written) > MOST_BYTES:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MOST_BYTES:,} bytes")
        content = self.rfile.read(int(written))
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            raise Refused(HTTPStatus.BAD_REQUEST, "this is not JSON") from None
        if not isinstance(found, dict):
            raise Refused(HTTPStatus.BAD_REQUEST, "a JSON object is expected")
        return found

    def send(self, status: HTTPStatus, kind: str, content: bytes, policy: str = _CLOSED, **more: str) -> None:
        self._guard.cancel()
        self.send_response(status)
        named = {**_HEADERS, "Content-Security-Policy": policy, "Content-Type": kind, "Content-Length": str(len(content)), **more}
        for name, value in named.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def reply(self, content: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> None:
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        self.send(status, "application/json", text.encode("utf-8", "surrogateescape"))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the parent finds wrong with a request, as short as the rest."""
        status = HTTPStatus(code)
        self.close_connection = True
        self.send(status, "text/plain; charset=utf-8", f"{status.phrase}\n".encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not the terminal's business."""


def _page(handler: Handler) -> None:
    session = handler.server.session
    state = data(session.state())                          # first: the page asks for a picture that is newer than its state's
    content = f'{{"picture":{session.picture.decode("utf-8", "surrogateescape")},"state":{state}}}'
    text = framed(session.name, content, policy(ENTRY, "; connect-src 'self'"), ENTRY)
    headed = policy(ENTRY, "; connect-src 'self'; frame-ancestors 'none'")
    handler.send(HTTPStatus.OK, "text/html; charset=utf-8", text.encode("utf-8", "surrogateescape"), headed)


def _news(handler: Handler) -> None:
    written = handler.query.get("since", ["-1"])[0]
    since = int(written) if written.isascii() and written.isdigit() and len(written) < 16 else -1
    handler._guard.cancel()
    handler.reply(handler.server.session.state(since, LONGEST_WAIT))


def _picture(handler: Handler) -> None:
    handler.send(HTTPStatus.OK, "application/json", handler.server.session.picture)


def _download(handler: Handler) -> None:
    text = handler.server.session.text().encode("utf-8", "surrogateescape")
    offered = {"Content-Disposition": 'attachment; filename="scenario-changed.yaml"'}
    handler.send(HTTPStatus.OK, "application/yaml", text, **offered)


def _switch(handler: Handler) -> None:
    asked = handler.body()
    choices, base = asked.get("choices", {}), asked.get("base")
    if not isinstance(choices, dict) or not isinstance(base, str | None):
        raise Refused(HTTPStatus.BAD_REQUEST, "choices is an object, base a text")
    handler.server.session.switch(choices, base)
    handler.reply({})


def _move(turn: Callable[[Session], None]) -> Callable[[Handler], None]:
    def move(handler: Handler) -> None:
        handler.body()
        turn(handler.server.session)
        handler.reply({})

    return move


def _save(handler: Handler) -> None:
    handler.body()
    handler.reply({"saved": handler.server.session.save()})


_GET: dict[str, Callable[[Handler], None]] = {"": _page, "news": _news, "picture": _picture, "scenario.yaml": _download}
_POST: dict[str, Callable[[Handler], None]] = {
    "switch": _switch, "undo": _move(Session.undo), "redo": _move(Session.redo), "reset": _move(Session.reset), "save": _save}
