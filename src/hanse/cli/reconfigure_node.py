"""`hanse reconfigure-node` and `elasticsearch-reconfigure-node`: takes up the certificates of another node's cluster.

Asks the cluster that an enrollment token names for its authorities, over TLS that is pinned to the token's fingerprint,
and writes them with new certificates of this node.
Tests: tests/cli/test_reconfigure_node.py, tests/journeys/test_tools.py.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_private_key

from hanse.cli.auto_configuration import CERTS, Certificates, configure_security, without_block
from hanse.cli.enrollment_token import EnrollmentToken
from hanse.cli.node_client import NodeClient, reason_of
from hanse.cli.terminal import (
    CONFIG,
    DATA_ERROR,
    HELP,
    UNAVAILABLE,
    USAGE,
    Failure,
    Tool,
    confirm,
    failing,
    option,
    tool_options,
)
from hanse.errors import ConnectTransportError
from hanse.settings.elasticsearch_yml import FILE_NAME as YML
from hanse.settings.elasticsearch_yml import read_yaml
from hanse.settings.node_settings import NODE_NAME
from hanse.tls.authority import CertificateAuthority, Issued
from hanse.tls.pinned import pinned_context

_TLS_PREFIXES = ("xpack.security.http.ssl.", "xpack.security.transport.ssl.")


@click.command("reconfigure-node", context_settings=HELP)
@tool_options()
@option("--enrollment-token", "text", required=True, help="A token of a node in the cluster to join.")
def reconfigure_node(tool: Tool, text: str) -> None:
    """Take up the certificates of another node's cluster."""
    token = EnrollmentToken.decode(text)
    _refuse_own_settings(tool)
    tool.say(
        "This node will be reconfigured to join an existing cluster, using the enrollment token that you provide.\n"
        "This operation will overwrite the existing configuration. Specifically:\n"
        f"  - Security auto configuration will be removed from {YML}\n"
        f"  - The [{CERTS}] config directory will be removed\n"
        "  - Security auto configuration related secure settings will be removed from the elasticsearch.keystore"
    )
    if not confirm("Do you want to continue with the reconfiguration process"):
        raise Failure("User cancelled operation", USAGE)
    handed = _enroll(token)
    with failing(DATA_ERROR):
        certificates = _read(handed)
    extra = {"discovery.seed_hosts": [str(one) for one in handed.get("nodes_addresses", ())]}
    with failing(CONFIG):
        configure_security(tool.config_dir, tool.settings().read(NODE_NAME), certificates, extra)
    tool.say(f"The node has been reconfigured; its certificates are in [{(tool.config_dir / CERTS).absolute()}].")


def _refuse_own_settings(tool: Tool) -> None:
    """What an operator wrote by hand is not overwritten."""
    path = tool.config_dir / YML
    with failing(CONFIG):
        own = read_yaml(without_block(path.read_text()) if path.exists() else "", str(path))
    found = sorted(key for key in own if key.startswith(_TLS_PREFIXES) or key == "xpack.security.enabled")
    if found:
        raise Failure(
            f"Aborting: [{path}] holds security settings that this tool did not write: [{','.join(found)}]. Remove "
            f"them first.",
            USAGE,
        )


def _enroll(token: EnrollmentToken) -> dict[str, Any]:
    """The answer of the first address that can be reached."""
    failures = []
    authorization = "ApiKey " + base64.b64encode(token.key.encode()).decode()
    for address in token.adr:
        host, _, port = address.rpartition(":")
        try:
            context = pinned_context(host.strip("[]"), int(port), token.fgr)
            status, body = NodeClient(f"https://{address}", context, authorization).call(
                "GET", "/_security/enroll/node"
            )
        except (ConnectTransportError, Failure, ValueError) as error:
            failures.append(getattr(error, "reason", None) or getattr(error, "message", None) or str(error))
            continue
        if status == 200 and isinstance(body, dict):
            return body
        why = "the token has expired or was not made by this cluster" if status == 401 else reason_of(body)
        raise Failure(f"[{address}] does not let this node in: {why}", DATA_ERROR)
    raise Failure(f"Aborting enrolling to cluster. Could not communicate with any of its nodes: {'; '.join(failures)}",
                  UNAVAILABLE)  # fmt: skip


def _read(handed: dict[str, Any]) -> Certificates:
    try:
        http = CertificateAuthority.of(_certificate(handed["http_ca_cert"]), _key(handed["http_ca_key"]))
        given = handed.get("transport_ca_cert")
        transport = Issued(_certificate(handed["transport_cert"]), _key(handed["transport_key"]))
        return Certificates(http, transport, _certificate(given) if given else None)
    except (KeyError, ValueError, TypeError, binascii.Error) as error:
        raise Failure(f"the cluster's answer cannot be read: {error}", DATA_ERROR) from error


def _certificate(text: str) -> x509.Certificate:
    return x509.load_der_x509_certificate(base64.b64decode(text, validate=True))


def _key(text: str) -> Any:
    return load_der_private_key(base64.b64decode(text, validate=True), None)
