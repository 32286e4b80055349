"""A change of a file is seen at the next check, also one that looks alike."""

from __future__ import annotations

import os
from pathlib import Path

from hanse.settings.watched_files import WatchedFiles


class Reader:
    def __init__(self, *files: Path) -> None:
        self.files = files
        self.reloads = 0

    def reload(self) -> None:
        self.reloads += 1


def test_only_readers_of_changed_files_reload(tmp_path: Path) -> None:
    one, other = Reader(tmp_path / "a", tmp_path / "b"), Reader(tmp_path / "c")
    watched = WatchedFiles([one, other])
    assert watched.check()  # whatever changed since they were read first
    assert not watched.check()
    (tmp_path / "b").write_text("x")
    assert watched.check()
    assert (one.reloads, other.reloads) == (2, 1)
    (tmp_path / "b").unlink()
    watched.check()
    assert not watched.check()
    assert (one.reloads, other.reloads) == (3, 1)


def test_a_file_of_the_same_age_and_size_in_its_place_is_seen(tmp_path: Path) -> None:
    path, fresh = tmp_path / "users", tmp_path / "fresh"
    path.write_text("one")
    reader = Reader(path)
    watched = WatchedFiles([reader])
    watched.check()
    before = path.stat()
    fresh.write_text("two")
    os.utime(fresh, ns=(before.st_atime_ns, before.st_mtime_ns))
    fresh.replace(path)
    assert watched.check()


async def test_nothing_to_watch_ends_at_once() -> None:
    await WatchedFiles([]).watch()
