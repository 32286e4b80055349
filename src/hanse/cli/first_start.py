"""The first start of a node nobody has configured: security is switched on with certificates of its own.

Happens on a terminal only, and only where nothing says otherwise: see `why_not`. A node that somebody has configured,
or that has data, starts as it is. Tests: tests/cli/test_first_start.py.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click
from cryptography.hazmat.primitives import hashes

from hanse.cli.auto_configuration import Certificates, configure_security
from hanse.errors import SettingsError
from hanse.settings import node_settings as declared
from hanse.settings.elasticsearch_yml import FILE_NAME as YML
from hanse.settings.keystore import Keystore, has_password
from hanse.settings.registry import Scope, Settings, boolean

_TLS_PREFIXES = ("xpack.security.http.ssl", "xpack.security.transport.ssl")
_AUTOCONFIGURATION = boolean("xpack.security.autoconfiguration.enabled", True, Scope.STATIC, "")
_HOSTS = ("http.host", "http.bind_host", "network.host", "network.bind_host")


def configure_first_start(config_dir: Path, settings: Settings) -> bool:
    """Configures security when this is a first start that wants it. Raises SettingsError when that fails half-way."""
    if why_not(config_dir, settings) is not None:
        return False
    name = settings.read(declared.NODE_NAME)
    extra: dict[str, str | Sequence[str]] = {}
    if declared.INITIAL_MASTER_NODES.key not in settings:
        extra[declared.INITIAL_MASTER_NODES.key] = [name]
    if not any(key in settings for key in _HOSTS):
        extra["http.host"] = "0.0.0.0"  # noqa: S104, as Elasticsearch: HTTPS and a password guard it from now on
    made = Certificates.new(name)
    configure_security(config_dir, name, made, extra)
    fingerprint = made.http.certificate.fingerprint(hashes.SHA256()).hex()
    click.echo(
        "Security has been configured: users log in, and all connections are encrypted.\n\n"
        "The password of the elastic user follows below; `elasticsearch-reset-password -u elastic` makes a new one.\n\n"
        f"HTTP CA certificate SHA-256 fingerprint:\n  {fingerprint}\n\n"
        "Other nodes take up the same certificates with a token: `elasticsearch-create-enrollment-token -s node` here, "
        "`elasticsearch-reconfigure-node --enrollment-token <token>` there.\n"
    )
    return True


def why_not(config_dir: Path, settings: Settings) -> str | None:
    """The reason to leave the configuration as it is, None when this is a first start."""
    if not settings.read(_AUTOCONFIGURATION):
        return "automatic configuration is switched off"
    written = [key for key in settings if key == "xpack.security.enabled" or key.startswith(_TLS_PREFIXES)]
    if written:
        return f"[{written[0]}] is set"
    if declared.DISCOVERY_SEED_HOSTS.key in settings:
        return "the node is told where other nodes are"
    name = settings.read(declared.NODE_NAME)
    if settings.read(declared.INITIAL_MASTER_NODES) not in ((), (name,)):
        return "the cluster is to have other nodes"
    roles = settings.read(declared.NODE_ROLES)
    if "master" not in roles or not any(role.startswith("data") for role in roles):
        return "a node of these roles does not begin a cluster"
    data = Path(settings.read(declared.PATH_DATA))
    if data.exists() and any(data.iterdir()):
        return "the node has data already"
    return _unfit(config_dir)


def _unfit(config_dir: Path) -> str | None:
    yml = config_dir / YML
    if not yml.is_file() or not os.access(yml, os.R_OK) or not os.access(config_dir, os.W_OK):
        return "the configuration cannot be written"
    try:
        if has_password(config_dir):
            return "the keystore has a password"
        keystore = Keystore.load(config_dir)
    except SettingsError as error:
        return error.reason
    secure = [name for name in keystore or () if name.startswith(_TLS_PREFIXES)]
    return f"[{secure[0]}] is in the keystore" if secure else None
