"""`hanse certutil`: the zips an operator unpacks, and what they are good for."""

from __future__ import annotations

import shutil
import stat
import subprocess
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hanse.cli.certutil import certutil
from hanse.tls.identity import alternative_names
from hanse.tls.pkcs12 import Store, read_pkcs12

needs_java = pytest.mark.skipif(shutil.which("keytool") is None, reason="keytool is not installed")
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


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
        (("cert", "--keep-ca-key"), "make it with [certutil ca] and name it with --ca"),
        (("cert", "--pem", "-E", "a=b"), "Must specify either --ca or --ca-cert/--ca-key or --self-signed"),
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


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def store(path: Path, password: str) -> Store:
    return read_pkcs12(path.read_bytes(), password)


def test_the_steps_of_the_manual(here: Path) -> None:
    """`certutil ca`, then `certutil cert --ca`: file names and passwords are asked for."""
    made = run("ca", answers="\nca-secret\n")
    proposed = here / "elastic-stack-ca.p12"
    assert f"Please enter the desired output file [{proposed}]: " in made.stderr
    assert "Enter password for elastic-stack-ca.p12 : " in made.stderr
    (authority,) = store(proposed, "ca-secret").keys
    assert (authority.alias, authority.chain[0].subject.rfc4514_string()) == (
        "ca",
        "CN=Elastic Certificate Tool Autogenerated CA",
    )
    issued = run("cert", "--ca", "elastic-stack-ca.p12", answers="\nca-secret\nnode-secret\n")
    assert f"Please enter the desired output file [{here / 'elastic-certificates.p12'}]: " in issued.stderr
    assert "Enter password for CA (elastic-stack-ca.p12) : " in issued.stderr
    assert "Enter password for elastic-certificates.p12 : " in issued.stderr
    assert f"Certificates written to {here / 'elastic-certificates.p12'}" in issued.stdout
    found = store(here / "elastic-certificates.p12", "node-secret")
    assert [entry.alias for entry in found.keys] == ["instance"]
    assert [(entry.alias, entry.certificate) for entry in found.trusted] == [("ca", authority.chain[0])]
    found.keys[0].chain[0].verify_directly_issued_by(authority.chain[0])
    for path in here.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@needs_java
@needs_openssl
def test_other_tools_read_the_certificates(here: Path) -> None:
    assert run("ca", "--silent", "--out", "ca.p12", "--pass", "", "--keysize", "2048").exit_code == 0
    made = run("cert", "-s", "--ca", "ca.p12", "--ca-pass", "", "--out", "node.p12", "--pass", "secret1", "--dns", "n1")
    assert (made.exit_code, made.output) == (0, "")
    listed = subprocess.run(
        ["keytool", "-J-Duser.language=en", "-list", "-keystore", "node.p12", "-storepass", "secret1"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "trustedCertEntry" in listed
    assert "PrivateKeyEntry" in listed
    shown = subprocess.run(
        ["openssl", "pkcs12", "-in", "node.p12", "-passin", "pass:secret1", "-nodes"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "friendlyName: instance" in shown
    Path("all.pem").write_text(shown)
    subprocess.run(["openssl", "verify", "-CAfile", "all.pem", "-purpose", "sslserver", "-verify_hostname", "n1",
                    "all.pem"], check=True, capture_output=True)  # fmt: skip


@needs_openssl
def test_a_request_is_read_by_openssl(here: Path) -> None:
    result = run("csr", "--name", "CN=berlin,O=Hanse", "--dns", "berlin.example", "--pass", "secret1", answers="\n")
    assert f"Certificate signing requests have been written to {here / 'csr-bundle.zip'}" in result.stdout
    files = contents(here / "csr-bundle.zip")
    assert list(files) == ["berlin/berlin.csr", "berlin/berlin.key"]
    assert load_pem_private_key(files["berlin/berlin.key"], b"secret1")
    shown = subprocess.run(
        ["openssl", "req", "-noout", "-text", "-verify"], input=files["berlin/berlin.csr"], capture_output=True
    )
    assert shown.returncode == 0
    assert b"DNS:berlin.example" in shown.stdout


def test_the_lines_of_a_compose_file(here: Path) -> None:
    """As in Elasticsearch's docker-compose example: one dash before `out`, no question."""
    assert run("ca", "--silent", "--pem", "-out", "certs/ca.zip", answers="n\n").exit_code == 74
    Path("certs").mkdir()
    assert run("ca", "--silent", "--pem", "-out", "certs/ca.zip").output == ""
    with zipfile.ZipFile("certs/ca.zip") as bundle:
        bundle.extractall("certs")
    Path("instances.yml").write_text(
        "instances:\n  - name: es01\n    dns:\n      - es01\n      - localhost\n    ip:\n      - 127.0.0.1\n"
    )
    signer = ("--ca-cert", "certs/ca/ca.crt", "--ca-key", "certs/ca/ca.key")
    assert run("cert", "--silent", "--pem", "-out", "certs/certs.zip", "--in", "instances.yml", *signer).output == ""
    assert list(contents(Path("certs/certs.zip"))) == ["es01/es01.crt", "es01/es01.key"]


def test_several_instances_are_asked_for(here: Path) -> None:
    run("ca", "--out", "ca.p12", "--pass", "")
    answers = (
        "node-1\n\n10.0.0.1\nnode-1.example,localhost\ny\n"
        "bad name\n\n\nnot a name\n"  # no file name proposed, no DNS name: asked again
        "CN=second,O=Hanse\nsecond\n\n\nn\n\nsecret1\nsecret2\n"
    )
    result = run("cert", "--ca", "ca.p12", "--ca-pass", "", "--multiple", answers=answers)
    assert result.exit_code == 0, result.output
    assert "Enter name for directories and files of node-1 [node-1]: " in result.stderr
    assert "[not a name] is not a valid DNS name" in result.stderr
    assert "Enter password for second/second.p12 : " in result.stderr
    files = contents(here / "certificate-bundle.zip")
    assert list(files) == ["node-1/node-1.p12", "second/second.p12"]
    first = read_pkcs12(files["node-1/node-1.p12"], "secret1").keys[0].chain[0]
    assert alternative_names(first) == (("node-1.example", "localhost"), ("10.0.0.1",))
    assert read_pkcs12(files["second/second.p12"], "secret2").keys[0].alias == "second"


def test_self_signed_and_named(here: Path) -> None:
    assert run("cert", "--self-signed", "--name", "node-1", "--pass", "secret1", answers="\n").exit_code == 0
    found = store(here / "node-1.p12", "secret1")
    assert not found.trusted
    assert found.keys[0].chain[0].issuer == found.keys[0].chain[0].subject


def test_a_long_password_is_warned_of(here: Path) -> None:
    result = run("ca", "--out", "ca.p12", "--pass", "x" * 51)
    assert "Warning: Your password exceeds 50 characters." in result.stderr
    assert store(here / "ca.p12", "x" * 51).keys


def test_a_password_that_is_asked_for_is_typed_twice_for_pem(here: Path) -> None:
    differing = run("ca", "--pem", "--out", "ca.zip", "--pass", answers="one\ntwo\n")
    assert (differing.exit_code, "Passwords do not match" in differing.stderr) == (64, True)
    assert not list(here.iterdir())
    assert run("ca", "--pem", "--out", "ca.zip", "--pass", answers="secret1\nsecret1\n").exit_code == 0
    assert load_pem_private_key(contents(here / "ca.zip")["ca/ca.key"], b"secret1")


def test_authorities_that_are_none(here: Path) -> None:
    run("cert", "--self-signed", "--out", "node.p12", "--pass", "secret1")
    Path("nonsense.p12").write_bytes(b"nonsense")
    for path, password, words in [
        ("node.p12", "secret1", "does not hold the key of a certificate authority"),
        ("node.p12", "wrong", "the keystore password was incorrect"),
        ("nonsense.p12", "", "cannot read the PKCS#12 file"),
        ("missing.p12", "", "cannot read [missing.p12]"),
    ]:
        result = run("cert", "--ca", path, "--ca-pass", password, "--out", "x.p12", "--pass", "")
        assert result.exit_code in (64, 78)
        assert words in result.stderr
    assert not Path("x.p12").exists()


def test_a_folder_is_made_when_that_is_wanted(here: Path) -> None:
    assert run("ca", "--pem", "--out", "new/ca.zip", answers="y\n").exit_code == 0
    assert Path("new/ca.zip").exists()
