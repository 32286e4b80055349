"""`hanse certutil`: the zips an operator unpacks, and what they are good for."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hanse.cli.certutil import certutil
from hanse.tls.identity import alternative_names


def run(*arguments: object, answers: str | None = None) -> Result:
    return CliRunner().invoke(certutil, [str(argument) for argument in arguments], input=answers)


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    assert run("ca", "--pem", "--out", tmp_path / "ca.zip").exit_code == 0
    with zipfile.ZipFile(tmp_path / "ca.zip") as bundle:
        bundle.extractall(tmp_path)
    return tmp_path / "ca"


def signed_by(authority: Path) -> tuple[object, ...]:
    return ("--ca-cert", authority / "ca.crt", "--ca-key", authority / "ca.key")


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as bundle:
        return {name: bundle.read(name) for name in bundle.namelist() if not name.endswith("/")}


def test_an_authority_lies_in_a_zip_that_only_its_owner_reads(tmp_path: Path) -> None:
    out = tmp_path / "ca.zip"
    result = run("ca", "--pem", "--out", out, "--ca-dn", "CN=Harbour", "--days", "10")
    assert result.exit_code == 0
    assert f"written to {out}" in result.output
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    files = contents(out)
    assert list(files) == ["ca/ca.crt", "ca/ca.key"]
    certificate = x509.load_pem_x509_certificate(files["ca/ca.crt"])
    assert certificate.subject.rfc4514_string() == "CN=Harbour"
    assert isinstance(load_pem_private_key(files["ca/ca.key"], None), ec.EllipticCurvePrivateKey)
    with zipfile.ZipFile(out) as bundle:
        assert (bundle.getinfo("ca/ca.key").external_attr >> 16) & 0o777 == 0o600


def test_a_certificate_holds_the_names_and_is_signed(tmp_path: Path, authority: Path) -> None:
    out = tmp_path / "node.zip"
    names = ("--name", "node-1", "--dns", "localhost,node-1.example", "--dns", "n1", "--ip", "127.0.0.1,::1")
    assert run("cert", "--pem", "--out", out, *names, *signed_by(authority)).exit_code == 0
    files = contents(out)
    assert list(files) == ["node-1/node-1.crt", "node-1/node-1.key"]
    certificate = x509.load_pem_x509_certificate(files["node-1/node-1.crt"])
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate((authority / "ca.crt").read_bytes()))
    assert alternative_names(certificate) == (("localhost", "node-1.example", "n1"), ("127.0.0.1", "::1"))
    key = load_pem_private_key(files["node-1/node-1.key"], None)
    assert key.public_key() == certificate.public_key()


def test_the_default_name_is_instance(tmp_path: Path, authority: Path) -> None:
    assert run("cert", "--pem", "--silent", "--out", tmp_path / "n.zip", *signed_by(authority)).output == ""
    assert "instance/instance.key" in contents(tmp_path / "n.zip")


def test_a_full_distinguished_name_gives_its_common_name_to_the_file(tmp_path: Path, authority: Path) -> None:
    out = tmp_path / "n.zip"
    assert run("cert", "--pem", "--out", out, "--name", "CN=berlin,O=Hanse", *signed_by(authority)).exit_code == 0
    certificate = x509.load_pem_x509_certificate(contents(out)["berlin/berlin.crt"])
    assert certificate.subject.rfc4514_string() == "CN=berlin,O=Hanse"


def test_rsa_and_passwords(tmp_path: Path) -> None:
    assert run("ca", "--pem", "--out", tmp_path / "ca.zip", "--keysize", 2048, "--pass", "secret").exit_code == 0
    with zipfile.ZipFile(tmp_path / "ca.zip") as bundle:
        bundle.extractall(tmp_path)
    key = load_pem_private_key((tmp_path / "ca" / "ca.key").read_bytes(), b"secret")
    assert isinstance(key, rsa.RSAPrivateKey)
    signer = signed_by(tmp_path / "ca")
    assert run("cert", "--pem", "--out", tmp_path / "a.zip", "--ca-pass", "secret", *signer).exit_code == 0
    assert run("cert", "--pem", "--out", tmp_path / "b.zip", *signer, answers="secret\n").exit_code == 0
    wrong = run("cert", "--pem", "--out", tmp_path / "c.zip", "--ca-pass", "wrong", *signer)
    assert wrong.exit_code == 78
    assert "cannot read the certificate authority" in wrong.output
    assert not (tmp_path / "c.zip").exists()


def test_an_output_that_exists_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "ca.zip"
    out.write_text("precious")
    result = run("ca", "--pem", "--out", out)
    assert result.exit_code == 74
    assert f"Output file '{out}' already exists" in result.output
    assert out.read_text() == "precious"


def test_many_instances_from_a_file(tmp_path: Path, authority: Path) -> None:
    listed = tmp_path / "instances.yml"
    listed.write_text(
        "instances:\n  - name: n1\n    ip: [127.0.0.1]\n    dns: [n1.example]\n"
        "  - name: CN=n2,O=Hanse\n    filename: second\n"
    )
    out = tmp_path / "all.zip"
    assert run("cert", "--pem", "--in", listed, "--out", out, *signed_by(authority)).exit_code == 0
    assert set(contents(out)) == {"n1/n1.crt", "n1/n1.key", "second/second.crt", "second/second.key"}


def test_a_file_of_instances_with_faults_names_each(tmp_path: Path, authority: Path) -> None:
    listed = tmp_path / "instances.yml"
    listed.write_text("instances:\n  - name: n1\n    ip: [300.1.1.1]\n  - name: 'a/b'\n  - dns: x\n")
    result = run("cert", "--pem", "--in", listed, "--out", tmp_path / "x.zip", *signed_by(authority))
    assert result.exit_code == 78
    assert "Configuration for instance n1 has invalid details" in result.output
    assert " * [300.1.1.1] is not a valid IP address" in result.output
    assert "[a/b] is not a valid filename" in result.output
    assert "contains invalid configuration details (see messages above)" in result.output
    assert not (tmp_path / "x.zip").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("cert", "--pem"), "Must specify either --ca or --ca-cert/--ca-key or --self-signed"),
        (("cert", "--pem", "--ca-cert", "one"), "--ca-cert and --ca-key are needed together"),
        (("cert", "--self-signed", "--in", "x.yml", "--multiple"), "--in cannot be used together with --multiple"),
        (("cert", "--self-signed", "--in", "x.yml", "--name", "n"), "--in cannot be used together with --name"),
        (("cert", "--self-signed", "--pass", "pässword"), "PKCS#12 passwords must be plain ASCII"),
        (("cert", "--pem", "--ca-cert", "missing", "--ca-key", "missing"), "No such file"),
        (("ca", "--pem", "--keysize", "512"), "key size must be between"),
        (("ca", "--pem", "--ca-dn", "CN=a,=b"), "is not a valid distinguished name"),
        (("ca", "--pem", "--days", "0"), "--days"),
        (("ca", "--pem", "--out", "/no/such/folder/x.zip"), "does not exist. Do you want"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    extra = () if "--out" in arguments else ("--out", tmp_path / "x.zip")
    result = run(*arguments, *extra)
    assert result.exit_code != 0
    assert words in result.output
    assert "Traceback" not in result.output


def test_names_that_are_none(tmp_path: Path, authority: Path) -> None:
    for wrong in (("--ip", "1.2.3"), ("--name", "a/b")):
        result = run("cert", "--pem", "--out", tmp_path / "x.zip", *wrong, *signed_by(authority))
        assert result.exit_code == 64
        assert "not a valid" in result.output or "cannot be the name of a file" in result.output
