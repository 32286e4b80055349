"""A small world of authorities and nodes, written as the files an operator would write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvloop

from hanse.settings.registry import Settings
from hanse.tls.authority import CertificateAuthority
from hanse.tls.contexts import TlsContexts
from hanse.tls.ssl_settings import TRANSPORT

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
FAR_AHEAD = datetime(2090, 1, 1, tzinfo=UTC)


@dataclass
class Place:
    """A config directory; `node` writes key and certificate into it and returns contexts as the node builds them."""

    folder: Path
    authorities: dict[str, CertificateAuthority] = field(default_factory=dict)

    def authority(self, name: str) -> CertificateAuthority:
        if name not in self.authorities:
            made = CertificateAuthority.create(f"CN={name}")
            self.authorities[name] = made
            (self.folder / f"{name}.crt").write_bytes(made.certificate_pem)
        return self.authorities[name]

    def write(self, node: str, ca: str, **issue: object) -> None:
        options = {"dns": ("localhost",), "ips": ("127.0.0.1",), **issue}
        certificate, key = self.authority(ca).issue(node, **options)  # type: ignore[arg-type]
        (self.folder / f"{node}.crt").write_bytes(certificate)
        (self.folder / f"{node}.key").write_bytes(key)

    def settings(self, node: str, *trusts: str, prefix: str = TRANSPORT, **more: str | list[str]) -> Settings:
        for name in trusts:
            self.authority(name)
        values = {
            "enabled": "true",
            "key": f"{node}.key",
            "certificate": f"{node}.crt",
            "certificate_authorities": [f"{name}.crt" for name in trusts],
            **more,
        }
        return Settings({f"{prefix}.{name}": value for name, value in values.items()})

    def node(
        self,
        node: str,
        ca: str,
        *trusts: str,
        prefix: str = TRANSPORT,
        issue: dict[str, object] | None = None,
        **more: str | list[str],
    ) -> TlsContexts:
        self.write(node, ca, **(issue or {}))
        settings = self.settings(node, *(trusts or (ca,)), prefix=prefix, **more)
        return TlsContexts.from_settings(settings, prefix, self.folder)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every test of this room runs on both event loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
