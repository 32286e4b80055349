"""`hanse demo --once`: the whole tour on real processes, ending with status 0 and no stack trace."""

from __future__ import annotations

import subprocess
import sys


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
