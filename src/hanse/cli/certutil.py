"""`hanse certutil` and `elasticsearch-certutil`: authorities and certificates, as PKCS#12 or as PEM in a zip.

P-256 keys unless --keysize asks for RSA. An output that exists is never overwritten; it is written with mode 0600, and
a private key never lies in it unencrypted when a password was given. Tests: tests/cli/test_certutil.py.
"""

from __future__ import annotations

from pathlib import Path

import click

from hanse.cli.certutil_cert import cert, csr
from hanse.cli.certutil_http import http
from hanse.cli.certutil_options import days_option, output_options
from hanse.cli.certutil_output import key_password, store_password, target_file, write_private, zip_of
from hanse.cli.terminal import CONFIG, HELP, failing, option
from hanse.tls.authority import DEFAULT_CA_DN, CertificateAuthority
from hanse.tls.pkcs12 import KeyEntry, write_pkcs12

DEFAULT_STORE = "elastic-stack-ca.p12"
DEFAULT_ZIP = "elastic-stack-ca.zip"
CA_ALIAS = "ca"

_INTRODUCTION = """\
This tool makes a certificate authority: an X.509 certificate and the private key that signs others. The result is a
PKCS#12 file that holds both, or with --pem a zip file with a PEM certificate and a PEM private key.
"""


@click.group(context_settings=HELP)
def certutil() -> None:
    """Make certificate authorities and certificates."""


@certutil.command("ca")
@output_options
@days_option
@option("--ca-dn", default=DEFAULT_CA_DN, show_default=True, help="Distinguished name of the authority.")
@option("--pem", is_flag=True, help="PEM files in a zip instead of PKCS#12.")
def certificate_authority(
    out: Path | None, keysize: int | None, password: str | None, silent: bool, days: int, ca_dn: str, pem: bool
) -> None:
    """Make a new certificate authority."""
    if not silent:
        click.echo(_INTRODUCTION)
    target = target_file(out, DEFAULT_ZIP if pem else DEFAULT_STORE)
    with failing(CONFIG):
        made = CertificateAuthority.create(ca_dn, days, key_bits=keysize)
    if pem:
        secret = key_password(password)
        content = zip_of([("ca/ca.crt", made.certificate_pem), ("ca/ca.key", made.key_pem(secret))])
    else:
        entry = KeyEntry(CA_ALIAS, made.key, (made.certificate,))
        content = write_pkcs12([entry], password=store_password(password, target.name))
    write_private(target, content)
    if not silent:
        click.echo(f"\nCertificate authority written to {target}\n")
        click.echo(
            "This file should be properly secured as it contains the private key for your certificate authority."
        )


for _command in (cert, csr, http):
    certutil.add_command(_command)
