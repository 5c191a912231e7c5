"""A scenario's text with one more variant: every line and comment stays where it is, and below ``variants:`` there is a new item.

The new text is read again before it is given away; where it would not say the same and the variant (a style of writing that is
not foreseen here), the scenario is written anew, without its comments.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from ..errors import UsageError
from ..scenario.load import load_text
from ..scenario.reader import parse
from ..scenario.resources import UNWRITTEN, IPPool
from ..scenario.scenario import Scenario
from ..scenario.schema import VariantSpec
from ..scenario.variants import AS_IS
from .toggles import document_of

MOST_NAMES = 1000


def changed_text(scenario: Scenario, change: VariantSpec) -> str:
    """The scenario's file with the change as a variant. Without documents of pools a default one is supposed – unless a variant
    brings its own: then what was supposed is said, so that the file as it stands keeps its meaning."""
    text = scenario.draft.sources.texts[scenario.path]
    made = with_variant(text, change)
    if _pools(load_text(made, scenario.path)) == _pools(scenario):
        return made
    return with_variant(text, change, tuple(document_of(pool, str(pool.cidr)) for pool in scenario.resources.pools))


def _pools(scenario: Scenario) -> list[IPPool]:
    return [replace(pool, mark=UNWRITTEN) for pool in scenario.resources.pools]


def with_variant(text: str, change: VariantSpec, documents: tuple[dict[str, Any], ...] = ()) -> str:
    """The text with the variant, and with these documents at its end."""
    item = _item(change)
    values = [one.value for one in parse(text, "")[0]]
    wanted = [_with_item(values[0], item), *values[1:], *documents]
    patched = _appended(_patched(text, item), documents)
    found, problems = parse(patched, "")
    if not problems and [one.value for one in found] == wanted:
        return patched
    return str(yaml.safe_dump_all(wanted, sort_keys=False, allow_unicode=True, explicit_start=True))


def free_name(path: str) -> Path:
    """A file beside the scenario that is not there yet: ``three-az-changed.yaml``, ``three-az-changed-2.yaml`` …"""
    source = Path(path)
    for number in range(1, MOST_NAMES):
        name = source.with_name(f"{source.stem}-changed{'' if number == 1 else f'-{number}'}{source.suffix or '.yaml'}")
        if not os.path.lexists(name):
            return name
    raise UsageError(f"there are {MOST_NAMES:,} files like {source.stem}-changed{source.suffix} already; remove some")


def save(path: str, text: str) -> Path:
    """Write a new file beside the scenario; whatever is there already is never touched."""
    while True:
        name = free_name(path)
        try:
            with open(name, "x", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
            return name
        except FileExistsError:
            continue                              # somebody was quicker
        except OSError as error:
            raise UsageError(f"{name} cannot be written: {error.strerror or error}; use Download instead") from None


def _item(change: VariantSpec) -> dict[str, Any]:
    parts = {"set": change.set, "apply": change.apply, "delete": change.delete}
    return {"name": change.name, **{key: value for key, value in parts.items() if value}}


def _with_item(value: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    spec = value["spec"]
    listed = spec.get("variants") or [AS_IS]      # where none is listed, what one compares it with
    return {**value, "spec": {**spec, "variants": [*listed, item]}}


def _patched(text: str, item: dict[str, Any]) -> str:
    root = next(iter(yaml.compose_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))))
    spec = _child(root, "spec")
    variants = _child(spec, "variants")
    if variants is None:
        if spec.flow_style:
            return _before_end(text, spec, f"variants: [{AS_IS}, {_flow([item])[1:-1]}]")
        return _after(text, spec, _block({"variants": [AS_IS, item]}), spec.start_mark.column)
    if not isinstance(variants, yaml.SequenceNode):
        return text
    if _short(spec, variants):
        items = [f"- {text[one.start_mark.index:one.end_mark.index]}\n" for one in variants.value] or [f"- {AS_IS}\n"]
        before = text[:variants.start_mark.index].rstrip(" ")
        return _below(
            before + text[variants.end_mark.index:], len(before), "".join(items) + _block([item]), spec.start_mark.column + 2)
    if variants.flow_style:
        listed = [item] if variants.value else [AS_IS, item]
        return _before_end(text, variants, _flow(listed)[1:-1])
    return _after(text, variants, _block([item]), variants.start_mark.column)


def _child(node: yaml.Node, key: str) -> Any:
    return next((value for name, value in node.value if name.value == key), None)


def _before_end(text: str, node: Any, addition: str) -> str:
    """Into a flow collection, before its closing bracket."""
    end = node.end_mark.index - 1
    before = text[:end].rstrip()
    comma = "" if before[-1] in "[{," else ","
    return f"{before}{comma} {addition}{text[end:]}" if before[-1] not in "[{" else f"{before}{addition}{text[end:]}"


def _after(text: str, node: Any, lines: str, column: int) -> str:
    """Below the last line of a block collection, with its indentation."""
    end, fresh = _last(node)
    return _below(text, end - 1 if fresh else end, lines, column)


def _short(spec: Any, variants: Any) -> bool:
    """``variants: [as-is, overlay-ipip]`` on one line: better as a list below."""
    on_a_line = variants.start_mark.line == variants.end_mark.line and not spec.flow_style
    return bool(variants.flow_style) and on_a_line and all(isinstance(one, yaml.ScalarNode) for one in variants.value)


def _below(text: str, place: int, lines: str, column: int) -> str:
    """Below the line of a place."""
    newline = text.find("\n", place)
    end = len(text) if newline < 0 else newline + 1
    indented = "".join(" " * column + line for line in lines.splitlines(keepends=True))
    between = "" if text[:end].endswith("\n") else "\n"
    return text[:end] + between + indented + text[end:]


def _last(node: Any) -> tuple[int, bool]:
    """Where a node's last character stands, and whether that is the start of a fresh line (behind a literal block)."""
    pending, found = [node], (0, False)
    while pending:
        one = pending.pop()
        if isinstance(one, yaml.ScalarNode) or one.flow_style:
            found = max(found, (one.end_mark.index, one.end_mark.column == 0))
        elif one.value:
            last = one.value[-1]
            pending += last if isinstance(last, tuple) else [last]
    return found


def _block(value: Any) -> str:
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=None, width=130))


def _flow(value: Any) -> str:
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=True, width=10**9)).strip()


def _appended(text: str, documents: tuple[dict[str, Any], ...]) -> str:
    between = "" if not documents or text.endswith("\n") else "\n"
    return text + between + "".join(f"---\n{_block(one)}" for one in documents)
