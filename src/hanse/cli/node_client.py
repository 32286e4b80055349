"""How tools talk to the node whose config folder they are given: its REST API, with the trust of its own HTTP settings.

Nothing is asked of a proxy, no certificate is believed that the settings would not have believed. Passwords go into
headers only. Tests: tests/cli/test_node_client.py, tests/journeys/test_tools.py.
"""

from __future__ import annotations

import json
import secrets
import signal
import string
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

from hanse.cli.terminal import CONFIG, UNAVAILABLE, USAGE, Failure, Tool, failing
from hanse.security.passwords import hash_now
from hanse.security.settings import FILE_ENABLED
from hanse.security.user_files import edited_user_files
from hanse.settings import network, node_settings
from hanse.settings.registry import Scope as SettingScope
from hanse.settings.registry import Settings, boolean

TIMEOUT_S = 30.0
SEEN_WITHIN_S = 15.0
"""A node reads changed files about once a second; a busy one somewhat later."""
RETRY_S = 0.25
PASSWORD_CHARS = 20
PASSWORD_ALPHABET = string.ascii_letters + string.digits + "*+=_-"
_HTTP_TLS = boolean("xpack.security.http.ssl.enabled", False, SettingScope.STATIC, "")
_FILE_PREFIX = "xpack.security.authc.realms.file."

Credentials = tuple[str, str]


class NodeClient:
    """Calls one node as one user."""

    def __init__(self, url: str, context: Any, authorization: str) -> None:
        self.url = url.rstrip("/")
        self._authorization = authorization
        handlers: list[Any] = [ProxyHandler({})]
        if context is not None:
            handlers.append(HTTPSHandler(context=context))
        self._open = build_opener(*handlers).open

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and decoded body. Raises Failure when the node cannot be reached."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, data, method=method)  # noqa: S310, the scheme is checked in `url_of`
        request.add_header("Authorization", self._authorization)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with self._open(request, timeout=TIMEOUT_S) as response:
                return response.status, _decoded(response.read())
        except HTTPError as error:
            with error:
                return error.code, _decoded(error.read())
        except (URLError, OSError) as error:
            raise Failure(_why(self.url, error), UNAVAILABLE) from error


def client(tool: Tool, settings: Settings, secure: Mapping[str, str], url: str | None, user: Credentials) -> NodeClient:
    """A client of the node of these settings, or of `url` with the same trust."""
    if not settings.read(node_settings.SECURITY_ENABLED):
        raise Failure("security is disabled in this node's settings: there are no passwords to work with", CONFIG)
    with failing(CONFIG):
        context = tls_context(settings, tool.config_dir, secure)
        address = url or own_url(settings)
    if not address.startswith(("https://", "http://")):
        raise Failure(f"Invalid URL [{address}]: it must begin with https:// or http://", USAGE)
    basic = "Basic " + b64encode(f"{user[0]}:{user[1]}".encode()).decode()
    return NodeClient(address, context, basic)


def tls_context(settings: Settings, config_dir: Path, secure: Mapping[str, str]) -> Any:
    from hanse.tls.contexts import TlsContexts

    contexts = TlsContexts.from_settings(settings, "xpack.security.http.ssl", config_dir, secure)
    return contexts.client() if contexts.enabled else None


def own_url(settings: Settings) -> str:
    """The address this node publishes for HTTP. The ports file tells it where the port is any free one."""
    scheme = "https" if settings.read(_HTTP_TLS) else "http"
    logs = settings.read(node_settings.PATH_LOGS) or Path(settings.read(node_settings.PATH_DATA)) / "logs"
    port: int | str = settings.read(node_settings.HTTP_PUBLISH_PORT)
    if port == -1:
        port = settings.read(node_settings.HTTP_PORT).first
    if port == 0:
        try:
            return f"{scheme}://{(Path(logs) / 'http.ports').read_text().split()[0]}"
        except (OSError, IndexError) as error:
            raise Failure("[http.port] is any free port; say where the node listens with --url", CONFIG) from error
    host = network.http_publish_host(settings)
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def random_password() -> str:
    return "".join(secrets.choice(PASSWORD_ALPHABET) for _ in range(PASSWORD_CHARS))


@contextmanager
def temporary_superuser(tool: Tool, settings: Settings) -> Iterator[Credentials]:
    """A user of the file realm with all rights, gone when the block ends, however it ends."""
    configured = {key[len(_FILE_PREFIX) :].split(".")[0] for key in settings if key.startswith(_FILE_PREFIX)}
    if any(not settings.read(FILE_ENABLED.at(name)) for name in configured):
        raise Failure("File realm must be enabled", CONFIG)
    name, password = f"autogenerated_{secrets.token_hex(8)}", random_password()
    with failing(CONFIG), _ending_cleanly():
        try:
            with edited_user_files(tool.config_dir) as files:
                files.hashes[name] = hash_now(password, "bcrypt")
                files.roles[name] = ("superuser",)
            yield name, password
        finally:
            with edited_user_files(tool.config_dir) as files:
                files.forget(name)


@contextmanager
def _ending_cleanly() -> Iterator[None]:
    """SIGTERM ends the tool as Ctrl-C does, so that what it began is undone."""

    def end(number: int, _: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def wait_until_usable(node: NodeClient, *, force: bool) -> None:
    """Until the node knows the new user; then its health. Raises Failure for a red cluster unless `force`."""
    deadline = time.monotonic() + SEEN_WITHIN_S
    while (status := node.call("GET", "/_security/_authenticate")[0]) == 401:
        if time.monotonic() > deadline:
            raise Failure(
                f"the node at [{node.url}] does not see the user that was added to its files; does it run with the "
                f"config folder of this tool (ES_PATH_CONF)?",
                UNAVAILABLE,
            )
        time.sleep(RETRY_S)
    if status != 200:
        raise Failure(f"the node at [{node.url}] answered with status [{status}]", UNAVAILABLE)
    status, health = node.call("GET", "/_cluster/health")
    if status != 200:
        raise Failure(f"Failed to determine the health of the cluster. Unexpected http status [{status}]", UNAVAILABLE)
    if health.get("status") == "red" and not force:
        raise Failure(
            "Failed to determine the health of the cluster. Cluster health is currently RED: some of its data is "
            "unavailable, and this command may well fail. Mend the cluster first, or pass [-f] to go on.",
            UNAVAILABLE,
        )


def reason_of(body: Any) -> str:
    """What an error answer says."""
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("reason")) if isinstance(error, dict) else str(error or body)


def _decoded(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else {}
    except ValueError:
        return raw.decode(errors="replace")


def _why(url: str, error: Exception) -> str:
    cause = error.reason if isinstance(error, URLError) else error
    refused = getattr(cause, "verify_message", None)
    if refused:
        return (
            f"the certificate of the node at [{url}] is not accepted: {refused}; with --url give a name or address "
            f"that stands in it"
        )
    told = getattr(cause, "strerror", None) or cause
    return f"Failed to connect to [{url}]: {told}. Is the node running? Its address can be given with --url."
