from __future__ import annotations

import pytest

from hanse.errors import IllegalArgumentError
from hanse.remote.settings import (
    REMOTE_SETTINGS,
    RemoteConfig,
    aliases_of,
    merged_settings,
    read_config,
    read_configs,
    split_address,
    validate_remote_settings,
)
from hanse.settings.registry import RawValue, Scope, Settings, SettingsRegistry


def remote(**values: RawValue) -> Settings:
    return Settings({f"cluster.remote.c.{key.replace('__', '.')}": value for key, value in values.items()})


def test_sniff_is_the_default_and_seeds_enable_it() -> None:
    config = read_config(remote(seeds="10.0.0.1:9300,10.0.0.2:9300"), "c")
    assert config == RemoteConfig("c", seeds=("10.0.0.1:9300", "10.0.0.2:9300"))
    assert config.is_enabled
    assert (config.mode, config.node_connections, config.skip_unavailable) == ("sniff", 3, True)


def test_a_proxy_address_enables_proxy_mode() -> None:
    config = read_config(remote(mode="PROXY", proxy_address="[::1]:9300", server_name="gate.example"), "c")
    assert (config.mode, config.is_enabled, config.connections_max) == ("proxy", True, 18)


def test_connections_per_cluster_is_the_default_of_node_connections() -> None:
    shared = {"cluster.remote.connections_per_cluster": "5", "cluster.remote.c.seeds": "h:1"}
    assert read_config(Settings(shared), "c").node_connections == 5
    own = {**shared, "cluster.remote.c.node_connections": "2"}
    assert read_config(Settings(own), "c").node_connections == 2


def test_only_enabled_remotes_count() -> None:
    settings = Settings({"cluster.remote.a.seeds": "h:1", "cluster.remote.b.mode": "proxy"})
    assert aliases_of(settings) == ["a", "b"]
    assert list(read_configs(settings)) == ["a"]


def test_settings_that_are_no_alias_are_none() -> None:
    settings = {"cluster.remote.initial_connect_timeout": "1s", "cluster.remote.node.attr": "gateway"}
    assert aliases_of(Settings(settings)) == []


def test_transient_over_persistent_over_yml() -> None:
    yml = remote(seeds="yml:1", skip_unavailable="false")
    merged = merged_settings(yml, dict(remote(seeds="persistent:1")), dict(remote(seeds="transient:1")))
    assert merged["cluster.remote.c.seeds"] == "transient:1"
    assert merged["cluster.remote.c.skip_unavailable"] == "false"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("host", "remote hosts need to be configured as [host:port], found [host] instead"),
        ("::1:9300", "remote hosts need to be configured as [host:port], found [::1:9300] instead"),
        (":9300", "remote hosts need to be configured as [host:port], found [:9300] instead"),
        ("host:0", "port number must be > 0 but was: [0]"),
        ("host:-1", "port number must be > 0 but was: [-1]"),
        ("host:x", "failed to parse port [x] of remote host [host:x]"),
        ("host:", "failed to parse port [] of remote host [host:]"),
        ("host:70000", "port number must be <= 65535 but was: [70000]"),
    ],
)
def test_addresses_are_judged_when_they_are_set(address: str, message: str) -> None:
    registry = SettingsRegistry(REMOTE_SETTINGS)
    for key in ("seeds", "proxy_address", "proxy"):
        with pytest.raises(IllegalArgumentError) as raised:
            registry.check(dict(remote(**{key: address})), allowed=Scope.DYNAMIC)
        assert raised.value.reason == message


def test_addresses_are_split() -> None:
    assert split_address("[::1]:9300") == ("::1", 9300)
    assert split_address("node.example:9300") == ("node.example", 9300)


@pytest.mark.parametrize(
    ("key", "value", "part"),
    [
        ("mode", "foo", "No enum constant"),
        ("node_connections", "0", "for setting [cluster.remote.c.node_connections] must be >= 1"),
        ("proxy_socket_connections", "0", "for setting [cluster.remote.c.proxy_socket_connections] must be >= 1"),
        ("skip_unavailable", "yes", "as only [true] or [false] are allowed"),
        ("transport__compress", "maybe", "[maybe]"),
        ("transport__ping_schedule", "5", "unit is missing"),
    ],
)
def test_wrong_values(key: str, value: str, part: str) -> None:
    with pytest.raises(IllegalArgumentError) as raised:
        SettingsRegistry(REMOTE_SETTINGS).check(dict(remote(**{key: value})), allowed=Scope.DYNAMIC)
    assert part in raised.value.reason


@pytest.mark.parametrize("key", ["seeds", "node_connections", "proxy"])
def test_sniff_settings_do_not_go_with_proxy_mode(key: str) -> None:
    value = "3" if key == "node_connections" else "h:1"
    with pytest.raises(IllegalArgumentError) as raised:
        validate_remote_settings(remote(mode="proxy", proxy_address="h:1", **{key: value}))
    assert raised.value.reason == (
        f'Setting "cluster.remote.c.{key}" cannot be used with the configured "cluster.remote.c.mode" '
        "[required=SNIFF, configured=PROXY]"
    )


@pytest.mark.parametrize("key", ["proxy_address", "proxy_socket_connections", "server_name"])
def test_proxy_settings_do_not_go_with_sniff_mode(key: str) -> None:
    value = "3" if key == "proxy_socket_connections" else "h:1"
    with pytest.raises(IllegalArgumentError) as raised:
        validate_remote_settings(remote(seeds="h:1", **{key: value}))
    assert raised.value.reason == (
        f'Setting "cluster.remote.c.{key}" cannot be used with the configured "cluster.remote.c.mode" '
        "[required=PROXY, configured=SNIFF]"
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("skip_unavailable", "true"),
        ("transport__compress", "true"),
        ("transport__compression_scheme", "lz4"),
        ("transport__ping_schedule", "5s"),
    ],
)
def test_what_needs_an_enabled_remote_is_refused_without_one(key: str, value: str) -> None:
    with pytest.raises(IllegalArgumentError) as raised:
        validate_remote_settings(remote(**{key: value}))
    name = key.replace("__", ".")
    assert raised.value.reason == (
        f"Cannot configure setting [cluster.remote.c.{name}] if remote cluster is not enabled."
    )
    validate_remote_settings(remote(seeds="h:1", **{key: value}))


def test_an_empty_alias_is_refused() -> None:
    with pytest.raises(IllegalArgumentError, match="remote clusters must not have the empty string as its key"):
        validate_remote_settings(Settings({"cluster.remote..seeds": "h:1"}))


def test_what_needs_new_connections() -> None:
    config = RemoteConfig("c", seeds=("a:1", "b:1"))
    assert not config.needs_rebuild(RemoteConfig("c", seeds=("b:1", "a:1"), skip_unavailable=False))
    assert config.needs_rebuild(RemoteConfig("c", seeds=("a:1",)))
    assert config.needs_rebuild(RemoteConfig("c", seeds=("a:1", "b:1"), compress="true"))
    assert config.needs_rebuild(RemoteConfig("c", mode="proxy", proxy_address="a:1"))


def test_every_setting_has_a_line_of_help() -> None:
    assert all(setting.help.endswith(".") for setting in REMOTE_SETTINGS)
