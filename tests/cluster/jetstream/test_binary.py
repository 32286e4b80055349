"""Which nats-server is taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.nats_servers import BINARY

from hanse.cluster.jetstream.binary import choose
from hanse.errors import SettingsError
from hanse.settings.registry import Settings


def script(folder: Path, answer: str) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "nats-server"
    file.write_text(f"#!/bin/sh\necho '{answer}'\n")
    file.chmod(0o755)
    return file


def test_the_wheels_own_when_there_is_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    chosen = choose(Settings())
    assert (chosen.path, chosen.origin) == (BINARY, "extra hanse[cluster]")


def test_the_operators_own_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = script(tmp_path, "nats-server: v2.99.0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert choose(Settings())[:2] == (own, "2.99.0")


def test_an_old_one_on_the_path_gives_way_to_the_wheels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script(tmp_path, "nats-server: v2.9.10")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert choose(Settings()).path == BINARY


def test_the_named_one_is_taken_or_refused(tmp_path: Path) -> None:
    named = Settings({"hanse.nats.binary": str(script(tmp_path, "nats-server: v2.9.10"))})
    with pytest.raises(SettingsError, match=r"has version \[2\.9\.10\], but \[2\.14\] or newer"):
        choose(named)
    script(tmp_path, "nats-server: v2.14.0")
    assert choose(named).origin == "setting hanse.nats.binary"
    script(tmp_path, "hello")
    with pytest.raises(SettingsError, match="does not say its version"):
        choose(named)
    with pytest.raises(SettingsError, match="cannot be run"):
        choose(Settings({"hanse.nats.binary": str(tmp_path / "missing")}))
