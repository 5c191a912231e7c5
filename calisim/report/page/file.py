"""The page's file: the front end and its data in one HTML text that loads nothing and lets nothing be loaded.

The modules of ``web/`` are joined in the order of their imports. The data is JSON in a block of its own, in which no byte can end
the block; the policy in the file's head names scripts and style sheet by their SHA-256 and forbids everything else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

ENTRY = "main.js"
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w-]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=const|class|function|async)", re.MULTILINE)
_UNSAFE = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def page(document: dict[str, Any]) -> str:
    """The whole file."""
    return framed(document["scenario"]["name"], data(document), policy(ENTRY), ENTRY)


def policy(entry: str, more: str = "") -> str:
    """What a page that begins with this module may do: nothing but itself, and ``more``."""
    hashes = f"style-src '{_hash(_read('page.css'))}'; script-src '{_hash(modules(entry))}'"
    return f"default-src 'none'; {hashes}; base-uri 'none'; form-action 'none'{more}"


def framed(name: str, content: str, policy: str, entry: str) -> str:
    """A page of that module over JSON that may stand in a script block (see :func:`data`)."""
    parts = {
        "title": escape(f"{name} – calisim"), "policy": escape(policy, quote=False), "style": _read("page.css"), "data": content,
        "script": modules(entry)}
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _read("page.html"))


def data(document: dict[str, Any]) -> str:
    """JSON that may stand in a script block: no ``<``, so neither end tag nor comment, and no line separator of JavaScript."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).translate(_UNSAFE)


@cache
def modules(entry: str) -> str:
    """A module and all that it imports, each once and after what it needs, as one script."""
    parts: list[str] = []
    _collect(entry, {}, parts)
    return "".join(parts)


def _collect(name: str, seen: dict[str, bool], parts: list[str]) -> None:
    if name in seen:
        assert seen[name], f"{name} imports itself"
        return
    seen[name] = False
    text = _read(name)
    for imported in _IMPORT.findall(text):
        _collect(imported, seen, parts)
    seen[name] = True
    parts.append(f"// {name}\n{_EXPORT.sub('', _IMPORT.sub('', text))}")


@cache
def _read(name: str) -> str:
    return files(__package__).joinpath("web", name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
