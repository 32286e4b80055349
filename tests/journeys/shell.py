"""Runs the shell blocks of a Markdown page, in order, as a reader would, on ports that are free."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from hanse.cli.local_nodes import free_ports

_BLOCK = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
PORTS = ("9200", "9210", "9300", "9310")


def shell_blocks(page: Path) -> list[str]:
    return _BLOCK.findall(page.read_text())


def run_page(page: Path, folder: Path, timeout_s: float = 110) -> str:
    """One bash runs all blocks; a failing command fails the page. Returns what was printed."""
    script = "set -euo pipefail\ntrap 'kill $(cat */pid 2> /dev/null) 2> /dev/null || true' EXIT\n"
    script += "\n".join(shell_blocks(page))
    for port, free in zip(PORTS, free_ports(len(PORTS)), strict=True):
        script = re.sub(rf"\b{port}\b", str(free), script)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout_s,
    )
    printed = done.stdout.decode(errors="replace")
    assert done.returncode == 0, printed[-4000:]
    return printed
