"""What a node tells of itself in an invitation, and what keeps it from inviting at all."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from hanse.cluster.requests import UPDATE_SETTINGS
from hanse.errors import IllegalArgumentError, StatusError
from hanse.remote.trust_links import TrustLinks
from hanse.security.trust.authentication_string import Way
from hanse.settings.registry import Settings
from hanse.tls.authority import CertificateAuthority
from hanse.tls.contexts import TlsContexts
from hanse.tls.identity import fingerprint
from hanse.tls.reload import Reloader
from hanse.transport.identity import SYSTEM, Identity

from .conftest import BERGEN, PREFIX

CA = CertificateAuthority.create("CN=ca-bergen")


class World:
    """A node's files, and what it was asked to set."""

    def __init__(self, folder: Path, *trusted: CertificateAuthority, **changes: str) -> None:
        certificate, key = CA.issue("bergen-1", dns=("localhost",), ips=("127.0.0.1",))
        (folder / "node.crt").write_bytes(certificate)
        (folder / "node.key").write_bytes(key)
        (folder / "trusted.crt").write_bytes(b"".join(one.certificate_pem for one in trusted))
        names = {"key": "node.key", "certificate": "node.crt", "certificate_authorities": "trusted.crt"}
        values = {f"{PREFIX}.{name}": value for name, value in {**names, "enabled": "true", **changes}.items()}
        self.contexts = TlsContexts.from_settings(Settings(values), PREFIX, folder)
        self.settings = Settings(
            {
                "cluster.remote.oslo.seeds": ["o:9300"],
                "cluster.remote.asker.mode": "proxy",
                "cluster.remote.asker.proxy_address": "a:9400",
                "cluster.remote.asker.server_name": "a.example",
            }
        )
        self.asked: list[Any] = []
        self.folder = folder

    async def run(self, action: Any, request: Any, identity: Identity) -> None:
        self.asked.append((action, request.persistent, identity))

    def links(self, **changes: Any) -> TrustLinks:
        parts: dict[str, Any] = {
            "transport_tls": self.contexts,
            "http_tls": self.contexts,
            "http_address": lambda: "127.0.0.1:9200",
            "settings": lambda: self.settings,
            "reload": Reloader([self.contexts], Settings({})).reload,
            "run": self.run,
        }
        return TrustLinks(lambda: BERGEN, **{**parts, **changes})


def test_the_card_holds_the_authority_above_the_own_certificate(tmp_path: Path) -> None:
    links = World(tmp_path, CertificateAuthority.create("CN=ca-bergen"), CA).links()
    card = links.card(Way())
    der = CA.certificate.public_bytes(serialization.Encoding.DER)
    assert card.authority == base64.b64encode(der).decode()
    assert (card.cluster_name, card.cluster_uuid, card.seeds) == ("bergen", "uuid-bergen", ("127.0.0.1:9300",))
    assert links.card(Way(("gate:9300",))).seeds == ("gate:9300",)
    proxied = links.card(Way((), "gate:9400", "bergen.example"))
    assert proxied.way == Way((), "gate:9400", "bergen.example")


def test_where_it_is_called(tmp_path: Path) -> None:
    world = World(tmp_path, CA)
    assert world.links().https(()) == (("127.0.0.1:9200",), fingerprint(world.contexts.identity[0]))
    assert world.links().https(("gate:9200",))[0] == ("gate:9200",)
    with pytest.raises(IllegalArgumentError, match=r"http.ssl.enabled\] must be \[true\]"):
        world.links(http_tls=None).https(())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"verification_mode": "none"}, r"verification_mode\] is \[none\]"),
        ({"client_authentication": "optional"}, r"client_authentication\] is \[optional\]"),
    ],
)
def test_a_node_that_does_not_look_whom_it_talks_to(tmp_path: Path, changes: dict[str, str], words: str) -> None:
    with pytest.raises(IllegalArgumentError, match=words):
        World(tmp_path, CA, **changes).links().card(Way())


def test_a_node_that_cannot_say_who_vouches_for_it(tmp_path: Path) -> None:
    with pytest.raises(IllegalArgumentError, match="is not among those it trusts"):
        World(tmp_path, CertificateAuthority.create("CN=ca-bergen")).links().card(Way())
    with pytest.raises(IllegalArgumentError, match="without TLS nobody can be trusted"):
        World(tmp_path, CA).links(transport_tls=None).card(Way())


async def test_connections_are_settings(tmp_path: Path) -> None:
    world = World(tmp_path, CA)
    links = world.links()
    assert (links.way("oslo"), links.way("asker"), links.way("nowhere")) == (
        Way(("o:9300",)),
        Way((), "a:9400", "a.example"),
        None,
    )
    await links.connect("hamar", Way(("h:9300",)))
    await links.connect("voss", Way((), "v:9400", "voss.example"))
    await links.disconnect("hamar")
    assert world.asked == [
        (UPDATE_SETTINGS, {"cluster.remote.hamar.seeds": ["h:9300"]}, SYSTEM),
        (
            UPDATE_SETTINGS,
            {
                "cluster.remote.voss.mode": "proxy",
                "cluster.remote.voss.proxy_address": "v:9400",
                "cluster.remote.voss.server_name": "voss.example",
            },
            SYSTEM,
        ),
        (UPDATE_SETTINGS, {"cluster.remote.hamar.*": None}, SYSTEM),
    ]


async def test_trust_that_cannot_be_reloaded_says_so(tmp_path: Path) -> None:
    world = World(tmp_path, CA)
    await world.links().reload_trust()
    (tmp_path / "node.key").write_text("half a key")
    with pytest.raises(StatusError, match="its trust stays as it is: "):
        await world.links().reload_trust()
