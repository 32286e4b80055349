"""The address of a node from its settings, and the user that exists for a moment only."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from hanse.cli.node_client import (
    PASSWORD_ALPHABET,
    client,
    own_url,
    random_password,
    reason_of,
    temporary_superuser,
)
from hanse.cli.terminal import Failure, Tool
from hanse.security.passwords import check_now
from hanse.security.user_files import read_user_files
from hanse.settings.registry import Settings

HTTPS = {"xpack.security.http.ssl.enabled": "true"}


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "http://127.0.0.1:9200"),
        (HTTPS, "https://127.0.0.1:9200"),
        ({"http.port": "9250-9260", "http.host": "::1"}, "http://[::1]:9250"),
        ({"http.publish_port": "443", "http.publish_host": "127.0.0.2", **HTTPS}, "https://127.0.0.2:443"),
    ],
)
def test_the_address_is_what_the_node_publishes(settings: dict[str, str], url: str) -> None:
    assert own_url(Settings(settings)) == url


def test_a_free_port_is_read_from_the_ports_file(tmp_path: Path) -> None:
    settings = Settings({"http.port": "0", "path.data": str(tmp_path)})
    with pytest.raises(Failure, match="--url"):
        own_url(settings)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "http.ports").write_text("127.0.0.1:4711\n")
    assert own_url(settings) == "http://127.0.0.1:4711"


def test_the_user_is_gone_however_it_ends(tmp_path: Path) -> None:
    tool = Tool(tmp_path)

    def fail_half_way() -> None:
        with temporary_superuser(tool, Settings({})) as (name, password):
            files = read_user_files(tmp_path)
            assert files.roles[name] == ("superuser",)
            assert check_now(password, files.hashes[name])
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        fail_half_way()
    files = read_user_files(tmp_path)
    assert (files.hashes, files.roles) == ({}, {})


def test_the_user_is_gone_when_the_tool_is_told_to_end(tmp_path: Path) -> None:
    def told_to_end() -> None:
        with temporary_superuser(Tool(tmp_path), Settings({})):
            os.kill(os.getpid(), signal.SIGTERM)
            signal.sigtimedwait([], 1)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as raised:
        told_to_end()
    assert raised.value.code == 128 + signal.SIGTERM
    assert not read_user_files(tmp_path).hashes
    assert signal.getsignal(signal.SIGTERM) is before


def test_without_a_file_realm_there_is_no_such_user(tmp_path: Path) -> None:
    settings = Settings({"xpack.security.authc.realms.file.f1.enabled": "false"})
    with pytest.raises(Failure, match="File realm must be enabled"), temporary_superuser(Tool(tmp_path), settings):
        pass
    assert not list(tmp_path.iterdir())


def test_a_node_that_is_not_there_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    node = client(Tool(tmp_path), Settings({}), {}, url, ("elastic", "secret"))
    with pytest.raises(Failure) as raised:
        node.call("GET", "/")
    assert f"Failed to connect to [{url}]" in raised.value.message
    assert raised.value.exit_code == 69


def test_what_cannot_be_asked(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="security is disabled"):
        client(Tool(tmp_path), Settings({"xpack.security.enabled": "false"}), {}, None, ("a", "b"))
    with pytest.raises(Failure, match="must begin with https"):
        client(Tool(tmp_path), Settings({}), {}, "file:///etc/passwd", ("a", "b"))


def test_passwords_and_reasons() -> None:
    password = random_password()
    assert len(password) == 20
    assert set(password) <= set(PASSWORD_ALPHABET)
    assert reason_of({"error": {"reason": "why"}}) == "why"
    assert reason_of({"error": "plain"}) == "plain"
    assert reason_of("text") == "text"
