from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.log_setup import log_setup_kept

from hanse.settings.logs import configure_logs
from hanse.settings.registry import Settings


@pytest.fixture(autouse=True)
def afterwards() -> Iterator[None]:
    with log_setup_kept():
        yield


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_events_are_json_lines_in_the_clusters_file(tmp_path: Path) -> None:
    configure_logs(Settings({"path.logs": str(tmp_path / "logs"), "cluster.name": "harbour"}), console=False)
    structlog.get_logger("hanse.test").info("crane moved", to=Path("/quay"), tons=3)
    structlog.get_logger("hanse.test").debug("not written")
    try:
        raise ValueError("rope")
    except ValueError:
        structlog.get_logger("hanse.test").exception("crane fell")
    file = tmp_path / "logs" / "harbour.log"
    first, second = lines(file)
    assert (first["event"], first["to"], first["tons"], first["level"]) == ("crane moved", "/quay", 3, "info")
    assert first["logger"] == "hanse.test"
    assert first["timestamp"].endswith("Z")
    assert "ValueError: rope" in second["exception"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_console_gets_a_short_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Settings({}))
    structlog.get_logger("hanse.test").warning("crane stopped", why="wind")
    shown = capsys.readouterr().err
    assert "crane stopped" in shown
    assert "why=wind" in shown


def test_other_libraries_log_there_too(tmp_path: Path) -> None:
    configure_logs(Settings({"path.logs": str(tmp_path), "cluster.name": "harbour"}), console=False)
    logging.getLogger("asyncio").warning("slow %s", "callback")
    assert lines(tmp_path / "harbour.log")[0]["event"] == "slow callback"
