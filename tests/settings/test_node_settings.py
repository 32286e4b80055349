"""What a node accepts at start, and the one line that stops it."""

from __future__ import annotations

import pytest

from hanse.errors import SettingsError
from hanse.settings import node_settings as declared
from hanse.settings.node_settings import NODE_SETTINGS, PortRange, check_node_settings
from hanse.settings.registry import RawValue, Settings, SettingsRegistry

REGISTRY = SettingsRegistry(NODE_SETTINGS)


def refusal(values: dict[str, RawValue], secure: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as raised:
        check_node_settings(REGISTRY, Settings(values), secure)
    assert "\n" not in raised.value.reason
    return raised.value.reason


def test_a_file_of_an_elasticsearch_node_is_accepted() -> None:
    check_node_settings(
        REGISTRY,
        Settings(
            {
                "cluster.name": "harbour",
                "node.name": "n1",
                "node.attr.rack": "r1",
                "node.roles": ["master", "data"],
                "path.data": "/var/lib/hanse",
                "path.logs": "/var/log/hanse",
                "bootstrap.memory_lock": "true",
                "network.host": "0.0.0.0",
                "http.port": "9200-9300",
                "transport.port": "0",
                "discovery.seed_hosts": ["a:9300", "b"],
                "discovery.type": "single-node",
                "action.auto_create_index": "+logs-*,-*",
                "action.destructive_requires_name": "false",
                "indices.query.bool.max_clause_count": "4096",
                "cluster.routing.allocation.disk.watermark.low": "85%",
                "cluster.routing.allocation.exclude._name": "n2",
                "thread_pool.write.queue_size": "200",
                "logger.org.elasticsearch.transport": "DEBUG",
                "xpack.ml.enabled": "false",
                "xpack.license.self_generated.type": "trial",
            }
        ),
    )


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"cluster.nam": "x"}, "unknown setting [cluster.nam] did you mean [cluster.name]?"),
        ({"nonsense.a": "x"}, "unknown setting [nonsense.a] please check that any required plugins are installed"),
        ({"index.number_of_replicas": "1"}, "node settings must not contain any index level settings"),
        ({"http.port": "web"}, "Failed to parse value [web] for setting [http.port]"),
        ({"http.port": "70000"}, "invalid port range [70000] for setting [http.port]"),
        ({"http.port": "9300-9200"}, "invalid port range [9300-9200] for setting [http.port]"),
        (
            {"xpack.security.enabled": "yes"},
            "as only [true] or [false] are allowed for setting [xpack.security.enabled]",
        ),
        ({"http.max_content_length": "100"}, "[http.max_content_length] with value [100] as a size in bytes"),
        ({"transport.connect_timeout": "30"}, "[transport.connect_timeout] with value [30] as a time value"),
        ({"node.roles": ["data", "boss"]}, "unknown role [boss] in setting [node.roles]"),
        ({"cluster.name": "a:b"}, "[cluster.name] must not be empty nor contain"),
        ({"cluster.name": ["a", "b"]}, "[cluster.name]: expected one value"),
        ({"discovery.type": "zen"}, "[discovery.type]"),
        ({"hanse.compatibility.version": "nine"}, "[hanse.compatibility.version]"),
        ({"search.max_buckets": "-2"}, "[search.max_buckets] must be >= 0"),
    ],
)
def test_one_line_names_the_setting(values: dict[str, RawValue], reason: str) -> None:
    assert reason in refusal(values)


def test_the_keystore_is_checked_too() -> None:
    assert "unknown setting [bootstrap.passwort]" in refusal({}, {"bootstrap.passwort": "x"})
    check_node_settings(REGISTRY, Settings(), {"keystore.seed": "x"})


def test_ports() -> None:
    assert Settings().read(declared.HTTP_PORT) == PortRange(9200, 9300)
    assert list(Settings({"http.port": "9201"}).read(declared.HTTP_PORT).ports()) == [9201]
    assert list(Settings({"http.port": "0"}).read(declared.HTTP_PORT).ports()) == [0]
    assert str(PortRange(9200, 9300)) == "9200-9300"


def test_every_declared_setting_is_unique_and_reads_its_own_default() -> None:
    keys = [setting.key for setting in NODE_SETTINGS]
    assert len(keys) == len(set(keys))
    for setting in NODE_SETTINGS:
        assert setting.help
        if setting.default_text is not None:
            assert setting.parse(setting.default_text, setting.key) == setting.default


def test_defaults_that_matter() -> None:
    none = Settings()
    assert none.read(declared.SECURITY_ENABLED) is True
    assert none.read(declared.HTTP_MAX_CONTENT_LENGTH) == 100 * 1024 * 1024
    assert none.read(declared.TRANSPORT_CONNECT_TIMEOUT) == 30
    assert none.read(declared.COMPATIBILITY_VERSION) == "9.2.0"
    assert "data" in none.read(declared.NODE_ROLES)
