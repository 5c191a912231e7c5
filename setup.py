"""Builds the compiled core and the loops that make its tables. Before that, writes ``calisim/_vocabulary.pxd`` from
``calisim/vocabulary``, so that C and Python share one list of enums and records. Everything else about the package stands in
pyproject.toml.
"""

import os
import platform
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, PlatformError

ROOT = Path(__file__).resolve().parent
NO_COMPILER = (
    "calisim needs a C compiler to build its packet core: on Debian or Ubuntu run 'apt install gcc python3-dev', "
    "on Fedora 'dnf install gcc python3-devel', on macOS 'xcode-select --install'.")


def write_vocabulary() -> None:
    """Only ``vocabulary`` is imported (standard library and numpy), never the package that is not built yet."""
    sys.path.insert(0, str(ROOT / "calisim"))
    try:
        from vocabulary.declarations import declarations
    finally:
        sys.path.pop(0)
    target, text = ROOT / "calisim" / "_vocabulary.pxd", declarations()
    if not target.exists() or target.read_text() != text:        # an unchanged file keeps its date: no needless rebuild
        target.write_text(text)


class BuildCore(build_ext):
    """Says in one sentence what is missing where there is no compiler."""

    def build_extension(self, extension):
        try:
            super().build_extension(extension)
        except PlatformError as error:
            raise SystemExit(NO_COMPILER) from error
        except CompileError as error:
            from shutil import which
            compiler = self.compiler.compiler[0] if getattr(self.compiler, "compiler", None) else "cc"
            if which(compiler) is None:
                raise SystemExit(NO_COMPILER) from error
            raise


write_vocabulary()
x86 = platform.machine().lower() in ("x86_64", "amd64")
CFLAGS = os.environ.get("CALISIM_CFLAGS", "").split()        # the last ones win: make sanitize
core = Extension(
    "calisim._fastpath", ["calisim/_fastpath.pyx"],
    include_dirs=["calisim/datapath/stages"],
    depends=["calisim/_vocabulary.pxd", "calisim/datapath/stages/intrinsics.h"],
    define_macros=[("CYTHON_WITHOUT_ASSERTIONS", "1")],
    # x86-64-v2: every server since 2009; -march=native is worth at most a tenth and would not run elsewhere
    # -Wno-attributes: Cython declares all functions inline, some are kept out of their callers (stages/intrinsics.h)
    extra_compile_args=["-O3", "-fno-strict-aliasing", "-fno-tree-slp-vectorize", "-Wno-attributes",
                         *(["-march=x86-64-v2"] if x86 else []), *CFLAGS],
)
loops = Extension(
    "calisim.fib._loops", ["calisim/fib/_loops.pyx"], depends=["calisim/_vocabulary.pxd"],
    extra_compile_args=["-O3", "-fno-strict-aliasing", *CFLAGS],
)
setup(
    ext_modules=cythonize([core, loops], language_level=3, compiler_directives={
        "boundscheck": False, "wraparound": False, "cdivision": True, "initializedcheck": False}),
    cmdclass={"build_ext": BuildCore},
)
