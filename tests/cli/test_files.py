"""Whole or absent: files, folders, links, devices."""

from __future__ import annotations

from pathlib import Path

import pytest

from calisim.cli.files import whole_file, whole_folder
from calisim.errors import UsageError


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_there_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "made"
    with whole_file(str(target)) as stream:
        stream.write(b"all")
        assert not target.exists()
    assert target.read_bytes() == b"all" and leftovers(tmp_path) == ["made"]


def test_a_broken_off_file_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "made"
    target.write_bytes(b"old")
    target.chmod(0o640)
    with pytest.raises(KeyError), whole_file(str(target)) as stream:
        stream.write(b"half")
        raise KeyError
    assert target.read_bytes() == b"old" and leftovers(tmp_path) == ["made"]
    with whole_file(str(target)) as stream:
        stream.write(b"new")
    assert target.read_bytes() == b"new" and target.stat().st_mode & 0o777 == 0o640


def test_links_stay_and_devices_are_written_to(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "made")
    with whole_file(str(tmp_path / "link")) as stream:
        stream.write(b"all")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "made").read_bytes() == b"all"
    with whole_file("/dev/null") as stream:
        stream.write(b"gone")
    assert not Path("/dev/null").is_file()


def test_a_folder_is_there_when_it_is_complete(tmp_path: Path) -> None:
    with whole_folder(f"{tmp_path}/made/") as folder:
        (folder / "one").write_text("1")
        assert not (tmp_path / "made").exists()
    assert leftovers(tmp_path) == ["made"] and leftovers(tmp_path / "made") == ["one"]
    with pytest.raises(KeyError), whole_folder(str(tmp_path / "other")):
        raise KeyError
    assert leftovers(tmp_path) == ["made"]


def test_an_empty_folder_is_filled_a_full_one_refused(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    with whole_folder(str(tmp_path / "made")) as folder:
        (folder / "one").write_text("1")
    with pytest.raises(UsageError, match="not empty"), whole_folder(str(tmp_path / "made")):
        pass
    assert leftovers(tmp_path / "made") == ["one"]


@pytest.mark.parametrize("opener", [whole_file, whole_folder])
def test_what_cannot_be_written_is_said(tmp_path: Path, opener) -> None:
    with pytest.raises(UsageError, match="cannot be written"), opener(str(tmp_path / "nowhere" / "made")):
        pass
