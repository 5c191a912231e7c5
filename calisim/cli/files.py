"""Files and folders that are either complete or not there: made beside their place, which they take at the end."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import UsageError


@contextmanager
def whole_file(path: str) -> Iterator[BinaryIO]:
    """A stream into a file. A link stays a link, and what is no file (a device, a pipe) is written to, never replaced."""
    target = os.path.realpath(path)
    with _sayable(path):
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, "wb") as stream:
                yield stream
            return
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(target), prefix=f".{os.path.basename(target)}.")
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
            os.chmod(temporary, _mode_of(target))
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise


@contextmanager
def whole_folder(path: str) -> Iterator[Path]:
    """A folder to fill, new or empty before: nothing that lies in one is ever replaced."""
    target = os.path.realpath(path)
    with _sayable(path):
        if os.path.isdir(target) and os.listdir(target):
            raise UsageError(f"{path} is not empty; name a new folder")
        temporary = tempfile.mkdtemp(dir=os.path.dirname(target), prefix=f".{os.path.basename(target)}.")
        try:
            yield Path(temporary)
            os.chmod(temporary, 0o777 & ~_umask())
            os.replace(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


@contextmanager
def _sayable(path: str) -> Iterator[None]:
    """What the system refuses, in one sentence."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from None


def _mode_of(path: str) -> int:
    """Permissions of the file that is replaced, else those a new file gets."""
    try:
        return os.stat(path).st_mode & 0o777
    except OSError:
        return 0o666 & ~_umask()


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
