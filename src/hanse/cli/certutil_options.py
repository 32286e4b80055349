"""Options that several certutil commands share, and the authority that `--ca` or `--ca-cert` and `--ca-key` name.

Tests: tests/cli/test_certutil.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hanse.cli.certutil_instances import Instance, from_file, from_options, from_questions
from hanse.cli.certutil_output import ASK, readable
from hanse.cli.terminal import CONFIG, USAGE, Failure, failing, option, secret
from hanse.errors import IllegalArgumentError
from hanse.tls.authority import CertificateAuthority, may_sign
from hanse.tls.pkcs12 import read_pkcs12

DEFAULT_DAYS = 1095
DAYS_MAX = 36500


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--out`, `--pass`, `--keysize`, `-s`, `-v`, `-E`."""
    for add in (
        option("-E", "settings", multiple=True, metavar="KEY=VALUE", expose_value=False, help="Accepted."),
        option("-v", "--verbose", is_flag=True, expose_value=False, help="Accepted."),
        option("-s", "--silent", is_flag=True, help="Say nothing but errors."),
        option(
            "--pass",
            "password",
            is_flag=False,
            flag_value=ASK,
            help="Password of the private keys; without a value it is asked for.",
        ),
        option("--keysize", type=int, help="Bits of an RSA key. Without it: an EC key on P-256."),
        option("--out", type=click.Path(path_type=Path), help="The file to write."),
    ):
        command = add(command)
    return command


def days_option(command: Callable[..., Any]) -> Callable[..., Any]:
    days = click.IntRange(1, DAYS_MAX)
    return option("--days", type=days, default=DEFAULT_DAYS, show_default=True, help="How long it is valid.")(command)  # type: ignore[no-any-return]


def instance_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Whom the certificates are for."""
    for add in (
        option("--in", "listed", type=click.Path(path_type=Path), help="YAML file that lists the instances."),
        option("--multiple", is_flag=True, help="Ask for several instances."),
        option("--ip", "ips", multiple=True, help="IP addresses, comma separated; may be repeated."),
        option("--dns", multiple=True, help="DNS names, comma separated; may be repeated."),
        option("--name", help="Name of the node: a CN or a full DN.  [default: instance]"),
    ):
        command = add(command)
    return command


def chosen_instances(
    name: str | None, dns: tuple[str, ...], ips: tuple[str, ...], *, multiple: bool, listed: Path | None
) -> list[Instance]:
    if (multiple or listed is not None) and (name or dns or ips):
        used = "--in" if listed is not None else "--multiple"
        raise Failure(f"{used} cannot be used together with --name, --dns or --ip", USAGE)
    if multiple and listed is not None:
        raise Failure("--in cannot be used together with --multiple", USAGE)
    if listed is not None:
        return from_file(listed)
    return from_questions() if multiple else [from_options(name, dns, ips)]


def authority_from_store(path: Path, password: str | None) -> CertificateAuthority:
    """The authority in a PKCS#12 file. The password is asked for when it is not given."""
    data = readable(path)
    if password is None or password == ASK:
        password = secret(f"Enter password for CA ({path}) : ")
    try:
        found = read_pkcs12(data, password)
    except IllegalArgumentError as error:
        raise Failure(f"cannot read the certificate authority [{path}]: {error.reason}", CONFIG) from error
    for entry in found.keys:
        if may_sign(entry.chain[0]):
            with failing(CONFIG):
                return CertificateAuthority.of(entry.chain[0], entry.key)
    raise Failure(f"[{path}] does not hold the key of a certificate authority", CONFIG)


def authority_from_pem(certificate: Path, key: Path, password: str | None) -> CertificateAuthority:
    """The authority in two PEM files. The password is asked for when the key is encrypted and none is given."""
    cert_pem, key_pem = readable(certificate), readable(key)
    if password == ASK or (password is None and _is_encrypted(key_pem)):
        password = secret(f"Enter password for CA private key ({key}) : ")
    with failing(CONFIG):
        return CertificateAuthority.load(cert_pem, key_pem, (password or "").encode() or None)


def _is_encrypted(key_pem: bytes) -> bool:
    try:
        load_pem_private_key(key_pem, None)
    except TypeError:
        return True
    except ValueError:
        return False
    return False
