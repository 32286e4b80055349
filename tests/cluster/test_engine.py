"""Which engine is opened, and what the default costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hanse.cluster.engine import EmbeddedEngine, Surroundings, open_engine
from hanse.settings.registry import Settings


async def test_embedded_is_the_default_and_needs_no_log(tmp_path: Path) -> None:
    engine = await open_engine(Surroundings(Settings(), {}, tmp_path, tmp_path / "data", tmp_path / "logs", None))
    assert isinstance(engine, EmbeddedEngine)
    assert engine.commit_log("uuid", 0) is None
    await engine.forget("uuid", 1)
    await engine.close()


def test_nats_is_not_imported_before_it_is_chosen() -> None:
    ask = "import sys, hanse.node; print('nats' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout == "False\n"
