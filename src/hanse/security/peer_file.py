"""The remote peers of `peers.yml`: read at start and when the file changes; they come before stored ones.

A ceiling that silently is not there would be a door, so one bad entry refuses the whole file: the node does not start
with it, and a running one keeps the peers it has. Tests: tests/security/test_peer_file.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hanse.errors import HanseError, SettingsError
from hanse.security.peers import RemotePeer, parse_peer

log = structlog.get_logger(__name__)

FILE_NAME = "peers.yml"
FILE_BYTES_MAX = 1024 * 1024


class PeerFile:
    """Peers by name, replaced as a whole by `reload`. `version` rises when they change."""

    def __init__(self, config_dir: Path) -> None:
        """Raises SettingsError for a file that cannot be used."""
        self.path = config_dir / FILE_NAME
        self.version = 0
        self.peers: Mapping[str, RemotePeer] = read_peers(self.path)

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    def reload(self) -> None:
        """Reads the file; one that cannot be used changes nothing, nor does one that is gone (an empty one does):
        a file that is being replaced must not open what it closes."""
        try:
            if self.peers and not self.path.exists():
                raise SettingsError(f"cannot use [{self.path}]: it is gone; leave an empty file to remove its peers")
            peers = read_peers(self.path)
        except SettingsError as error:
            log.error("the file of remote peers cannot be used, the peers stay as they were", why=error.reason)
            return
        if {name: peer.body for name, peer in peers.items()} != {name: peer.body for name, peer in self.peers.items()}:
            self.peers = peers
            self.version += 1
            log.info("the file of remote peers was read", file=str(self.path), peers=sorted(peers))


def read_peers(path: Path) -> dict[str, RemotePeer]:
    """The peers of a file, none when it is missing. Raises SettingsError naming what is wrong."""
    content = _read(path)
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise SettingsError(f"cannot use [{path}]: it does not hold remote peers of the form [name: definition]")
    try:
        return {str(name): parse_peer(str(name), body) for name, body in content.items()}
    except HanseError as error:
        raise SettingsError(f"cannot use [{path}]: {error.reason}") from error
    except RecursionError as error:
        raise SettingsError(f"cannot use [{path}]: it is nested too deeply") from error


def _read(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(f"cannot read [{path}]: {error.strerror}") from error
    if len(data) > FILE_BYTES_MAX:
        raise SettingsError(f"cannot use [{path}]: it is larger than {FILE_BYTES_MAX} bytes")
    try:
        return YAML(typ="safe", pure=True).load(data.decode())
    except (YAMLError, RecursionError, ValueError) as error:
        raise SettingsError(f"cannot use [{path}]: {' '.join(str(error).split())}") from error
