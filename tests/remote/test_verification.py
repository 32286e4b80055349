"""What a newly configured remote cluster is told at once, with real listeners on the other side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme

from hanse import clock
from hanse.remote.registry import RemoteClusters
from hanse.remote.settings import RemoteConfig
from hanse.remote.verification import configured_aliases, loopback_hint, verify
from hanse.settings.registry import Settings
from hanse.tls import endpoints
from hanse.tls.contexts import TlsContexts
from hanse.transport import hello as wire
from hanse.transport.frames import HelloAck, encode_frame
from hanse.transport.hello import Hello

from .conftest import BERGEN, PREFIX, Cluster


@asynccontextmanager
async def remotes(contexts: TlsContexts | None, **settings: Any) -> AsyncIterator[RemoteClusters]:
    named = {f"cluster.remote.{key.replace('__', '.')}": value for key, value in settings.items()}
    registry = RemoteClusters(lambda: BERGEN, contexts, Settings(named), jitter=lambda: 0.0)
    try:
        yield registry
    finally:
        await registry.close()


async def said(contexts: TlsContexts | None, seed: str, own: Hello = BERGEN) -> list[str]:
    async with remotes(contexts, oslo__seeds=[seed]) as registry:
        return await verify(registry, ["oslo", "unknown"], own)


@asynccontextmanager
async def listening(factory: Callable[[], asyncio.Protocol], contexts: TlsContexts | None = None) -> AsyncIterator[str]:
    listener = await endpoints.listen(factory, "127.0.0.1", 0, contexts)
    try:
        yield f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()


class Http(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self._transport.close()


async def test_a_clock_that_is_far_off_is_named() -> None:
    class Slow(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            told = Hello("oslo", "uuid-oslo", "i", "n", "e", "9", "", clock_ms=clock.now_ms() - 60_000)
            transport.write(wire.PREFACE + encode_frame(HelloAck(told)))

    async with (
        listening(Slow) as address,
        remotes(None, oslo__mode="proxy", oslo__proxy_address=address, oslo__proxy_socket_connections=1) as registry,
    ):
        (sentence,) = await verify(registry, ["oslo"], BERGEN)
        assert registry.info()["oslo"]["clock_skew"].startswith("-6")
    assert "the clock of remote cluster [oslo] is [60s] behind ours" in sentence


def test_only_what_an_update_addresses_is_looked_at() -> None:
    update = {
        "cluster.remote.oslo.seeds": ["a:1"],
        "cluster.remote.asker.proxy_address": "b:1",
        "cluster.remote.hamar.seeds": None,
        "cluster.remote.voss.skip_unavailable": "true",
        "search.default_keep_alive": "1m",
    }
    assert configured_aliases(update, {"cluster.remote.bodo.seeds": []}) == ["asker", "bodo", "oslo"]


async def test_one_that_answers_needs_no_words(contexts: TlsContexts) -> None:
    oslo = Cluster("oslo", contexts)
    node = await oslo.add("oslo-1")
    assert await said(contexts, node.address) == []
    await node.stop()


async def test_a_way_that_leads_back_is_named(contexts: TlsContexts) -> None:
    oslo = Cluster("oslo", contexts)
    node = await oslo.add("oslo-1")
    own = msgspec.structs.replace(BERGEN, cluster_uuid="uuid-oslo")
    (sentence,) = await said(contexts, node.address, own)
    assert sentence == f"remote cluster [oslo] is this cluster itself: [{node.address}] leads back here"
    await node.stop()


@pytest.mark.parametrize("has_tls", [True, False])
async def test_an_http_port_is_named(contexts: TlsContexts, has_tls: bool) -> None:
    used = contexts if has_tls else None
    async with listening(Http, used) as address:
        (sentence,) = await said(used, address)
    assert "remote cluster [oslo] is configured but cannot be reached now" in sentence
    assert "name the transport port" in sentence


async def test_nobody_there_and_no_such_name(contexts: TlsContexts) -> None:
    async with listening(Http) as address:
        pass
    (sentence,) = await said(contexts, address)
    assert "Connection refused; no node listens there" in sentence
    (sentence,) = await said(contexts, "no-such-host.invalid:9300")
    assert "the name cannot be resolved to an address" in sentence


async def test_an_authority_nobody_here_trusts_is_named(contexts: TlsContexts, tmp_path: Path) -> None:
    stranger = trustme.CA(key_type=trustme.KeyType.ECDSA)
    issued = stranger.issue_cert("127.0.0.1", key_type=trustme.KeyType.ECDSA)
    (tmp_path / "node.key").write_bytes(issued.private_key_pem.bytes())
    (tmp_path / "node.crt").write_bytes(issued.cert_chain_pems[0].bytes())
    (tmp_path / "ca.crt").write_bytes(stranger.cert_pem.bytes())
    names = {"key": "node.key", "certificate": "node.crt", "certificate_authorities": "ca.crt", "enabled": "true"}
    theirs = TlsContexts.from_settings(Settings({f"{PREFIX}.{k}": v for k, v in names.items()}), PREFIX, tmp_path)
    node = await Cluster("oslo", theirs).add("oslo-1")
    (sentence,) = await said(contexts, node.address)
    assert "is not configured to trust that issuer" in sentence
    await node.stop()


def test_loopback_addresses_that_a_far_seed_tells_are_explained() -> None:
    reason = "unable to connect to remote cluster [oslo]: node [127.0.0.1:9300]: Connection refused"
    hint = loopback_hint(RemoteConfig("oslo", seeds=("oslo.example:9300",)), reason)
    assert "publish the loopback address [127.0.0.1:9300]" in hint
    assert "[cluster.remote.oslo.mode: proxy]" in hint
    assert loopback_hint(RemoteConfig("oslo", seeds=("localhost:9300", "127.0.0.1:9301")), reason) == ""
    assert loopback_hint(RemoteConfig("oslo", seeds=("oslo.example:9300",)), "name mismatch") == ""
    assert loopback_hint(RemoteConfig("oslo", mode="proxy", proxy_address="oslo.example:9300"), reason) == ""


async def test_another_cluster_behind_a_changed_address_is_named(contexts: TlsContexts) -> None:
    oslo, voss = await Cluster("oslo", contexts).add("oslo-1"), await Cluster("voss", contexts).add("voss-1")
    async with remotes(contexts, x__seeds=[oslo.address]) as registry:
        assert await verify(registry, ["x"], BERGEN) == []
        registry.apply(Settings({"cluster.remote.x.seeds": [voss.address]}))
        (sentence,) = await verify(registry, ["x"], BERGEN)
        assert "remote cluster [x] is another cluster than before" in sentence
        assert f"at [{voss.address}] answers [voss] (uuid-voss), it was [oslo] (uuid-oslo)" in sentence
        registry.apply(Settings({}))  # whoever removes it and sets it again means it
        registry.apply(Settings({"cluster.remote.x.seeds": [oslo.address]}))
        assert await verify(registry, ["x"], BERGEN) == []
    await oslo.stop()
    await voss.stop()


async def test_a_cluster_that_could_not_be_reached_in_between_is_remembered(contexts: TlsContexts) -> None:
    oslo, voss = await Cluster("oslo", contexts).add("oslo-1"), await Cluster("voss", contexts).add("voss-1")
    async with listening(Http, contexts) as dead, remotes(contexts, x__seeds=[oslo.address]) as registry:
        assert await verify(registry, ["x"], BERGEN) == []
        registry.apply(Settings({"cluster.remote.x.seeds": [dead]}))
        assert "cannot be reached now" in (await verify(registry, ["x"], BERGEN))[0]
        registry.apply(Settings({"cluster.remote.x.seeds": [voss.address]}))
        assert "it was [oslo] (uuid-oslo)" in (await verify(registry, ["x"], BERGEN))[0]
    await oslo.stop()
    await voss.stop()
