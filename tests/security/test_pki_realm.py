"""Users by certificate: verified ones only, by the realm's own authorities, and no node by accident."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from cryptography.hazmat.primitives.serialization import Encoding

from hanse.errors import SecurityError, SettingsError
from hanse.security.audit import OFF
from hanse.security.authentication import Authenticator, HttpCredentials
from hanse.security.realms.chain import RealmChain
from hanse.security.realms.pki import pki_realm_names
from hanse.settings.registry import Settings
from hanse.tls.identity import PeerCertificate

from .certificates import O, Party, name, seen
from .conftest import Cluster

Make = Callable[..., Cluster]
PKI = "xpack.security.authc.realms.pki"
QUICK = {"xpack.security.authc.password_hashing.algorithm": "bcrypt4"}


class World:
    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.users_ca, self.nodes_ca = Party.authority(name("users")), Party.authority(name("nodes"))
        for stem, party in (("users", self.users_ca), ("nodes", self.nodes_ca)):
            (folder / f"{stem}.crt").write_bytes(party.certificate.public_bytes(Encoding.PEM))

    async def map(self, mapping: str, rule: dict[str, Any], *roles: str) -> None:
        body = {"enabled": True, "roles": list(roles), "rules": rule, "metadata": {}}
        await self.cluster.store.change("role_mapping", lambda _: {mapping: body})

    def chain(self, is_own: Any = lambda certificate: False, **values: Any) -> RealmChain:
        settings = Settings({**QUICK, f"{PKI}.pki1.order": "1", **{f"{PKI}.{key}": v for key, v in values.items()}})
        return RealmChain.from_settings(
            settings, self.cluster.store, "node-1", config_dir=self.folder, secure={}, is_own=is_own
        )

    def shown(self, party: Party) -> PeerCertificate:
        return seen(party, self.users_ca, self.nodes_ca)


@pytest.fixture
def world(make_cluster: Make, tmp_path: Path) -> World:
    return World(make_cluster(), tmp_path)


async def test_a_user_has_the_roles_that_mappings_give(world: World) -> None:
    joe = world.shown(world.users_ca.issue(name([(O, "acme")], "joe")))
    chain = world.chain()
    identity = chain.of_certificate(joe)
    assert identity is not None
    assert (identity.username, identity.roles, identity.realm.name, identity.realm.type) == ("joe", (), "pki1", "pki")
    assert identity.metadata == {"pki_dn": "CN=joe,O=acme"}
    await world.map("readers", {"field": {"dn": "*,O=acme"}}, "reader")
    changed = chain.of_certificate(joe)
    assert changed is not None
    assert changed.roles == ("reader",)
    chain.close()


async def test_a_node_is_no_user_unless_a_mapping_names_it(world: World) -> None:
    node = world.shown(world.nodes_ca.issue(name("node-1")))
    joe = world.shown(world.users_ca.issue(name("joe")))
    chain = world.chain(is_own=lambda certificate: certificate.issuer == "CN=nodes")
    assert chain.of_certificate(node) is None
    assert chain.of_certificate(joe) is not None
    await world.map("monitor", {"field": {"username": "node-1"}}, "monitor")
    mapped = chain.of_certificate(node)
    assert mapped is not None
    assert mapped.roles == ("monitor",)
    chain.close()


async def test_the_realms_own_authorities_decide_by_certificate_and_not_by_name(world: World) -> None:
    chain = world.chain(**{"pki1.certificate_authorities": "users.crt"})
    assert chain.of_certificate(world.shown(world.users_ca.issue(name("joe")))) is not None
    assert chain.of_certificate(world.shown(world.nodes_ca.issue(name("joe")))) is None
    below = world.users_ca.issue(name("below"), is_authority=True)
    assert chain.of_certificate(world.shown(below.issue(name("joe")))) is not None
    taken = world.nodes_ca.issue(name("users"), is_authority=True)  # an authority under the name of another
    assert chain.of_certificate(world.shown(taken.issue(name("joe")))) is None
    chain.close()


async def test_role_mapping_yml_gives_roles_beside_the_stored_mappings(world: World) -> None:
    place = world.folder / "role_mapping.yml"
    place.write_text("reader: ['CN=joe,O=acme']\nmonitor: ['CN=node-1']\n")
    chain = world.chain(is_own=lambda certificate: certificate.issuer == "CN=nodes")
    (realm,) = chain.certificate_realms
    assert realm.files == (place,)
    joe = world.shown(world.users_ca.issue(name([(O, "acme")], "joe")))
    node = world.shown(world.nodes_ca.issue(name("node-1")))
    await world.map("others", {"field": {"username": "joe"}}, "writer")
    for shown, expected in ((joe, ("writer", "reader")), (node, ("monitor",))):
        found = chain.of_certificate(shown)
        assert found is not None
        assert found.roles == expected
    assert realm.user_of_subject("CN=joe,O=acme").roles == ("writer", "reader")
    place.write_text("admin-of-all: ['CN=joe,O=acme']\n")
    realm.reload()
    changed = chain.of_certificate(joe)
    assert changed is not None
    assert changed.roles == ("writer", "admin-of-all")
    assert chain.of_certificate(node) is None
    chain.close()


async def test_a_changed_file_of_authorities_acts_and_a_broken_one_does_not(world: World) -> None:
    chain = world.chain(**{"pki1.certificate_authorities": "users.crt"})
    (realm,) = chain.certificate_realms
    assert realm.files == (world.folder / "users.crt", world.folder / "role_mapping.yml")
    joe = world.shown(world.users_ca.issue(name("joe")))
    assert realm.user(joe) is not None
    (world.folder / "users.crt").write_text("broken")
    realm.reload()
    assert realm.user(joe) is not None
    (world.folder / "users.crt").write_bytes((world.folder / "nodes.crt").read_bytes())
    realm.reload()
    assert realm.user(joe) is None
    chain.close()


async def test_what_no_handshake_verified_and_what_has_expired_is_nobody(world: World) -> None:
    chain = world.chain()
    joe = world.shown(world.users_ca.issue(name("joe")))
    assert chain.of_certificate(msgspec.structs.replace(joe, proven_fingerprints=())) is None
    assert chain.of_certificate(msgspec.structs.replace(joe, not_after=joe.not_before)) is None
    chain.close()


@pytest.mark.parametrize("subject", [name("admin", "joe"), name("admin\0x"), name([(O, "CN=admin")]), name("_system")])
async def test_a_crafted_subject_is_nobody(world: World, subject: Any) -> None:
    chain = world.chain()
    assert chain.of_certificate(world.shown(world.users_ca.issue(subject))) is None
    chain.close()


async def test_a_user_called_as_a_built_in_one_has_nothing_of_it(world: World) -> None:
    chain = world.chain()
    elastic = chain.of_certificate(world.shown(world.users_ca.issue(name("elastic"))))
    assert elastic is not None
    assert elastic.roles == ()
    assert elastic.realm.type == "pki"
    chain.close()


async def test_realms_are_asked_in_order(world: World) -> None:
    values = {
        "pki1.certificate_authorities": "nodes.crt",
        "pki2.order": "0",
        "pki2.username_pattern": "O=(.*?)(?:,|$)",
        "off.enabled": "false",
    }
    chain = world.chain(**values)
    joe = chain.of_certificate(world.shown(world.users_ca.issue(name([(O, "acme")], "joe"))))
    assert joe is not None
    assert (joe.username, joe.realm.name) == ("acme", "pki2")
    fallen = chain.of_certificate(world.shown(world.nodes_ca.issue(name("joe"))))
    assert fallen is not None
    assert (fallen.username, fallen.realm.name) == ("joe", "pki1")
    chain.close()
    settings = Settings({f"{PKI}.{key}": value for key, value in {**values, "pki1.order": "1"}.items()})
    assert pki_realm_names(settings) == ["pki2", "pki1"]


async def test_a_header_goes_before_a_certificate(world: World) -> None:
    chain = world.chain()
    authenticator = Authenticator(chain, OFF)
    joe = world.shown(world.users_ca.issue(name("joe")))
    assert (await authenticator.authenticate(HttpCredentials(None, peer=joe))).username == "joe"
    for header, peer in [("Basic eDp5", joe), ("Bearer x", joe), (None, None)]:
        with pytest.raises(SecurityError) as caught:
            await authenticator.authenticate(HttpCredentials(header, peer=peer))
        assert caught.value.status == 401
    crafted = world.shown(world.users_ca.issue(name("a", "b")))
    with pytest.raises(SecurityError, match="missing authentication credentials"):
        await authenticator.authenticate(HttpCredentials(None, peer=crafted))
    chain.close()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"pki1.files.role_mapping": "none.yml"}, "Role mapping file"),
        ({"pki1.files.role_mapping": "../none.yml"}, "blocked"),
        ({"pki1.authorization_realms": "ldap1"}, "come from role mappings only"),
        ({"pki1.username_pattern": "CN=("}, "is not a regular expression"),
        ({"pki1.username_pattern": "CN=.*"}, "has no group"),
        ({"pki1.certificate_authorities": "missing.crt"}, "because the file does not exist"),
        ({"pki1.certificate_authorities": "../users.crt"}, "SSL resources should be placed in"),
        ({"pki1.truststore.path": "missing.p12"}, "because the file does not exist"),
        ({"pki1.delegation.enabled": "true"}, "is not supported"),
        (
            {"pki1.truststore.path": "a.p12", "pki1.certificate_authorities": "users.crt"},
            "cannot specify both",
        ),
    ],
)
async def test_what_cannot_work_stops_the_start_and_names_the_setting(
    world: World, values: dict[str, str], words: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        world.chain(**values)
    assert words in raised.value.reason
    assert f"[{PKI}.{next(iter(values))}]" in raised.value.reason


async def test_each_certificate_is_judged_once(world: World) -> None:
    chain = world.chain()
    crafted = world.shown(world.users_ca.issue(name("a", "b")))
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            assert chain.of_certificate(crafted) is None
    assert [entry["why"] for entry in logs] == ["the pattern finds several names"]
    chain.close()
