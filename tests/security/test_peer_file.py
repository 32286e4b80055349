"""peers.yml: a ceiling never goes away by accident."""

from __future__ import annotations

from pathlib import Path

import pytest

from hanse.errors import SettingsError
from hanse.security.peer_file import PeerFile

MUNICH = 'munich:\n  match: {any: [{issuer: "CN=ca-munich"}]}\n  limits: {search: [{names: ["logs-*"]}]}\n'


def test_read_and_read_again(tmp_path: Path) -> None:
    assert PeerFile(tmp_path).peers == {}
    file = tmp_path / "peers.yml"
    file.write_text(MUNICH)
    peers = PeerFile(tmp_path)
    assert list(peers.peers) == ["munich"]
    file.write_text(MUNICH + MUNICH.replace("munich", "berlin"))
    peers.reload()
    assert (sorted(peers.peers), peers.version) == (["berlin", "munich"], 1)


@pytest.mark.parametrize("content", ["[", "- a", "munich: {}", MUNICH + MUNICH, MUNICH + "x: {match: {}}"])
def test_a_file_that_cannot_be_used_refuses_the_start_and_changes_nothing_later(tmp_path: Path, content: str) -> None:
    file = tmp_path / "peers.yml"
    file.write_text(MUNICH)
    peers = PeerFile(tmp_path)
    file.write_text(content)
    peers.reload()
    assert list(peers.peers) == ["munich"]
    with pytest.raises(SettingsError, match=r"peers\.yml"):
        PeerFile(tmp_path)


def test_a_file_that_is_gone_keeps_its_peers_and_an_empty_one_does_not(tmp_path: Path) -> None:
    file = tmp_path / "peers.yml"
    file.write_text(MUNICH)
    peers = PeerFile(tmp_path)
    file.unlink()
    peers.reload()
    assert list(peers.peers) == ["munich"]
    file.write_text("{}\n")
    peers.reload()
    assert peers.peers == {}
