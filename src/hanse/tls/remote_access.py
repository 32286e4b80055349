"""TLS of the API-key model of remote clusters: what is configured for it is checked, the model itself is not there yet.

A node that is told to open that port does not start, rather than leave its operator in the belief that it is open.
Tests: tests/tls/test_remote_access.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hanse.errors import SettingsError
from hanse.settings.registry import Scope, Settings, boolean
from hanse.tls.contexts import TlsContexts
from hanse.tls.ssl_settings import REMOTE_CLIENT, REMOTE_SERVER

REMOTE_SERVER_ENABLED = boolean(
    "remote_cluster_server.enabled", False, Scope.STATIC, "open the port of the API-key model; not there yet"
)


def remote_access_contexts(
    settings: Settings, config_dir: Path, secure: Mapping[str, str] | None = None
) -> list[TlsContexts]:
    """The contexts that are configured below either prefix. Raises SettingsError for what cannot work."""
    if settings.read(REMOTE_SERVER_ENABLED):
        raise SettingsError(
            f"[{REMOTE_SERVER_ENABLED.key}] is [true], but the API-key model of remote clusters is not there yet; "
            f"remove the setting and connect clusters by certificates, through [transport.port]"
        )
    given = [*settings, *(secure or {})]
    configured = [
        prefix for prefix in (REMOTE_SERVER, REMOTE_CLIENT) if any(key.startswith(f"{prefix}.") for key in given)
    ]
    return [TlsContexts.from_settings(settings, prefix, config_dir, secure) for prefix in configured]
