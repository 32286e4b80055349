"""`hanse create-enrollment-token` and `elasticsearch-create-enrollment-token`: a word that lets a new node in.

The token names addresses of the cluster, the fingerprint of its HTTP authority and an API key that may enroll a node
and nothing else, for half an hour. Tests: tests/cli/test_enrollment_token.py, tests/journeys/test_tools.py.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

import click
from cryptography.hazmat.primitives import hashes

from hanse.cli.node_client import NodeClient, client, reason_of, temporary_superuser, wait_until_usable
from hanse.cli.terminal import CONFIG, DATA_ERROR, HELP, USAGE, Failure, Tool, failing, option, tool_options
from hanse.security.enrollment import ENROLL_NODE_NAME, EnrollmentKeys
from hanse.settings.node_settings import COMPATIBILITY_VERSION

VALID_FOR = "30m"
TOKEN_CHARS_MAX = 16_384


@dataclass(frozen=True, slots=True)
class EnrollmentToken:
    """`ver`sion, `adr`esses, `f`in`g`e`r`print and API key (`id:secret`), by Elasticsearch's names."""

    ver: str
    adr: tuple[str, ...]
    fgr: str
    key: str

    def encode(self) -> str:
        return base64.b64encode(json.dumps(asdict(self), separators=(",", ":")).encode()).decode()

    @classmethod
    def decode(cls, text: str) -> EnrollmentToken:
        """Raises Failure for what is no token."""
        try:
            if len(text) > TOKEN_CHARS_MAX:
                raise ValueError("it is too long")
            fields = json.loads(base64.b64decode(text, validate=True))
            found = cls(fields["ver"], tuple(fields["adr"]), fields["fgr"], fields["key"])
            if not found.adr or not all(isinstance(part, str) for part in (*found.adr, found.fgr, found.key)):
                raise ValueError("a field is empty")
            return found
        except (ValueError, KeyError, TypeError) as error:
            raise Failure("Failed to parse enrollment token: it is damaged or cut short", DATA_ERROR) from error


@click.command("create-enrollment-token", context_settings=HELP)
@tool_options(silent=("--silent",))
@option("-s", "--scope", type=click.Choice(["node", "kibana"]), required=True, help="Who shall be let in.")
@option("-f", "--force", is_flag=True, help="Also when the cluster is red.")
@option("--url", help="Address of the node, when it is not the one in its settings.")
def create_enrollment_token(tool: Tool, scope: str, force: bool, url: str | None) -> None:
    """Create a token with which a new node takes up this cluster's certificates."""
    if scope == "kibana":
        raise Failure(
            "Kibana cannot be enrolled: this node has no service accounts, whose token Kibana would get. Give Kibana "
            "the password of [kibana_system] and the certificate of the HTTP authority instead.",
            USAGE,
        )
    settings, secure = tool.settings(), tool.secure_settings()
    keys = EnrollmentKeys(settings, tool.config_dir, secure)
    with failing(CONFIG):
        keys.check_enabled()
        fingerprint = keys.http_authority().chain[0].fingerprint(hashes.SHA256()).hex()
    with temporary_superuser(tool, settings) as user:
        node = client(tool, settings, secure, url, user)
        wait_until_usable(node, force=force)
        token = EnrollmentToken(settings.read(COMPATIBILITY_VERSION), _addresses(node), fingerprint, _api_key(node))
    click.echo(token.encode())


def _addresses(node: NodeClient) -> tuple[str, ...]:
    status, body = node.call("GET", "/_nodes/http")
    listed = body.get("nodes", {}).values() if status == 200 else ()
    found = [_published(one) for one in listed]
    return tuple(address for address in found if address) or (urlsplit(node.url).netloc,)


def _published(node: dict[str, Any]) -> str:
    return str(node.get("http", {}).get("publish_address") or "").rpartition("/")[2]


def _api_key(node: NodeClient) -> str:
    body = {
        "name": f"enrollment_token_API_key_{secrets.token_urlsafe(12)}",
        "expiration": VALID_FOR,
        "role_descriptors": {"create_enrollment_token": {"cluster": [ENROLL_NODE_NAME]}},
    }
    status, answer = node.call("POST", "/_security/api_key", body)
    if status != 200:
        raise Failure(f"Unexpected response code [{status}] from calling POST _security/api_key: {reason_of(answer)}")
    return f"{answer['id']}:{answer['api_key']}"
