"""Ports: the first free one of a range, what others are told, and the files that tell it."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from hanse.errors import SettingsError
from hanse.settings.ports import first_free, told_address, write_ports_files


async def test_a_port_that_somebody_has_is_passed_over() -> None:
    tried = []

    async def bind(port: int) -> str:
        tried.append(port)
        if port < 9202:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return f"bound to {port}"

    assert await first_free("http.port", "127.0.0.1", range(9200, 9300), bind) == "bound to 9202"
    assert tried == [9200, 9201, 9202]


async def test_when_none_is_free_the_line_names_setting_host_and_reason() -> None:
    async def bind(port: int) -> str:
        raise OSError(errno.EACCES, "Permission denied")

    with pytest.raises(SettingsError, match=r"^cannot bind \[http.port\] on \[10.0.0.1\]: Permission denied$"):
        await first_free("http.port", "10.0.0.1", [80, 81], bind)


@pytest.mark.parametrize(
    ("host", "bound", "told", "address"),
    [
        ("127.0.0.1", 9200, -1, "127.0.0.1:9200"),
        ("127.0.0.1", 9200, 443, "127.0.0.1:443"),
        ("::1", 9300, -1, "[::1]:9300"),
    ],
)
def test_the_publish_port_is_told_where_it_is_set(host: str, bound: int, told: int, address: str) -> None:
    assert told_address(host, bound, told) == address


def test_a_ports_file_is_complete_or_not_there(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    write_ports_files(folder, {"http": "127.0.0.1:9200", "transport": "127.0.0.1:9300"})
    assert {file.name: file.read_text() for file in folder.iterdir()} == {
        "http.ports": "127.0.0.1:9200\n",
        "transport.ports": "127.0.0.1:9300\n",
    }
