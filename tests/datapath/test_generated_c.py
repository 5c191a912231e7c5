"""The promise of the compiled core: where the GIL is released nothing of Python is called (read in the generated C)."""

import re
from pathlib import Path

import pytest

from calisim import _fastpath

SOURCE = Path(_fastpath.__file__).parent / "_fastpath.c"
PYTHON_CALL = re.compile(r"\b(?:Py[A-Z]\w+|__Pyx_(?:Raise|Py|GOTREF|XDECREF|DECREF|INCREF|Get|Import|AddTraceback)\w*)\s*\(")
STAGE = r"^static CYTHON_INLINE [^;{]*?(__pyx_f_7calisim_8datapath_6stages_\w+)\([^;{]*\) \{\n(.*?)^\}"
GIL = ("PyEval_SaveThread", "PyEval_RestoreThread", "Py_UNBLOCK_THREADS", "Py_BLOCK_THREADS")


@pytest.fixture(scope="module")
def source() -> str:
    if not SOURCE.exists():
        pytest.skip("the generated C is not beside the module (installed from a wheel)")
    return SOURCE.read_text()


def test_released_sections_call_no_python(source: str) -> None:
    sections = re.findall(r"PyEval_SaveThread\(\)(.*?)PyEval_RestoreThread", source, re.S)
    sections = [section for section in sections if "__pyx_f_7calisim" in section]
    assert len(sections) >= 3                        # step, reindex, lookup
    for section in sections:
        assert PYTHON_CALL.findall(without_cleanup(section)) == []


def test_stages_call_no_python(source: str) -> None:
    bodies = re.findall(STAGE, source, re.S | re.M)
    names = {name.partition("_6stages_")[2].lstrip("0123456789_") for name, _ in bodies}
    assert names >= {"walk_walk", "lookup_resolve", "track_find", "fabric_fabric", "translate_translate"}
    for name, body in bodies:
        assert PYTHON_CALL.findall(body) == [], name


def without_cleanup(section: str) -> str:
    """Taking and giving back the GIL itself is no call."""
    return re.sub("|".join(GIL), "", section)
