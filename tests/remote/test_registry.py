"""All remotes of a node: following the settings, and calls by alias."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from hanse.errors import ConnectTransportError, IllegalArgumentError, NoSuchRemoteClusterError
from hanse.remote import status
from hanse.remote.registry import RemoteClusters
from hanse.settings.registry import Settings
from hanse.tls.contexts import TlsContexts
from hanse.transport.actions import ActionRegistry, Call, Empty, Origin, Targets
from hanse.transport.identity import UNSECURED

from .conftest import BERGEN, WHO, Cluster, until

Make = Callable[[Settings], RemoteClusters]


@pytest.fixture
async def make(contexts: TlsContexts) -> AsyncIterator[Make]:
    made: list[RemoteClusters] = []

    def build(settings: Settings) -> RemoteClusters:
        remotes = RemoteClusters(lambda: BERGEN, contexts, settings, jitter=lambda: 0.0)
        made.append(remotes)
        return remotes

    yield build
    for remotes in made:
        await remotes.close()


def seeds(**remotes: str) -> Settings:
    return Settings({f"cluster.remote.{alias}.seeds": address for alias, address in remotes.items()})


async def test_a_call_by_alias(luebeck: Cluster, make: Make) -> None:
    node = await luebeck.add("node")
    remotes = make(seeds(luebeck=node.address))
    assert (await remotes.call("luebeck", WHO, Empty(), UNSECURED)).node == "node"
    assert remotes.is_connected("luebeck")


async def test_aliases_and_patterns(make: Make) -> None:
    remotes = make(seeds(eu1="127.0.0.1:1", eu2="127.0.0.1:1", us="127.0.0.1:1"))
    assert remotes.aliases() == ["eu1", "eu2", "us"]
    assert remotes.matching("eu*") == ["eu1", "eu2"]
    assert remotes.matching("*") == ["eu1", "eu2", "us"]
    assert remotes.matching("asia*") == remotes.matching("e?*") == []
    assert remotes.matching("us") == ["us"]
    for look in (remotes.get, remotes.matching, remotes.skip_unavailable):
        with pytest.raises(NoSuchRemoteClusterError, match=r"no such remote cluster: \[asia\]"):
            look("asia")


async def test_settings_are_followed(luebeck: Cluster, make: Make) -> None:
    node = await luebeck.add("node")
    remotes = make(seeds(a=node.address, b=node.address))
    for alias in ("a", "b"):
        await remotes.ensure_connected(alias, 10)
    kept, removed = remotes.get("a"), remotes.get("b")
    remotes.apply(seeds(a=node.address, c=node.address))
    assert remotes.aliases() == ["a", "c"]
    assert remotes.get("a") is kept
    await remotes.ensure_connected("c", 10)
    await until(lambda: not removed.is_connected)


async def test_skip_unavailable_changes_without_a_new_connection(luebeck: Cluster, make: Make) -> None:
    node = await luebeck.add("node")
    remotes = make(seeds(a=node.address))
    kept = remotes.get("a")
    remotes.apply(seeds(a=node.address).merged({"cluster.remote.a.skip_unavailable": "false"}))
    assert remotes.get("a") is kept
    assert not remotes.skip_unavailable("a")
    assert remotes.info()["a"]["skip_unavailable"] is False


async def test_another_seed_means_a_new_connection(luebeck: Cluster, make: Make) -> None:
    node = await luebeck.add("node")
    remotes = make(seeds(a="127.0.0.1:1"))
    with pytest.raises(ConnectTransportError):
        await remotes.ensure_connected("a", 10)
    remotes.apply(seeds(a=node.address))
    await remotes.ensure_connected("a", 10)
    assert remotes.info()["a"]["connected"] is True


async def test_a_changed_mode_means_a_new_connection(luebeck: Cluster, make: Make) -> None:
    node = await luebeck.add("node")
    remotes = make(seeds(a=node.address))
    await remotes.ensure_connected("a", 10)
    proxy = {
        "cluster.remote.a.mode": "proxy",
        "cluster.remote.a.proxy_address": node.address,
        "cluster.remote.a.proxy_socket_connections": "2",
    }
    remotes.apply(Settings(proxy))
    await until(lambda: remotes.info()["a"].get("num_proxy_sockets_connected") == 2)


async def test_a_node_starts_though_a_remote_is_away(luebeck: Cluster, make: Make) -> None:
    node = await luebeck.add("node")
    remotes = make(seeds(here=node.address, away="127.0.0.1:1"))
    await remotes.ensure_connected("here", 10)
    with pytest.raises(ConnectTransportError):
        await remotes.ensure_connected("away", 10)
    info = remotes.info()
    assert info["here"]["connected"] is True
    assert info["away"]["connected"] is False
    assert "Connection refused" in info["away"]["last_error"]
    assert "last_error" not in info["here"]


async def test_a_call_to_a_remote_that_is_away_says_why(make: Make) -> None:
    remotes = make(seeds(away="127.0.0.1:1"))
    with pytest.raises(ConnectTransportError) as raised:
        await remotes.call("away", WHO, Empty(), UNSECURED)
    assert raised.value.reason == (
        "unable to connect to remote cluster [away]: seed [127.0.0.1:1]: "
        "[][127.0.0.1:1] connect_exception: Connection refused; no node listens there"
    )
    assert raised.value.name == "connect_transport_exception"


async def test_a_remote_that_came_back_is_used_by_the_next_call(luebeck: Cluster, make: Make) -> None:
    node = await luebeck.add("node")
    await node.stop()
    remotes = make(seeds(a=node.address))
    with pytest.raises(ConnectTransportError):
        await remotes.call("a", WHO, Empty(), UNSECURED)
    await node.start()
    assert (await remotes.call("a", WHO, Empty(), UNSECURED)).node == "node"


async def test_a_node_without_the_role_connects_nowhere(luebeck: Cluster, contexts: TlsContexts) -> None:
    node = await luebeck.add("node")
    remotes = RemoteClusters(lambda: BERGEN, contexts, seeds(a=node.address), is_client=False)
    assert remotes.info() == {}
    with pytest.raises(IllegalArgumentError) as raised:
        remotes.get("a")
    assert raised.value.reason == "node [local] does not have the remote cluster client role enabled"
    await remotes.close()


async def test_the_info_action_answers_with_the_same(make: Make) -> None:
    remotes = make(Settings())
    registry = ActionRegistry()
    status.register(registry, remotes)

    async def run(action: object, request: object) -> None:
        raise AssertionError

    call = Call(status.REMOTE_INFO, UNSECURED, Origin(), Targets(), run)
    assert await registry.handler(status.REMOTE_INFO)(call, Empty()) == {}
