"""The lock on a data folder: one node at a time. The kernel lets go of it when the process dies, however it dies.

Tests: tests/cluster/embedded/test_node_lock.py.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from hanse.errors import SettingsError

LOCK_FILE = "node.lock"


class NodeLock:
    """Holds `node.lock` of a data folder from `acquire` to `release`; makes the folder when it is missing."""

    def __init__(self, data_path: Path) -> None:
        self._data_path = data_path
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        return self._descriptor is not None

    def acquire(self) -> None:
        """Raises SettingsError when another node has the folder or it cannot be written."""
        if self._descriptor is not None:
            return
        try:
            self._data_path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._data_path / LOCK_FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._refused() from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise self._refused() from error
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _refused(self) -> SettingsError:
        return SettingsError(
            f"failed to obtain node locks, tried [{self._data_path}]; maybe these locations are not writable or "
            f"multiple nodes were started on the same data path?"
        )
