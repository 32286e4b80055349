"""`certutil http`: asks what is needed and writes a zip with all that HTTPS for clients takes.

In the zip: for each node a PKCS#12 file (or a signing request and its key) and the settings to add, for Kibana the
authority's certificate, and the new authority when one was made. Tests: tests/cli/test_certutil_http.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
from cryptography.hazmat.primitives.serialization import Encoding

from hanse.cli import certutil_http_texts as texts
from hanse.cli.certutil_instances import is_file_name
from hanse.cli.certutil_options import DAYS_MAX, authority_from_pem, authority_from_store
from hanse.cli.certutil_output import target_file, write_private, zip_of
from hanse.cli.terminal import CONFIG, HELP, USAGE, Failure, ask, confirm, failing, new_secret, option
from hanse.errors import HanseError
from hanse.tls.authority import (
    RSA_BITS_MAX,
    RSA_BITS_MIN,
    CertificateAuthority,
    Names,
    distinguished_name,
    dns_name,
    ip_address,
    key_to_pem,
    signing_request,
)
from hanse.tls.pkcs12 import KeyEntry, TrustedEntry, write_pkcs12

DEFAULT_ZIP = "elasticsearch-ssl-http.zip"
DEFAULT_CA_DN = "CN=Elasticsearch HTTP CA"
DEFAULT_NODE = "elasticsearch"
DEFAULT_VALIDITY = "5y"
_DAYS_OF = {"y": 365, "m": 30, "w": 7, "d": 1, "": 1}


@dataclass(frozen=True, slots=True)
class _Node:
    """A node's certificate as it was asked for. Without a folder: one certificate for all."""

    folder: str
    names: Names
    key_bits: int | None


@click.command(context_settings=HELP)
@option("--out", type=click.Path(path_type=Path), help="The zip to write.")
@option("-s", "--silent", is_flag=True, help="Ask without explaining.")
@option("-v", "--verbose", is_flag=True, expose_value=False, help="Accepted.")
@option("-E", "settings", multiple=True, metavar="KEY=VALUE", expose_value=False, help="Accepted.")
def http(out: Path | None, silent: bool) -> None:
    """Make what HTTPS for clients takes, step by step."""

    def explain(text: str) -> None:
        if not silent:
            click.echo(f"\n{text}\n", err=True)

    explain(texts.WELCOME)
    explain(texts.REQUEST)
    if confirm("Generate a CSR?"):
        files = _requests(_nodes(explain))
    else:
        explain(texts.AUTHORITY)
        is_new = not confirm("Use an existing CA?")
        authority, ca_password = _new_authority(explain) if is_new else (_existing_authority(), "")
        explain(texts.VALIDITY)
        days = _days()
        nodes = _nodes(explain)
        explain(texts.KEY_PROTECTION)
        files = _stores(nodes, authority, days, _password('Provide a password for the "http.p12" file'))
        if is_new:
            entry = KeyEntry("ca", authority.key, (authority.certificate,))
            files.append(("ca/ca.p12", write_pkcs12([entry], password=ca_password)))
            files.append(("ca/README.txt", texts.ca_readme(bool(ca_password)).encode()))
        files += _for_kibana(authority)
    explain(texts.OUTPUT)
    target = _target(out)
    write_private(target, zip_of(files))
    click.echo(f"Zip file written to {target}")


def _target(out: Path | None) -> Path:
    if out is None:
        proposed = Path(DEFAULT_ZIP).absolute()
        question = f"What filename should be used for the output zip file? [{proposed}] "
        out = Path(ask(question, str(proposed)))
    return target_file(out, DEFAULT_ZIP)


def _existing_authority() -> CertificateAuthority:
    path = Path(ask("CA Path: "))
    if path.suffix.lower() in (".p12", ".pfx", ".pkcs12"):
        return authority_from_store(path, None)
    return authority_from_pem(path, Path(ask("CA Key: ")), None)


def _new_authority(explain: Callable[[str], None]) -> tuple[CertificateAuthority, str]:
    explain(texts.NEW_AUTHORITY)
    dn, validity, bits = DEFAULT_CA_DN, DEFAULT_VALIDITY, None
    click.echo(f"Subject DN: {dn}\nValidity: {validity}\nKey: P-256", err=True)
    if confirm("Do you wish to change any of these options?"):
        dn = _checked(f"CA Distinguished Name [{dn}]: ", dn, distinguished_name)
        validity = _checked(f"CA Validity [{validity}]: ", validity, _parse_days)
        bits = _key_bits()
    password = _password("CA password")
    with failing(CONFIG):
        return CertificateAuthority.create(dn, _parse_days(validity), key_bits=bits), password


def _days() -> int:
    question = f"For how long should your certificate be valid? [{DEFAULT_VALIDITY}] "
    return _parse_days(_checked(question, DEFAULT_VALIDITY, _parse_days))


def _nodes(explain: Callable[[str], None]) -> list[_Node]:
    explain(texts.PER_NODE)
    if not confirm("Generate a certificate per node?"):
        return [_node(explain, "", DEFAULT_NODE)]
    nodes: list[_Node] = []
    while True:
        name = _checked(f"node #{len(nodes) + 1} name: ", "", _file_name)
        if any(node.folder == name for node in nodes):
            click.echo(f"A node with the name [{name}] was given already", err=True)
            continue
        nodes.append(_node(explain, name, name))
        if not confirm("Generate additional certificates?", default=True):
            return nodes


def _node(explain: Callable[[str], None], folder: str, name: str) -> _Node:
    explain(texts.HOST_NAMES)
    hosts = _listed("hostnames", dns_name)
    explain(texts.ADDRESSES)
    addresses = _listed("IP addresses", ip_address)
    subject, bits = f"CN={hosts[0].removeprefix('*.')}" if hosts else f"CN={name}", None
    click.echo(f"Key Name: {name}\nSubject DN: {subject}\nKey: P-256", err=True)
    if confirm("Do you wish to change any of these options?"):
        subject = _checked(f"Subject DN [{subject}]: ", subject, distinguished_name)
        bits = _key_bits()
    return _Node(folder, Names(subject, hosts, addresses), bits)


def _listed(what: str, check: Callable[[str], object]) -> tuple[str, ...]:
    """Lines until an empty one; shown once more before they are taken."""
    while True:
        found: list[str] = []
        while line := ask(""):
            try:
                check(line)
                found.append(line)
            except HanseError as error:
                click.echo(f"Error: {error.reason}", err=True)
        shown = "".join(f"\n - {item}" for item in found) or " none"
        click.echo(f"You entered the following {what}:{shown}", err=True)
        if confirm("Is this correct", default=True):
            return tuple(dict.fromkeys(found))


def _key_bits() -> int | None:
    """The size of an RSA key; none for P-256."""
    text = _checked("RSA key size, empty for a P-256 key: ", "", _parse_bits)
    return int(text) if text else None


def _parse_bits(text: str) -> None:
    if text and not (text.isdigit() and RSA_BITS_MIN <= int(text) <= RSA_BITS_MAX):
        raise Failure(f"key size must be between {RSA_BITS_MIN} and {RSA_BITS_MAX}, but was {text}")


def _parse_days(text: str) -> int:
    match = re.fullmatch(r"(\d{1,6})\s*([ymwd]?)", text.strip().lower())
    days = int(match[1]) * _DAYS_OF[match[2]] if match else 0
    if not 1 <= days <= DAYS_MAX:
        raise Failure(f"[{text}] is not a validity; write years, months or days such as 5y, 18m or 365d")
    return days


def _file_name(text: str) -> None:
    if not is_file_name(text):
        raise Failure(f"[{text}] cannot be the name of a folder; use letters, digits, [.], [-] and [_]")


def _checked(question: str, default: str, check: Callable[[str], object]) -> str:
    """An answer that holds; asks again until there is one."""
    while True:
        answer = ask(question, default)
        try:
            check(answer)
            return answer
        except Failure as error:
            click.echo(f"Error: {error.message}", err=True)
        except HanseError as error:
            click.echo(f"Error: {error.reason}", err=True)


def _password(question: str) -> str:
    while True:
        password = new_secret(
            f"{question}: [<ENTER> for none] ", "Repeat password to confirm: ", "Passwords do not match", USAGE
        )
        if password.isascii():
            return password
        click.echo("PKCS#12 passwords must be plain ASCII", err=True)


def _stores(nodes: list[_Node], authority: CertificateAuthority, days: int, password: str) -> list[tuple[str, bytes]]:
    files = []
    for node in nodes:
        with failing(CONFIG):
            issued = authority.issue_for(node.names, days, key_bits=node.key_bits)
        chain = (issued.certificate, authority.certificate)
        store = write_pkcs12(
            [KeyEntry("http", issued.key, chain)], [TrustedEntry("ca", authority.certificate)], password
        )
        folder = _folder(node)
        files += [
            (f"{folder}/README.txt", texts.node_readme("http.p12", bool(password)).encode()),
            (f"{folder}/http.p12", store),
            (f"{folder}/sample-elasticsearch.yml", texts.store_settings(bool(password)).encode()),
        ]
    return files


def _requests(nodes: list[_Node]) -> list[tuple[str, bytes]]:
    password = _password("Provide a password for the private key")
    files = []
    for node in nodes:
        with failing(CONFIG):
            request, key = signing_request(node.names, key_bits=node.key_bits)
        name = f"http-{node.folder or DEFAULT_NODE}"
        folder = _folder(node)
        files += [
            (f"{folder}/README.txt", texts.node_readme(f"{name}.csr", bool(password)).encode()),
            (f"{folder}/{name}.csr", request.public_bytes(Encoding.PEM)),
            (f"{folder}/{name}.key", key_to_pem(key, password.encode() or None)),
            (f"{folder}/sample-elasticsearch.yml", texts.pem_settings(name, bool(password)).encode()),
        ]
    return files


def _folder(node: _Node) -> str:
    return f"elasticsearch/{node.folder}" if node.folder else "elasticsearch"


def _for_kibana(authority: CertificateAuthority) -> list[tuple[str, bytes]]:
    return [
        ("kibana/README.txt", texts.KIBANA_README.encode()),
        ("kibana/elasticsearch-ca.pem", authority.certificate_pem),
        ("kibana/sample-kibana.yml", texts.KIBANA_SETTINGS.encode()),
    ]
