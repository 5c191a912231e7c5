"""The pages' tables: keys of the scenario's sections, fields of records, verdicts, drop reasons, commands and their options."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from calisim.cli.main import COMMANDS, cli
from calisim.scenario.json_schema import generate
from calisim.scenario.variants import BUILT_IN
from calisim.vocabulary import DropReason, Verdict, fields, records, stages

from .pages import ROOT

SCHEMA = json.loads(generate())
SECTIONS = {"ScenarioFile": SCHEMA, **SCHEMA["$defs"]}
CASES = ROOT / "tests" / "cases" / "reasons"
FORMATS = {"protocol": "[protocol](#protocols)", "drop reason": "[drop reason](reasons.md)"}
PLURALS = {"prefix": "prefixes", "number": "numbers"}
NOT_RUN = {"bench": "takes minutes; the measurements behind it have tests of their own"}
LARGEST = {2**31 - 1: "2³¹−1", 2**63 - 1: "2⁶³−1"}


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    cells = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", r"\|") for cell in row).strip() + " |\n" for row in cells)


# The scenario file

def keys(name: str) -> str:
    """The keys of a section, as the schema has them."""
    section = SECTIONS[name]
    required = dict.fromkeys(section.get("required", ()), "required")
    return table(["key", "type", "default", "meaning"], (
        [f"`{key}`", type_of(value), required.get(key) or default_of(value), value["description"]]
        for key, value in section["properties"].items()))


def default_of(value: dict[str, Any]) -> str:
    default = value.get("default")
    return "" if default in (None, "") or isinstance(default, (list, dict)) else f"`{json.dumps(default)}`".replace('"', "")


def type_of(value: dict[str, Any]) -> str:
    """A value's type in words."""
    if "format" in value:
        return FORMATS.get(value["format"], value["format"])
    if "anyOf" in value or "oneOf" in value:
        return " or ".join(type_of(one) for one in value.get("anyOf") or value["oneOf"] if one.get("type") != "null")
    if "$ref" in value:
        return link(value["$ref"].rpartition("/")[2])
    if "enum" in value or "const" in value:
        return ", ".join(f"`{one}`" for one in value.get("enum") or [value["const"]])
    inner = value.get("items") or value.get("additionalProperties")
    match value["type"]:
        case "array":
            words = type_of(inner)
            return f"list of {PLURALS.get(words, words)}"
        case "object" if isinstance(inner, dict):
            return f"{type_of(inner)} by name"
        case "integer":
            return number(value)
    return {"string": "text", "boolean": "bool", "object": "mapping"}[value["type"]]


def number(value: dict[str, Any]) -> str:
    """A range, with its unit."""
    low, high = value.get("minimum"), value.get("maximum")
    if low is None:
        return "number"
    span = f"≥ {low}" if high is None else f"{low} … {LARGEST.get(high, f'{high:,}' if high > 65535 else high)}"
    return f"{span} {value.get('unit', '')}".strip()


def link(section: str) -> str:
    """A section by the heading under which its keys are."""
    page = (ROOT / "docs" / "scenario.md").read_text(encoding="utf-8")
    before = page[:page.index(f"<!-- keys of: {section} -->")]
    heading = re.findall(r"^#+ (.+)$", before, re.MULTILINE)[-1]
    return f"[{heading}](#{heading.lower().replace(' ', '-')})"


def variants(_: str) -> str:
    """The built-in variants."""
    modes = {id: f"`ipipMode: {one.ipip_mode}`, `vxlanMode: {one.vxlan_mode}`" for id, one in BUILT_IN.items() if one.ipip_mode}
    return table(["id", "every pool gets"], ([f"`{id}`", modes.get(id, "what the documents say")] for id in BUILT_IN))


# The vocabulary

def record(name: str) -> str:
    """The fields of a record."""
    dtype = getattr(records, name)
    return table(["field", "type", "meaning"], (
        [f"`{field}`", dtype[field].name, fields.MEANING[name][field]] for field in dtype.names))


def words(name: str) -> str:
    """The members of an enumeration with the comments behind them."""
    members = re.findall(r"^ {4}([A-Z]\w+) = (\w+)(?: +# (.+))?$", inspect.getsource(getattr(stages, name)), re.MULTILINE)
    return table(["name", "code", "meaning"], ([f"`{word}`", code, says] for word, code, says in members))


def verdicts(_: str) -> str:
    counts = {(True, False): "success", (False, True): "failure"}
    return table(["verdict", "code", "counts as", "meaning"], (
        [f"`{one.name}`", int(one), counts.get((one.success, one.failure), "neither"), one.sentence]
        for one in Verdict if one is not Verdict.NONE))


def reasons(_: str) -> str:
    """All drop reasons: an index, then cause, cure and example of each."""
    known = [reason for reason in DropReason if reason is not DropReason.NONE]
    index = table(["code", "reason", "stage", "severity"], (
        [int(one), f"[{one.name}](#{one.name.lower()})", one.stage.name, one.severity.name.lower()] for one in known))
    return index + "".join(map(_reason, known))


def _reason(reason: DropReason) -> str:
    case = CASES / f"{reason.name.lower()}.yaml"
    example = "none yet: nothing that is modelled causes it."
    if case.exists():
        says = case.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        example = f"{says} [`{case.relative_to(ROOT)}`](../{case.relative_to(ROOT)})"
    return (
        f"\n## {reason.name}\n\nCode {reason.value}, decided at stage {reason.stage.name}, {reason.severity.name.lower()}.\n\n"
        f"- **Cause** {reason.sentence}\n- **Cure** {reason.remedy}\n- **Example** {example}\n")


# The command line

def commands(_: str) -> str:
    """Every command: what it does, how it is called, its options, its examples."""
    top = click.Context(cli, info_name="calisim", terminal_width=100)
    return "\n".join(_command(cli.get_command(top, name), name, top, "##") for name in COMMANDS)


def _command(command: click.Command | None, name: str, above: click.Context, level: str) -> str:
    assert command is not None and command.help is not None
    context = click.Context(command, info_name=name, parent=above, terminal_width=100)
    title = context.command_path.removeprefix("calisim ")
    parts = [f"{level} {title}\n", f"{_paragraphs(command.help)}\n"]
    if isinstance(command, click.Group):
        inner = command.list_commands(context)
        parts += [_command(command.get_command(context, one), one, context, level + "#") for one in inner]
    else:
        parts.append(f"```text\n{command.get_usage(context).removeprefix('Usage: ')}\n```\n")
        told = [one.get_help_record(context) for one in command.params if isinstance(one, click.Option)]
        rows = [[f"`{found[0]}`", found[1].replace("*", r"\*")] for found in told if found]
        parts += [table(["option", ""], rows)] if rows else []
    examples = re.findall(r"^ +(.+)$", (command.epilog or "").partition("Examples:\n")[2], re.MULTILINE)
    if examples:
        mark = f"<!-- not run: {NOT_RUN[name]} -->\n" if name in NOT_RUN else ""
        parts.append(f"{mark}```sh\n" + "".join(f"{one}\n" for one in examples) + "```\n")
    return "\n".join(parts)


def _paragraphs(text: str) -> str:
    """A help text without its indentation and click's marks."""
    return "\n".join(line.strip() for line in text.replace("\b\n", "").replace("<", r"\<").strip().splitlines())


KINDS: dict[str, Callable[[str], str]] = {
    "keys": keys, "variants": variants, "record": record, "words": words, "verdicts": verdicts, "reasons": reasons,
    "commands": commands,
}
