"""What the health report says of remote clusters: each kind of trouble with the hand that mends it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import Encoding

from hanse.errors import HanseError, SecurityError
from hanse.remote.health import gauges, indicator
from hanse.remote.registry import RemoteClusters
from hanse.remote.trouble import Trouble, trouble_of
from hanse.settings.registry import Settings
from hanse.tls.contexts import TlsContexts

from .conftest import BERGEN, PREFIX, Cluster, until


def remotes(contexts: TlsContexts | None, judge: Any = lambda certificate: None, **seeds: str) -> RemoteClusters:
    settings = Settings({f"cluster.remote.{alias}.seeds": [seed] for alias, seed in seeds.items()})
    return RemoteClusters(lambda: BERGEN, contexts, settings, jitter=lambda: 0.0, judge=judge)


async def tried(registry: RemoteClusters, alias: str) -> None:
    with pytest.raises(HanseError):
        await registry.ensure_connected(alias, 10)
    await until(lambda: registry.get(alias).last_error is not None)


async def test_all_connected_and_nothing_configured(luebeck: Cluster, contexts: TlsContexts) -> None:
    registry = remotes(contexts)
    assert indicator(registry)["symptom"] == "No remote cluster is configured."
    await registry.close()
    node = await luebeck.add("node")
    registry = remotes(contexts, l=node.address)
    await registry.ensure_connected("l", 10)
    found = indicator(registry)
    assert (found["status"], found["symptom"]) == ("green", "All remote clusters are connected.")
    assert found["details"] == {"remote_clusters": 1, "connected": 1, "not_connected": []}
    assert "impacts" not in found
    await until(lambda: "round_trip_ms" in gauges(registry)["l"])
    assert set(gauges(registry)["l"]) == {"connected", "connections", "round_trip_ms", "clock_skew_ms"}
    await registry.close()


async def test_each_trouble_is_told_apart(luebeck: Cluster, contexts: TlsContexts, tmp_path: Path) -> None:
    node, gone = await luebeck.add("node"), await luebeck.add("gone")
    await gone.stop()
    registry = remotes(contexts, lambda certificate: "disabled here", off=node.address, gone=gone.address)
    for alias in ("off", "gone"):
        await tried(registry, alias)
    found = indicator(registry)
    assert found["status"] == "yellow"
    assert found["symptom"] == "This cluster is not connected to the remote clusters [gone,off]."
    troubles = {one["name"]: one["trouble"] for one in found["details"]["not_connected"]}
    assert troubles == {"gone": "unreachable", "off": "peer_disabled"}
    assert {one["id"].rpartition(":")[2]: one["affected_resources"] for one in found["diagnosis"]} == {
        "unreachable": {"remote_clusters": ["gone"]},
        "peer_disabled": {"remote_clusters": ["off"]},
    }
    assert found["impacts"][0]["severity"] == 3
    await registry.close()


@pytest.mark.parametrize("side", ["here", "there"])
async def test_a_refused_certificate_on_either_side(
    luebeck: Cluster, contexts: TlsContexts, tmp_path: Path, side: str
) -> None:
    """With TLS 1.3 the dialling side learns only after its handshake that its own certificate was refused."""
    node = await luebeck.add("node")
    stranger = trustme.CA(key_type=trustme.KeyType.ECDSA)
    issued = stranger.issue_cert("localhost", key_type=trustme.KeyType.ECDSA)
    (tmp_path / "node.key").write_bytes(issued.private_key_pem.bytes())
    (tmp_path / "node.crt").write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    trusted = stranger if side == "here" else None
    known = b"".join(one.public_bytes(Encoding.PEM) for one in contexts.trusted)
    (tmp_path / "ca.crt").write_bytes(trusted.cert_pem.bytes() if trusted is not None else known)
    names = {"key": "node.key", "certificate": "node.crt", "certificate_authorities": "ca.crt", "enabled": "true"}
    own = TlsContexts.from_settings(Settings({f"{PREFIX}.{k}": v for k, v in names.items()}), PREFIX, tmp_path)
    registry = remotes(own, l=node.address)
    await tried(registry, "l")
    (told,) = indicator(registry)["details"]["not_connected"]
    assert told["trouble"] == "certificate_refused", told
    await registry.close()


def test_a_refusal_of_the_other_cluster() -> None:
    assert trouble_of(SecurityError("beyond the ceiling", 403)) is Trouble.REFUSED_THERE
