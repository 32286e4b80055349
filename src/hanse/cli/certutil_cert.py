"""`certutil cert` and `certutil csr`: certificates of nodes, and requests for another authority to sign.

Tests: tests/cli/test_certutil.py.
"""

from __future__ import annotations

from pathlib import Path

import click
from cryptography.hazmat.primitives.serialization import Encoding

from hanse.cli.certutil_instances import Instance
from hanse.cli.certutil_options import (
    authority_from_pem,
    authority_from_store,
    chosen_instances,
    days_option,
    instance_options,
    output_options,
)
from hanse.cli.certutil_output import ASK, key_password, store_password, target_file, write_private, zip_of
from hanse.cli.terminal import CONFIG, HELP, USAGE, Failure, failing, option
from hanse.tls.authority import CertificateAuthority, Issued, key_to_pem, self_signed, signing_request
from hanse.tls.pkcs12 import KeyEntry, TrustedEntry, write_pkcs12

DEFAULT_STORE = "elastic-certificates.p12"
DEFAULT_BUNDLE = "certificate-bundle.zip"
DEFAULT_REQUESTS = "csr-bundle.zip"
CA_ALIAS = "ca"

_INTRODUCTION = """\
This tool makes X.509 certificates and their private keys for the nodes of a cluster.

One certificate is made, or one for each instance with --multiple or --in. All are signed by the certificate authority
that --ca, or --ca-cert and --ca-key, name, or each by itself with --self-signed. The result is a PKCS#12 file that
holds the certificate, its private key and the certificate of the authority; a zip file for several instances or --pem.
"""


@click.command(context_settings=HELP)
@output_options
@days_option
@instance_options
@option("--pem", is_flag=True, help="PEM files in a zip instead of PKCS#12.")
@option("--ca", "store", type=click.Path(path_type=Path), help="PKCS#12 file of the authority that signs.")
@option("--ca-cert", type=click.Path(path_type=Path), help="PEM certificate of the authority that signs.")
@option("--ca-key", type=click.Path(path_type=Path), help="PEM private key of that authority.")
@option("--ca-pass", is_flag=False, flag_value=ASK, help="Password of the authority.")
@option("--self-signed", "alone", is_flag=True, help="Without an authority.")
@option("--keep-ca-key", is_flag=True, hidden=True)
def cert(
    out: Path | None,
    keysize: int | None,
    password: str | None,
    silent: bool,
    days: int,
    name: str | None,
    dns: tuple[str, ...],
    ips: tuple[str, ...],
    multiple: bool,
    listed: Path | None,
    pem: bool,
    store: Path | None,
    ca_cert: Path | None,
    ca_key: Path | None,
    ca_pass: str | None,
    alone: bool,
    keep_ca_key: bool,
) -> None:
    """Make certificates for nodes."""
    if keep_ca_key:
        raise Failure(
            "--keep-ca-key belongs to an authority that is made on the way, which certutil cert does not do any more: "
            "make it with [certutil ca] and name it with --ca",
            USAGE,
        )
    _check_authority(store, ca_cert, ca_key, alone)
    if not silent:
        click.echo(_INTRODUCTION)
    in_zip = pem or multiple or listed is not None
    default = DEFAULT_BUNDLE if in_zip else DEFAULT_STORE
    instances = chosen_instances(name, dns, ips, multiple=multiple, listed=listed)
    if name and not in_zip:
        default = f"{instances[0].filename}.p12"
    target = target_file(out, default)
    authority = _authority(store, ca_cert, ca_key, ca_pass)
    secret = key_password(password) if pem else None
    issued = [(instance, _issue(authority, instance, days, keysize)) for instance in instances]
    if pem:
        content = zip_of(entry for instance, one in issued for entry in _pem_files(instance, one, secret))
    elif in_zip:
        files = []
        for instance, one in issued:
            path = f"{instance.filename}/{instance.filename}.p12"
            files.append((path, _store(authority, instance, one, store_password(password, path))))
        content = zip_of(files)
    else:
        content = _store(authority, *issued[0], store_password(password, target.name))
    write_private(target, content)
    if not silent:
        click.echo(f"\nCertificates written to {target}\n")
        click.echo("This file should be properly secured as it contains the private key for your instance.")


def _check_authority(store: Path | None, ca_cert: Path | None, ca_key: Path | None, alone: bool) -> None:
    if (ca_cert is None) != (ca_key is None):
        raise Failure("--ca-cert and --ca-key are needed together", USAGE)
    ways = [store is not None, ca_cert is not None, alone]
    if sum(ways) != 1:
        raise Failure("Must specify either --ca or --ca-cert/--ca-key or --self-signed", USAGE)


def _authority(
    store: Path | None, ca_cert: Path | None, ca_key: Path | None, password: str | None
) -> CertificateAuthority | None:
    if store is not None:
        return authority_from_store(store, password)
    if ca_cert is not None and ca_key is not None:
        return authority_from_pem(ca_cert, ca_key, password)
    return None


def _issue(authority: CertificateAuthority | None, instance: Instance, days: int, keysize: int | None) -> Issued:
    with failing(CONFIG):
        if authority is None:
            return self_signed(instance.names, days, key_bits=keysize)
        return authority.issue_for(instance.names, days, key_bits=keysize)


def _store(authority: CertificateAuthority | None, instance: Instance, issued: Issued, password: str) -> bytes:
    trusted = [] if authority is None else [TrustedEntry(CA_ALIAS, authority.certificate)]
    return write_pkcs12([KeyEntry(instance.filename, issued.key, (issued.certificate,))], trusted, password)


def _pem_files(instance: Instance, issued: Issued, secret: bytes | None) -> list[tuple[str, bytes]]:
    path = f"{instance.filename}/{instance.filename}"
    return [(f"{path}.crt", issued.certificate_pem), (f"{path}.key", issued.key_pem(secret))]


@click.command(context_settings=HELP)
@output_options
@instance_options
def csr(
    out: Path | None,
    keysize: int | None,
    password: str | None,
    silent: bool,
    name: str | None,
    dns: tuple[str, ...],
    ips: tuple[str, ...],
    multiple: bool,
    listed: Path | None,
) -> None:
    """Make certificate signing requests for nodes."""
    instances = chosen_instances(name, dns, ips, multiple=multiple, listed=listed)
    target = target_file(out, DEFAULT_REQUESTS)
    secret = key_password(password)
    files = []
    for instance in instances:
        with failing(CONFIG):
            request, key = signing_request(instance.names, key_bits=keysize)
        path = f"{instance.filename}/{instance.filename}"
        files += [(f"{path}.csr", request.public_bytes(Encoding.PEM)), (f"{path}.key", key_to_pem(key, secret))]
    write_private(target, zip_of(files))
    if not silent:
        click.echo(f"\nCertificate signing requests have been written to {target}\n")
        click.echo("This file should be properly secured as it contains the private keys for all instances.")
        click.echo("Give each request (*.csr) to your certificate authority; its private key (*.key) stays with you.")
