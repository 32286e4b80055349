"""Builds the security room of a node: store and catalogue in, gate out; registers the room's own actions.

Tests: tests/security/test_setup.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from hanse.security.actions import register
from hanse.security.audit import Audit
from hanse.security.ceilings import RemotePeers
from hanse.security.every_node import AskNodes, only
from hanse.security.explanation import AskRemote, Explanations
from hanse.security.file_roles import FileRoles
from hanse.security.gate import CaughtUp, Gate, at_once
from hanse.security.peer_file import PeerFile
from hanse.security.realms.chain import RealmChain
from hanse.security.realms.file import FileRealm
from hanse.security.role_store import RoleStore
from hanse.security.store import NameCatalogue, SecurityStore
from hanse.settings.registry import Settings
from hanse.settings.watched_files import WatchedFiles
from hanse.tls.identity import PeerCertificate
from hanse.transport.actions import ActionRegistry


@dataclass(frozen=True, slots=True)
class Security:
    """The parts of the room that the composition root holds."""

    gate: Gate
    realms: RealmChain
    roles: RoleStore
    audit: Audit
    peers: RemotePeers
    """The node applies the effective settings to them, at start and whenever they change."""
    files: WatchedFiles
    """Users, roles and peers in files of the config folder; the node runs `files.watch()` while it lives."""

    def close(self) -> None:
        self.realms.close()
        self.audit.close()


def build(
    settings: Settings,
    *,
    registry: ActionRegistry,
    catalogue: NameCatalogue,
    store: SecurityStore,
    remote_aliases: Callable[[], Collection[str]],
    enabled: bool,
    cluster_name: str,
    node_name: str,
    node_id: Callable[[], str],
    logs_path: Path,
    is_remote_client: bool = True,
    config_dir: Path | None = None,
    secure: Mapping[str, str] | None = None,
    cluster_uuid: Callable[[], str] = lambda: "",
    is_own: Callable[[PeerCertificate], bool] = lambda certificate: False,
    verifies: Callable[[], bool] = lambda: True,
    caught_up: CaughtUp = at_once,
    ask_remote: AskRemote | None = None,
    ask_nodes: AskNodes | None = None,
) -> Security:
    """Makes realms, roles, peers, audit and gate from settings. Raises HanseError for what cannot start.

    `secure` is what the keystore holds for realms. `is_own` says whether a certificate comes from the authority of this
    cluster's own nodes, `verifies` whether nodes must show one that is verified; `caught_up` waits for a version of the
    cluster state; `ask_remote` runs an action at a connected remote cluster, `ask_nodes` at the nodes of this one.
    """
    realms = RealmChain.from_settings(settings, store, node_name, config_dir=config_dir, secure=secure, is_own=is_own)
    file_roles = FileRoles(config_dir) if config_dir is not None else None
    roles = RoleStore(store, file_roles)
    file_realms = [realm for realm in realms.realms if isinstance(realm, FileRealm)]
    peer_file = PeerFile(config_dir) if config_dir is not None else None
    peers = RemotePeers(store, peer_file, own_cluster_uuid=cluster_uuid, is_own=is_own, verifies=verifies)
    pki_realms = [realm for realm in realms.certificate_realms if realm.files]
    files = WatchedFiles([*file_realms, *pki_realms, *(one for one in (file_roles, peer_file) if one is not None)])
    audit = Audit.from_settings(settings, logs_path, cluster_name, node_id)
    gate = Gate(
        registry=registry,
        catalogue=catalogue,
        realms=realms,
        roles=roles,
        remote_aliases=remote_aliases,
        audit=audit,
        enabled=enabled,
        node_name=node_name,
        is_remote_client=is_remote_client,
        node_id=node_id,
        peers=peers,
        caught_up=caught_up,
    )
    register(
        registry,
        store=store,
        realms=realms,
        roles=roles,
        audit=audit,
        running=gate.running,
        peers=peers,
        ask_nodes=ask_nodes or only(node_id),
    )
    Explanations(
        registry, catalogue, realms, roles, peers, remote_aliases=remote_aliases, ask_remote=ask_remote
    ).register(registry)
    return Security(gate, realms, roles, audit, peers, files)
