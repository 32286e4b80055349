"""PEM files for another program: complete, private, and without the authorities of other clusters."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

import pytest

from hanse.errors import SettingsError
from hanse.settings.registry import Settings
from hanse.tls.authority import CertificateAuthority
from hanse.tls.contexts import TlsContexts
from hanse.tls.pem_files import write_pem_files

PREFIX = "xpack.security.transport.ssl"


def contexts(folder: Path, own: CertificateAuthority, *trusted: CertificateAuthority) -> TlsContexts:
    certificate, key = own.issue("node", dns=("localhost",), ips=("127.0.0.1",))
    (folder / "node.crt").write_bytes(certificate)
    (folder / "node.key").write_bytes(key)
    (folder / "trusted.crt").write_bytes(b"".join(one.certificate_pem for one in trusted))
    values = {"enabled": "true", "key": "node.key", "certificate": "node.crt", "certificate_authorities": "trusted.crt"}
    return TlsContexts.from_settings(Settings({f"{PREFIX}.{k}": v for k, v in values.items()}), PREFIX, folder)


def test_files_fit_each_other_and_are_for_their_owner(tmp_path: Path) -> None:
    own, other = CertificateAuthority.create("CN=own"), CertificateAuthority.create("CN=other")
    for _ in range(2):
        files = write_pem_files(contexts(tmp_path, own, other, own), tmp_path / "out")
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    context.load_verify_locations(files.authorities)
    assert [authority["subject"] for authority in context.get_ca_certs()] == [((("commonName", "own"),),)]


def test_a_node_that_nobody_it_trusts_vouches_for(tmp_path: Path) -> None:
    own, other = CertificateAuthority.create("CN=own"), CertificateAuthority.create("CN=other")
    with pytest.raises(SettingsError, match="vouches for this node's own certificate"):
        write_pem_files(contexts(tmp_path, own, other), tmp_path / "out")
