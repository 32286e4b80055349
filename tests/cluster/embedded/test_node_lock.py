"""One node per data folder, held by the kernel for as long as the process lives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hanse.cluster.embedded.node_lock import NodeLock
from hanse.errors import SettingsError

HOLD = """
import pathlib, sys
from hanse.cluster.embedded.node_lock import NodeLock
NodeLock(pathlib.Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_node_on_the_folder_is_refused_until_the_first_has_died(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        lock = NodeLock(tmp_path)
        with pytest.raises(SettingsError) as refused:
            lock.acquire()
        assert refused.value.reason == (
            f"failed to obtain node locks, tried [{tmp_path}]; maybe these locations are not writable or multiple "
            f"nodes were started on the same data path?"
        )
        assert not lock.is_held
    finally:
        holder.kill()
        holder.communicate()
    lock.acquire()
    assert lock.is_held
    lock.release()


def test_a_released_folder_can_be_locked_again(tmp_path: Path) -> None:
    lock = NodeLock(tmp_path / "made" / "on the way")
    for _ in range(2):
        lock.acquire()
        lock.release()
    assert not lock.is_held


def test_a_folder_that_cannot_be_made_is_refused_with_the_same_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="failed to obtain node locks"):
        NodeLock(tmp_path / "file" / "data").acquire()
