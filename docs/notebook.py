"""Runs the notebook: each cell's outputs become what its code gives.

    python -m docs.notebook            # write
    python -m docs.notebook --check    # exit 1 if the notebook shows something else than its code gives now

Needs no Jupyter. Pictures (PNG) are drawn anew when they are written and only missed when checked: other versions of matplotlib
draw other bytes. Without matplotlib the cells that plot are left as they are.
"""

from __future__ import annotations

import ast
import base64
import io
import json
import os
import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).resolve().parent / "notebook.ipynb"
PLOTS = "calisim.plot("


def outputs(source: str, names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """What a notebook shows below a cell: what it printed, and the value of an expression at its end."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with redirect_stdout(printed):
        exec(compile(tree, "<cell>", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    shown: list[dict[str, Any]] = []
    if printed.getvalue():
        shown.append({"name": "stdout", "output_type": "stream", "text": lines(printed.getvalue())})
    if value is not None:
        data, metadata = bundle(value)
        shown.append({"data": data, "execution_count": count, "metadata": metadata, "output_type": "execute_result"})
    return shown


def bundle(value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A value in every form in which it shows itself."""
    data: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    if hasattr(value, "_repr_png_"):
        png, metadata["image/png"] = value._repr_png_()
        data["image/png"] = base64.b64encode(png).decode()
    if hasattr(value, "_repr_html_"):
        data["text/html"] = lines(value._repr_html_())
    return {**data, "text/plain": lines(repr(value))}, metadata


def lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def comparable(shown: list[dict[str, Any]]) -> str:
    """Without the bytes of pictures."""
    return json.dumps([
        {**one, "data": {form: None if form == "image/png" else value for form, value in one["data"].items()}} if "data" in one
        else one for one in shown], sort_keys=True)


def main() -> int:
    check = "--check" in sys.argv[1:]
    book = json.loads(NOTEBOOK.read_text("utf-8"))
    os.chdir(NOTEBOOK.parent)
    names: dict[str, Any] = {"__name__": "__main__"}
    stale, number = [], 0
    for cell in book["cells"]:
        if cell["cell_type"] != "code":
            continue
        number += 1
        source = "".join(cell["source"])
        if PLOTS in source and find_spec("matplotlib") is None:
            print(f"cell {number} is left as it is: matplotlib is not installed", file=sys.stderr)
            continue
        now = outputs(source, names, number)
        if comparable(now) != comparable(cell["outputs"]) or cell["execution_count"] != number:
            stale.append(number)
            cell["outputs"], cell["execution_count"] = now, number
    if check:
        for number in stale:
            print(f"cell {number} of {NOTEBOOK.name} shows something else than its code gives", file=sys.stderr)
        return int(bool(stale))
    if stale:
        NOTEBOOK.write_text(json.dumps(book, indent=1, ensure_ascii=False, sort_keys=True) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
