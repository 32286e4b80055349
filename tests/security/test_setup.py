from __future__ import annotations

from pathlib import Path

import pytest

from hanse.cluster.names import ClusterNames
from hanse.cluster.security_entries import ClusterSecurityStore
from hanse.cluster.updates import ClusterService
from hanse.security import api_key_grant, delegation, peer_requests, requests
from hanse.security.privileges import cluster_privileges_granting
from hanse.security.settings import SECURITY_SETTINGS
from hanse.security.setup import build
from hanse.settings.registry import Scope as SettingScope
from hanse.settings.registry import Settings, SettingsRegistry
from hanse.transport.actions import Action, ActionRegistry, Scope

from .conftest import VolatileStateStore, state_with


def test_builds_the_room_and_registers_its_actions(tmp_path: Path) -> None:
    service = ClusterService(VolatileStateStore(), state_with())
    registry = ActionRegistry()
    security = build(
        Settings({"xpack.security.authc.password_hashing.algorithm": "bcrypt4"}),
        registry=registry,
        catalogue=ClusterNames(lambda: service.state),
        store=ClusterSecurityStore(service),
        remote_aliases=tuple,
        enabled=True,
        cluster_name="harbour",
        node_name="n",
        node_id=lambda: "n1",
        logs_path=tmp_path,
    )
    security.close()
    modules = (requests, peer_requests, delegation, api_key_grant)
    declared = {action.name for module in modules for action in vars(module).values() if isinstance(action, Action)}
    assert set(registry.actions()) == declared
    for action in registry.actions().values():
        assert action.scope is not Scope.CLUSTER or cluster_privileges_granting(action.name)


@pytest.mark.parametrize(
    "key",
    [
        "xpack.security.audit.enabled",
        "xpack.security.authc.realms.native.native1.order",
        "xpack.security.authc.realms.native.native1.cache.ttl",
        "xpack.security.authc.password_hashing.algorithm",
    ],
)
def test_settings_are_declared(key: str) -> None:
    registry = SettingsRegistry(SECURITY_SETTINGS)
    assert registry.find(key) is not None
    with pytest.raises(Exception, match=r"only \[true\] or \[false\]|Failed to parse|failed to parse|could not"):
        registry.check({key: "nonsense!"}, allowed=SettingScope.STATIC)
