"""What a user would pick instead, each as its own experts would write it. None of them is needed, whoever is there takes part."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

PACKAGES = {"numba": "numba", "pytricia": "pytricia", "py-radix": "radix", "scapy": "scapy"}     # what pip calls it, the module


def missing(names: Iterable[str]) -> dict[str, str]:
    """Rivals that cannot take part, and why."""
    found = {}
    for name in names:
        try:
            import_module(PACKAGES[name])
        except Exception as error:              # noqa: BLE001 – whatever a foreign package does when it is imported
            found[name] = f"not installed (pip install {name})" if isinstance(error, ImportError) else f"cannot be used: {error}"
    return found
