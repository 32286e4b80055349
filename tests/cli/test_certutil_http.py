"""`certutil http`: answers in, a zip out that works as its README says."""

from __future__ import annotations

import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hanse.cli.certutil import certutil
from hanse.settings.registry import Settings
from hanse.tls.contexts import TlsContexts
from hanse.tls.identity import alternative_names
from hanse.tls.pkcs12 import read_pkcs12


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*lines: str) -> Result:
    return CliRunner().invoke(certutil, ["http"], input="".join(f"{line}\n" for line in lines))


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as bundle:
        return {name: bundle.read(name) for name in bundle.namelist() if not name.endswith("/")}


def test_a_new_authority_and_one_certificate_for_all(here: Path) -> None:
    result = run(
        *("n", "n", "n", "ca-secret", "ca-secret"),  # no CSR, a new CA as proposed
        *("soon", "2y", "n"),  # asked again for the validity
        *("localhost", "bad name", "*.hanse.example", "", "y", "127.0.0.1", "", "n", "127.0.0.1", "", "y", "n"),
        *("secret1", "secret1", ""),
    )
    assert result.exit_code == 0, result.output
    assert f"Zip file written to {here / 'elasticsearch-ssl-http.zip'}" in result.stdout
    assert "[bad name] is not a valid DNS name" in result.stderr
    files = contents(here / "elasticsearch-ssl-http.zip")
    assert sorted(files) == [
        "ca/README.txt", "ca/ca.p12", "elasticsearch/README.txt", "elasticsearch/http.p12",
        "elasticsearch/sample-elasticsearch.yml", "kibana/README.txt", "kibana/elasticsearch-ca.pem",
        "kibana/sample-kibana.yml",
    ]  # fmt: skip
    found = read_pkcs12(files["elasticsearch/http.p12"], "secret1")
    certificate = found.keys[0].chain[0]
    assert alternative_names(certificate) == (("localhost", "*.hanse.example"), ("127.0.0.1",))
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc < timedelta(days=731)
    authority = x509.load_pem_x509_certificate(files["kibana/elasticsearch-ca.pem"])
    certificate.verify_directly_issued_by(authority)
    assert read_pkcs12(files["ca/ca.p12"], "ca-secret").keys[0].chain[0] == authority
    assert b"keystore.secure_password" in files["elasticsearch/sample-elasticsearch.yml"]
    (here / "http.p12").write_bytes(files["elasticsearch/http.p12"])
    prefix = "xpack.security.http.ssl"
    contexts = TlsContexts.from_settings(
        Settings({f"{prefix}.enabled": "true", f"{prefix}.keystore.path": "http.p12"}),
        prefix,
        here,
        {f"{prefix}.keystore.secure_password": "secret1"},
    )
    assert contexts.identity[0] == certificate
    assert authority in contexts.trusted


def test_an_existing_authority_and_a_certificate_for_each_node(here: Path) -> None:
    assert CliRunner().invoke(certutil, ["ca", "--out", "ca.p12", "--pass", "ca-secret"]).exit_code == 0
    result = run(
        *("n", "y", "ca.p12", "ca-secret", "", "y"),
        *("node/1", "node-1", "node-1.example", "", "", "", "", "n", "y"),
        *("node-1", "node-2", "", "", "", "", "y", "CN=second", "1024", "2048", "n"),
        *("", "", "out.zip"),
    )
    assert result.exit_code == 0, result.output
    assert "[node/1] cannot be the name of a folder" in result.stderr
    assert "A node with the name [node-1] was given already" in result.stderr
    files = contents(here / "out.zip")
    assert "ca/ca.p12" not in files
    second = read_pkcs12(files["elasticsearch/node-2/http.p12"], "").keys[0]
    assert second.chain[0].subject.rfc4514_string() == "CN=second"
    assert isinstance(second.key, rsa.RSAPrivateKey)
    assert b"secure_password" not in files["elasticsearch/node-1/sample-elasticsearch.yml"]


def test_a_request_for_another_authority(here: Path) -> None:
    result = run("y", "n", "localhost", "", "", "", "", "n", "secret1", "secret1", "")
    assert result.exit_code == 0, result.output
    files = contents(here / "elasticsearch-ssl-http.zip")
    request = x509.load_pem_x509_csr(files["elasticsearch/http-elasticsearch.csr"])
    assert request.subject.rfc4514_string() == "CN=localhost"
    assert load_pem_private_key(files["elasticsearch/http-elasticsearch.key"], b"secret1")
    assert not any(name.startswith("kibana") for name in files)


def test_nothing_is_written_when_the_answers_end(here: Path) -> None:
    result = run("n", "n", "y", "CN=x,=", "CN=x", "5y", "", "secret1", "other12")
    assert result.exit_code == 64
    assert "Passwords do not match" in result.stderr
    assert not list(here.iterdir())
