"""What a node hands out, to whom, and when it cannot."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_private_key

from hanse.errors import HanseError, IllegalArgumentError, SecurityError
from hanse.security.enrollment import ENROLL_KIBANA, ENROLL_NODE, ENROLL_NODE_NAME, EnrollmentActions, EnrollmentKeys
from hanse.settings.registry import Settings
from hanse.tls.authority import CertificateAuthority, Names
from hanse.tls.pkcs12 import KeyEntry, TrustedEntry, write_pkcs12
from hanse.transport.actions import Empty
from tests.security.conftest import REST, Cluster, user

HTTP, TRANSPORT = "xpack.security.http.ssl", "xpack.security.transport.ssl"
CONFIGURED = {
    "xpack.security.enrollment.enabled": "true",
    f"{HTTP}.enabled": "true",
    f"{HTTP}.keystore.path": "http.p12",
    f"{TRANSPORT}.enabled": "true",
    f"{TRANSPORT}.keystore.path": "transport.p12",
}
PASSWORDS = {f"{prefix}.keystore.secure_password": "secret1" for prefix in (HTTP, TRANSPORT)}
AUTHORITY = CertificateAuthority.create("CN=http")
OTHER = CertificateAuthority.create("CN=transport")
NODE = AUTHORITY.issue_for(Names("n1"))
PEER = OTHER.issue_for(Names("n1"))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    http = [KeyEntry("http", NODE.key, (NODE.certificate,)), KeyEntry("ca", AUTHORITY.key, (AUTHORITY.certificate,))]
    (tmp_path / "http.p12").write_bytes(write_pkcs12(http, password="secret1"))
    transport = [KeyEntry("transport", PEER.key, (PEER.certificate,))]
    (tmp_path / "transport.p12").write_bytes(
        write_pkcs12(transport, [TrustedEntry("ca", OTHER.certificate)], "secret1")
    )
    return tmp_path


def enabled(cluster: Cluster, config: Path, settings: dict[str, str] | None = None) -> None:
    keys = EnrollmentKeys(Settings(settings or CONFIGURED), config, PASSWORDS)
    EnrollmentActions(keys, lambda: ["10.0.0.1:9300"]).register(cluster.registry)


async def test_a_caller_who_may_enroll_gets_the_keys(config: Path, make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()
    enabled(cluster, config)
    await cluster.add_role("enroller", cluster=[ENROLL_NODE_NAME])
    answer = await cluster.gate.run(ENROLL_NODE, Empty(), user("new", "enroller"), REST)
    decoded = {name: base64.b64decode(text) for name, text in answer.body.items() if name != "nodes_addresses"}
    assert answer.body["nodes_addresses"] == ["10.0.0.1:9300"]
    assert x509.load_der_x509_certificate(decoded["http_ca_cert"]) == AUTHORITY.certificate
    assert load_der_private_key(decoded["http_ca_key"], None).public_key() == AUTHORITY.certificate.public_key()
    assert x509.load_der_x509_certificate(decoded["transport_cert"]) == PEER.certificate
    assert x509.load_der_x509_certificate(decoded["transport_ca_cert"]) == OTHER.certificate
    assert load_der_private_key(decoded["transport_key"], None).public_key() == PEER.certificate.public_key()


async def test_nobody_else_does(config: Path, make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()
    enabled(cluster, config)
    await cluster.add_role("reader", cluster=["monitor"])
    for action in (ENROLL_NODE, ENROLL_KIBANA):
        with pytest.raises(SecurityError):
            await cluster.gate.run(action, Empty(), user("new", "reader"), REST)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"xpack.security.enrollment.enabled": "false"}, "must be set to `true`"),
        ({f"{HTTP}.keystore.path": "transport.p12"}, "doesn't contain any PrivateKey entries where the associated"),
        ({f"{HTTP}.keystore.path": "missing.p12"}, "cannot read the keystore"),
        ({f"{TRANSPORT}.keystore.path": "http.p12"}, "doesn't contain exactly one PrivateKey entry"),
    ],
)
async def test_a_node_that_has_not_got_the_keys_says_so(
    config: Path, make_cluster: Callable[..., Cluster], changes: dict[str, str], words: str
) -> None:
    cluster = make_cluster()
    enabled(cluster, config, {**CONFIGURED, **changes})
    with pytest.raises(IllegalArgumentError) as raised:
        await cluster.gate.run(ENROLL_NODE, Empty(), user("admin", "superuser"), REST)
    assert words in raised.value.reason


async def test_kibana_is_told_why_not(config: Path, make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()
    enabled(cluster, config)
    with pytest.raises(HanseError, match="no service accounts") as raised:
        await cluster.gate.run(ENROLL_KIBANA, Empty(), user("admin", "superuser"), REST)
    assert raised.value.status == 501
