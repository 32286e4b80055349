"""Our stores are read by Java, OpenSSL and ourselves alike; theirs by us."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from hanse.errors import IllegalArgumentError
from hanse.tls.authority import CertificateAuthority, Names
from hanse.tls.pkcs12 import KeyEntry, Store, TrustedEntry, read_pkcs12, write_pkcs12

AUTHORITY = CertificateAuthority.create("CN=Harbour")
NODE = AUTHORITY.issue_for(Names("node-1", ("localhost",)))
ENTRY = KeyEntry("node-1", NODE.key, (NODE.certificate,))
ANCHOR = TrustedEntry("ca", AUTHORITY.certificate)
STORE = write_pkcs12([ENTRY], [ANCHOR], "secret1")

needs_java = pytest.mark.skipif(shutil.which("keytool") is None, reason="keytool is not installed")
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def output_of(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("password", ["secret1", "", "x" * 60])
def test_a_store_comes_back(password: str) -> None:
    found = read_pkcs12(write_pkcs12([ENTRY], [ANCHOR], password), password)
    assert [(entry.alias, entry.chain) for entry in found.keys] == [("node-1", (NODE.certificate,))]
    assert found.keys[0].key.public_key() == NODE.key.public_key()
    assert found.trusted == (ANCHOR,)


def test_two_keys_come_back_in_order() -> None:
    two = [KeyEntry("http", NODE.key, (NODE.certificate, AUTHORITY.certificate)),
           KeyEntry("http_ca", AUTHORITY.key, (AUTHORITY.certificate,))]  # fmt: skip
    data = write_pkcs12(two, password="secret1")
    assert [entry.alias for entry in read_pkcs12(data, "secret1").keys] == ["http", "http_ca"]
    only = pkcs12.load_pkcs12(data, b"secret1")  # a program that knows one key finds the first
    assert only.cert is not None
    assert only.cert.certificate == NODE.certificate


@needs_java
def test_java_lists_the_authority_as_trusted(tmp_path: Path) -> None:
    (tmp_path / "store.p12").write_bytes(STORE)
    listed = output_of("keytool", "-J-Duser.language=en", "-list", "-keystore", tmp_path / "store.p12",
                       "-storetype", "PKCS12", "-storepass", "secret1")  # fmt: skip
    assert "ca, " in listed.split("trustedCertEntry")[0]
    assert "PrivateKeyEntry" in listed
    assert "2 entries" in listed


@needs_java
def test_a_store_of_java_is_read(tmp_path: Path) -> None:
    path = tmp_path / "java.p12"
    output_of("keytool", "-genkeypair", "-alias", "one", "-keyalg", "EC", "-dname", "CN=one", "-keystore", path,
              "-storetype", "PKCS12", "-storepass", "secret1")  # fmt: skip
    (tmp_path / "ca.crt").write_bytes(AUTHORITY.certificate_pem)
    output_of("keytool", "-importcert", "-noprompt", "-alias", "anchor", "-file", tmp_path / "ca.crt", "-keystore",
              path, "-storepass", "secret1")  # fmt: skip
    found = read_pkcs12(path.read_bytes(), "secret1")
    assert [entry.alias for entry in found.keys] == ["one"]
    assert [(entry.alias, entry.certificate) for entry in found.trusted] == [("anchor", AUTHORITY.certificate)]


@needs_openssl
@pytest.mark.parametrize("extra", [(), ("-legacy",), ("-macalg", "sha1")])
def test_stores_go_to_openssl_and_come_from_it(tmp_path: Path, extra: tuple[str, ...]) -> None:
    (tmp_path / "store.p12").write_bytes(STORE)
    pem = output_of("openssl", "pkcs12", "-in", tmp_path / "store.p12", "-passin", "pass:secret1", "-nodes")
    assert pem.count("BEGIN CERTIFICATE") == 2
    (tmp_path / "all.pem").write_text(pem)
    output_of("openssl", "pkcs12", "-export", "-in", tmp_path / "all.pem", "-name", "again", *extra,
              "-out", tmp_path / "again.p12", "-passout", "pass:other12")  # fmt: skip
    found = read_pkcs12((tmp_path / "again.p12").read_bytes(), "other12")
    assert found.keys[0].chain[0] == NODE.certificate
    assert found.others == (AUTHORITY.certificate,)


def test_stores_of_the_library_are_read() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert isinstance(NODE.key, ec.EllipticCurvePrivateKey)
    data = pkcs12.serialize_key_and_certificates(
        b"one", NODE.key, NODE.certificate, [AUTHORITY.certificate], BestAvailableEncryption(b"secret1")
    )
    assert read_pkcs12(data, "secret1").keys[0].alias == "one"
    alone = pkcs12.serialize_key_and_certificates(b"key", key, None, None, BestAvailableEncryption(b"secret1"))
    with pytest.raises(IllegalArgumentError, match="has no certificate"):
        read_pkcs12(alone, "secret1")


def test_a_wrong_password_and_a_password_java_would_read_differently() -> None:
    for wrong in ("secret2", ""):
        with pytest.raises(IllegalArgumentError, match="password"):
            read_pkcs12(STORE, wrong)
    with pytest.raises(IllegalArgumentError, match="must be plain ASCII"):
        write_pkcs12([ENTRY], password="pässword")


def test_the_key_is_nowhere_in_the_clear() -> None:
    plain = NODE.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert plain not in STORE
    assert NODE.certificate.public_bytes(Encoding.DER) not in STORE


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_store_is_refused_and_nothing_worse(data: st.DataObject) -> None:
    damaged = bytearray(STORE)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, min(len(damaged), 300) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    with contextlib.suppress(IllegalArgumentError):
        assert isinstance(read_pkcs12(cut, "secret1"), Store)
