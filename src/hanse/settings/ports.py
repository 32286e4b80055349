"""The ports of a node: the first free one of a range, the address that others are told, and the files that tell it.

Tests: tests/settings/test_ports.py.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from hanse.errors import SettingsError

T = TypeVar("T")


async def first_free(setting: str, host: str, ports: Iterable[int], bind: Callable[[int], Awaitable[T]]) -> T:
    """What `bind` gives for the first port it can have. Raises SettingsError when it can have none."""
    failure: OSError | None = None
    for port in ports:
        try:
            return await bind(port)
        except OSError as error:
            failure = error
    reason = failure.strerror if failure is not None else "no port is given"
    raise SettingsError(f"cannot bind [{setting}] on [{host}]: {reason}") from failure


def told_address(host: str, bound: int, told: int) -> str:
    """`told` is the publish port; below 0, where it is not set, the bound one is told."""
    port = bound if told < 0 else told
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def write_ports_files(folder: Path, addresses: Mapping[str, str]) -> None:
    """Elasticsearch's `node.portsfile`: tools and tests learn the ports from files, complete or not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, address in addresses.items():
        partial = folder / f".{kind}.ports"
        partial.write_text(address + "\n")
        os.replace(partial, folder / f"{kind}.ports")
