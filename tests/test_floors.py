"""Imports run one way: every module imports from lower floors, its own folder, or the same floor without a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = {
    "vocabulary": 0, "wire": 0, "errors": 0, "quantities": 0, "selector": 0, "parts": 0, "sequences": 0, "lines": 0,
    "scenario": 1, "model": 2, "control": 3, "fib": 4,
    "datapath": 5, "traffic": 5, "_fastpath": 5, "analysis": 6, "report": 7, "labs": 8, "conformance": 8,
    "bench": 8, "view": 8, "cli": 9,
    "__main__": 10,
    "": 10,                          # the package itself: its public names come from everywhere, lazily
}
ALWAYS_LAZY = "calisim"              # whose __init__ may name any floor


def modules() -> dict[str, Path]:
    """Dotted name → file of every module of the package."""
    found = {}
    for path in sorted([*(ROOT / "calisim").rglob("*.py"), *(ROOT / "calisim").rglob("*.pyi")]):       # compiled ones, too
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def resolve(module: str, node: ast.ImportFrom) -> list[str]:
    """The modules that ``from … import …`` names."""
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    base = node.module or ""
    if node.level:
        parent = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*parent, *([node.module] if node.module else [])])
    return [f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base for alias in node.names]


def statements(tree: ast.AST, *, lazy: bool) -> Iterator[ast.stmt]:
    """Imports of a module; those inside functions and under TYPE_CHECKING only if ``lazy``."""
    for node in ast.iter_child_nodes(tree):
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif lazy or not (inside or typing):
            yield from statements(node, lazy=lazy)


def imported(module: str, *, lazy: bool = True) -> set[str]:
    """Dotted names that a module imports, other packages' included."""
    path = MODULES[module]
    names: set[str] = set()
    if path.exists():
        for node in statements(ast.parse(path.read_text(), str(path)), lazy=lazy):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                names.update(resolve(module, node))
    return names


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def own(names: set[str]) -> set[str]:
    return {name for name in names if name.split(".")[0] == "calisim"}


@pytest.mark.parametrize("module", MODULES)
def test_imports_come_from_lower_floors(module: str) -> None:
    assert room(module) in FLOORS, f"{module}: say in FLOORS on which floor {room(module)!r} is"
    if module == ALWAYS_LAZY:
        return
    wrong = {
        name for name in own(imported(module))
        if room(name) != room(module) and FLOORS[room(name)] >= FLOORS[room(module)]
        and not (room(name) == "_fastpath" and room(module) == "datapath")      # its door is opened by datapath/engine.py
        and not (FLOORS[room(name)] == FLOORS[room(module)] == 0)               # words, errors and quantities may know each other
    }
    assert not wrong, f"{module} imports from its own floor's other rooms or from above: {sorted(wrong)}"


def test_vocabulary_knows_nothing_else() -> None:
    """setup.py reads it before the package is built."""
    for module in MODULES:
        if room(module) == "vocabulary":
            assert {room(name) for name in own(imported(module))} <= {"vocabulary"}, module


def test_no_import_circles() -> None:
    graph = nx.DiGraph()
    for module in MODULES:
        for name in own(imported(module, lazy=False)) & set(MODULES):
            if name != module and not module.startswith(name + "."):            # a package's own __init__ is not a circle
                graph.add_edge(module, name)
    circles = [circle for circle in nx.strongly_connected_components(graph) if len(circle) > 1]
    assert not circles, f"modules import each other in a circle: {[sorted(circle) for circle in circles]}"


def test_control_has_no_arrays() -> None:
    for module in MODULES:
        if room(module) in ("control", "model", "scenario"):
            assert "numpy" not in {name.split(".")[0] for name in imported(module)}, module


def test_reference_does_not_know_the_compiled_tables() -> None:
    for module in MODULES:
        if module.startswith("calisim.datapath.reference"):
            assert not {name for name in own(imported(module)) if room(name) in ("fib", "_fastpath")}, module


def test_only_the_engine_knows_both_twins() -> None:
    for module in MODULES:
        names = own(imported(module))
        knows_reference = any(name.startswith("calisim.datapath.reference") for name in names)
        knows_fast = "calisim._fastpath" in names
        assert not (knows_reference and knows_fast) or module == "calisim.datapath.engine", module
