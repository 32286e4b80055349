"""The fields read from a certificate."""

from __future__ import annotations

import hashlib
import ssl

import pytest

from hanse.tls.authority import CertificateAuthority
from hanse.tls.identity import read_certificate


def test_every_identifying_field_is_read() -> None:
    pem, _ = CertificateAuthority.create("CN=Harbour").issue("CN=berlin,OU=nodes,O=Hanse", ["berlin.example"], ["::1"])
    der = ssl.PEM_cert_to_DER_cert(pem.decode())
    certificate = read_certificate(der)
    assert certificate.subject == "CN=berlin,OU=nodes,O=Hanse"
    assert certificate.issuer == "CN=Harbour"
    assert certificate.dns_names == ("berlin.example",)
    assert certificate.ip_addresses == ("::1",)
    assert certificate.fingerprint_sha256 == hashlib.sha256(der).hexdigest()
    assert int(certificate.serial_number, 16) > 0
    assert certificate.not_before < certificate.not_after


def test_what_is_no_certificate_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        read_certificate(b"nonsense")
