"""Unreadable PEM files, told without the library's words."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from hanse.errors import IllegalArgumentError, SettingsError
from hanse.tls.authority import CertificateAuthority
from hanse.tls.key_material import read_certificates
from hanse.tls.pem_faults import fault_of

CERT, KEY = "CERTIFICATE", "PRIVATE KEY"
BLOCK = "-----BEGIN {0}-----\nAAAA\n-----END {0}-----\n"


@pytest.mark.parametrize(
    ("data", "wanted", "fault"),
    [
        ("", CERT, "it is empty"),
        (" \n", KEY, "it is empty"),
        ("junk", CERT, "no line in it begins with [-----BEGIN CERTIFICATE-----]: it is no PEM file"),
        ("junk", KEY, "no line in it begins with [-----BEGIN PRIVATE KEY-----]: it is no PEM file"),
        (BLOCK.format(KEY), CERT, "it holds [PRIVATE KEY] and no [CERTIFICATE]"),
        (BLOCK.format(CERT) * 2, KEY, "it holds [CERTIFICATE] and no [PRIVATE KEY]"),
        ("-----BEGIN CERTIFICATE-----\nAAAA", CERT, "the block [CERTIFICATE] has no end line: the file is cut off"),
        (
            BLOCK.format(CERT),
            CERT,
            "the content of its block [CERTIFICATE] is damaged, or of a kind that is not supported",
        ),
        (
            BLOCK.format("EC PRIVATE KEY"),
            KEY,
            "the content of its block [EC PRIVATE KEY] is damaged, or of a kind that is not supported",
        ),
    ],
)
def test_faults(data: str, wanted: str, fault: str) -> None:
    assert fault_of(data.encode(), wanted) == fault


def test_der_is_recognized() -> None:
    der = CertificateAuthority.create("CN=x").certificate.public_bytes(Encoding.DER)
    assert fault_of(der, CERT).endswith("it seems to be in DER form; convert it to PEM")


def test_refusals_are_in_our_words(tmp_path: Path) -> None:
    junk = tmp_path / "junk.crt"
    junk.write_text("junk")
    with pytest.raises(SettingsError) as refused:
        read_certificates(junk, "a.certificate", "PEM certificate")
    assert str(refused.value) == (
        f"cannot read configured [PEM certificate] [{junk}] in [a.certificate] because the file does not contain any "
        "readable certificate: no line in it begins with [-----BEGIN CERTIFICATE-----]: it is no PEM file"
    )
    authority = CertificateAuthority.create("CN=x")
    with pytest.raises(IllegalArgumentError, match=r"the certificate authority's key: it holds \[CERTIFICATE\] and no"):
        CertificateAuthority.load(authority.certificate_pem, authority.certificate_pem)
    with pytest.raises(IllegalArgumentError, match="the certificate authority's certificate: it is empty"):
        CertificateAuthority.load(b"", authority.key_pem())
    locked = authority.key_pem(b"secret")
    with pytest.raises(IllegalArgumentError, match="the certificate authority's key: its password is wrong or missing"):
        CertificateAuthority.load(authority.certificate_pem, locked, b"other")
