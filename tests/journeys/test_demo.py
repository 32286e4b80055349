"""`hanse demo`: the whole tour on real processes, ending with status 0 and no stack trace."""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
from contextlib import suppress
from pathlib import Path


def toured(*options: str) -> str:
    command = [sys.executable, "-m", "hanse", "demo", "--once", *options]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    printed = done.stdout.decode()
    assert done.returncode == 0, printed + done.stderr.decode()
    assert "Traceback" not in printed
    return printed


def test_the_tour() -> None:
    printed = toured()
    assert "bergen:cities" in printed
    assert "403 security_exception" in printed
    assert "follow_index_created" in printed


def test_the_tour_with_a_cluster_of_three_that_loses_a_node() -> None:
    printed = toured("--nodes", "3")
    assert "searching goes on: 964 cities" in printed
    assert "and Lübeck, which follows, has it too" in printed
    assert "Bergen is yellow: 2 nodes are left" in printed


def test_at_a_terminal_it_stays_up_until_ctrl_c_and_its_commands_can_be_pasted(tmp_path: Path) -> None:
    """The terminal is narrower than the commands; `curl` is run while the clusters stay up."""
    process, terminal = pty.fork()
    if process == 0:
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": "70", "LINES": "40"}
        os.execv(sys.executable, [sys.executable, "-m", "hanse", "demo", "--folder", str(tmp_path / "demo")])
    shown, answer = b"", b""
    with suppress(OSError):  # how the end of a terminal reads
        while piece := os.read(terminal, 65536):
            shown += piece
            if not answer and b"stay up" in shown:
                (command, _) = re.findall(r"^curl --cacert .*$", _plain(shown), re.MULTILINE)
                answer = subprocess.run(["curl", "-sS", *shlex.split(command)[1:]], capture_output=True).stdout
                os.write(terminal, b"\x03")
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert b"cities-copy" in answer
    assert "Stopping both clusters" in _plain(shown)
    assert "Traceback" not in _plain(shown)


def _plain(shown: bytes) -> str:
    """Without colours and movements."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode(errors="replace")).replace("\r\n", "\n")
