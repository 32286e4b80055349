"""Registers the security room's own actions. Names and request types stand in `requests.py`.

Tests: tests/security/test_setup.py.
"""

from __future__ import annotations

from hanse.security import delegation
from hanse.security.api_key_actions import ApiKeyActions
from hanse.security.api_key_grant import GRANT_API_KEY, ApiKeyGrant
from hanse.security.audit import Audit
from hanse.security.ceilings import RemotePeers
from hanse.security.every_node import AskNodes
from hanse.security.peer_actions import PeerActions
from hanse.security.privilege_actions import PrivilegeActions
from hanse.security.realms.chain import RealmChain
from hanse.security.role_actions import RoleActions
from hanse.security.role_mapping_actions import RoleMappingActions
from hanse.security.role_store import RoleStore
from hanse.security.running import RunningActions
from hanse.security.store import SecurityStore
from hanse.security.task_actions import TaskActions
from hanse.security.user_actions import UserActions
from hanse.transport.actions import ActionRegistry


def register(
    registry: ActionRegistry,
    *,
    store: SecurityStore,
    realms: RealmChain,
    roles: RoleStore,
    audit: Audit,
    running: RunningActions,
    peers: RemotePeers,
    ask_nodes: AskNodes,
) -> None:
    UserActions(store, realms, audit).register(registry)
    RoleActions(store, roles, audit).register(registry)
    PrivilegeActions(store, roles).register(registry)
    RoleMappingActions(store).register(registry)
    api_keys = ApiKeyActions(store, roles, audit)
    api_keys.register(registry)
    registry.register(GRANT_API_KEY, ApiKeyGrant(realms, roles, api_keys).grant)
    PeerActions(store, peers, audit).register(registry)
    TaskActions(running, ask_nodes).register(registry)
    delegation.register(registry)
