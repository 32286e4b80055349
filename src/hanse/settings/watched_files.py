"""Reloads what was read from files of the config folder when the files change: users, roles, peers, keys, authorities.

Polls, since a change must be seen on every kind of file system; a file replaced by one of the same age and size is seen
too. Reading happens off the event loop. Tests: tests/settings/test_watched_files.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

POLL_S = 1.0
"""Elasticsearch promises five seconds."""

_Seen = tuple[tuple[int, int, int, int] | None, ...]


class Reloadable(Protocol):
    @property
    def files(self) -> tuple[Path, ...]: ...

    def reload(self) -> object:
        """Never raises: a file that cannot be read is logged and changes nothing."""
        ...


class WatchedFiles:
    """Knows how the files looked when they were read."""

    def __init__(self, readers: Iterable[Reloadable], poll_s: float = POLL_S) -> None:
        self._poll_s = poll_s
        # Nothing counts as seen yet: a file may change between a reader's first reading and the first check.
        self._seen: list[tuple[Reloadable, _Seen]] = [(reader, ()) for reader in readers]

    def check(self) -> bool:
        """Reloads the readers whose files have changed. Blocks for as long as reading takes."""
        changed = self.changed()
        for reader in changed:
            reader.reload()
        return bool(changed)

    def changed(self) -> list[Reloadable]:
        """The readers whose files have changed since the last look, which have to be reloaded now."""
        changed = []
        for at, (reader, before) in enumerate(self._seen):
            now = _look(reader.files)
            if now != before:
                # Looked at first: a change during the reading is seen the next time.
                self._seen[at] = (reader, now)
                changed.append(reader)
        return changed

    async def watch(self, changed: Callable[[], None] = lambda: None) -> None:
        """Checks until it is cancelled; calls `changed` on the event loop after something was reloaded."""
        while self._seen:
            await asyncio.sleep(self._poll_s)
            if await asyncio.to_thread(self.check):
                changed()


def _look(files: tuple[Path, ...]) -> _Seen:
    return tuple(_signs(path) for path in files)


def _signs(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
