"""`hanse demo --once`: the whole tour on real processes, ending with status 0 and no stack trace."""

from __future__ import annotations

import subprocess
import sys


def test_the_tour() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hanse", "demo", "--once"], stdin=subprocess.DEVNULL, capture_output=True, timeout=110
    )
    printed = done.stdout.decode()
    assert done.returncode == 0, printed + done.stderr.decode()
    assert "Traceback" not in printed
    assert "bergen:cities" in printed
    assert "403 security_exception" in printed
    assert "follow_index_created" in printed
