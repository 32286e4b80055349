"""Users by certificate over HTTPS: a user's certificate opens HTTP only, a node's the transport only."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hanse.cli.local_cluster import LocalNode
from hanse.tls.authority import CertificateAuthority
from tests.journeys.world import ok, until

HTTP = "xpack.security.http.ssl"
REALM = "xpack.security.authc.realms.pki.pki1"


class Town:
    """A node whose HTTP port trusts an authority for users besides that of the nodes."""

    def __init__(self, folder: Path, client_authentication: str = "optional") -> None:
        self.folder = folder
        self.nodes, self.users = CertificateAuthority.create("CN=ca-nodes"), CertificateAuthority.create("CN=ca-users")
        settings = {
            f"{HTTP}.client_authentication": client_authentication,
            f"{HTTP}.certificate_authorities": ["ca.crt", "users.crt"],
            f"{REALM}.order": 1,
        }
        self.node = LocalNode(folder / "node", "town", self.nodes, settings=settings)
        (self.node.config / "users.crt").write_bytes(self.users.certificate_pem)

    def context(self, authority: CertificateAuthority | None, subject: str = "") -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.node.ca_file))
        if authority is not None:
            certificate, key = authority.issue(subject, dns=("localhost",), ips=("127.0.0.1",))
            (self.folder / "c.crt").write_bytes(certificate)
            (self.folder / "c.key").write_bytes(key)
            context.load_cert_chain(self.folder / "c.crt", self.folder / "c.key")
        return context

    def ask(self, context: ssl.SSLContext, path: str = "/_security/_authenticate") -> tuple[int, Any]:
        host, _, port = self.node.url.removeprefix("https://").rpartition(":")
        connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def knock(self, context: ssl.SSLContext) -> bytes:
        """What the transport port says to this certificate."""
        host, _, port = self.node.transport_address.rpartition(":")
        with (
            socket.create_connection((host, int(port)), timeout=30) as raw,
            context.wrap_socket(raw, server_hostname=host) as secured,
        ):
            secured.sendall(b"GET / HTTP/1.1\r\n\r\n")
            return secured.recv(4096)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    made = Town(tmp_path_factory.mktemp("town"))
    with made.node:
        ok(made.node, "PUT", "/town/_doc/1?refresh=true", {"a": 1})
        ok(made.node, "PUT", "/_security/role/reader", {"indices": [{"names": ["town"], "privileges": ["read"]}]})
        rule = {"field": {"dn": "*,OU=readers,O=acme"}}
        ok(made.node, "PUT", "/_security/role_mapping/readers", {"roles": ["reader"], "rules": rule, "enabled": True})
        yield made


def test_a_mapped_user_reads_without_a_password(town: Town) -> None:
    joe = town.context(town.users, "CN=joe,OU=readers,O=acme")
    status, who = town.ask(joe)
    assert (status, who["username"], who["roles"]) == (200, "joe", ["reader"])
    assert who["authentication_realm"] == {"name": "pki1", "type": "pki"}
    assert town.ask(joe, "/town/_search")[0] == 200
    assert town.ask(joe, "/_cluster/health")[0] == 403


def test_a_user_whom_no_mapping_knows_may_do_nothing(town: Town) -> None:
    for subject in ("CN=max,OU=writers,O=acme", r"CN=max\,OU\=readers,O=acme", "CN=elastic"):
        stranger = town.context(town.users, subject)
        assert town.ask(stranger)[1]["roles"] == []
        assert town.ask(stranger, "/town/_search")[0] == 403


def test_a_crafted_subject_is_nobody(town: Town) -> None:
    assert town.ask(town.context(town.users, "CN=elastic,CN=joe,OU=readers,O=acme"))[0] == 401


def test_without_a_certificate_a_password_is_asked_for(town: Town) -> None:
    assert town.ask(town.context(None))[0] == 401
    assert ok(town.node, "GET", "/_security/_authenticate")["username"] == "elastic"


def test_a_nodes_certificate_is_not_a_user_until_a_mapping_names_it(town: Town) -> None:
    node = town.context(town.nodes, "CN=town-1")
    assert town.ask(node)[0] == 401
    rule = {"all": [{"field": {"realm.name": "pki1"}}, {"field": {"username": "town-1"}}]}
    ok(town.node, "PUT", "/_security/role_mapping/nodes", {"roles": ["reader"], "rules": rule, "enabled": True})
    assert town.ask(node)[1]["roles"] == ["reader"]
    ok(town.node, "DELETE", "/_security/role_mapping/nodes")
    assert town.ask(node)[0] == 401


def test_a_users_certificate_does_not_open_the_transport_port(town: Town) -> None:
    joe = town.context(town.users, "CN=joe,OU=readers,O=acme")
    with pytest.raises(ssl.SSLError, match=r"(?i)unknown.ca"):
        town.knock(joe)
    until(town.node.log_file.read_text, lambda text: "failed to establish trust with client" in text, "a log line")
    assert b"This is not an HTTP port" in town.knock(town.context(town.nodes, "CN=town-2"))


def test_a_connection_ends_when_nobody_vouches_for_its_user_any_more(town: Town) -> None:
    joe = town.context(town.users, "CN=joe,OU=readers,O=acme")
    host, _, port = town.node.url.removeprefix("https://").rpartition(":")
    connection = http.client.HTTPSConnection(host, int(port), context=joe, timeout=30)
    nameless = http.client.HTTPSConnection(host, int(port), context=town.context(None), timeout=30)

    def ask(one: http.client.HTTPSConnection) -> int:
        one.request("GET", "/_security/_authenticate")
        answer = one.getresponse()
        answer.read()
        return answer.status

    assert (ask(connection), ask(nameless)) == (200, 401)
    (town.node.config / "users.crt").write_bytes(town.nodes.certificate_pem)
    try:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            assert connection.sock.recv(1) == b""  # returns when the node cuts it, without another request
        assert ask(nameless) == 401, "whoever showed no certificate stays"
        with pytest.raises((ssl.SSLError, ConnectionError)):
            town.ask(joe)
    finally:
        (town.node.config / "users.crt").write_bytes(town.users.certificate_pem)
        connection.close()
        nameless.close()
    until(lambda: _status(town, joe), lambda status: status == 200, "the authority to be trusted again")


def _status(town: Town, context: ssl.SSLContext) -> int:
    try:
        return town.ask(context)[0]
    except (ssl.SSLError, ConnectionError):
        return 0


def test_a_port_that_requires_certificates_serves_nobody_without(tmp_path: Path) -> None:
    strict = Town(tmp_path, "required")
    with strict.node:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            strict.ask(strict.context(None))
        with pytest.raises((ssl.SSLError, ConnectionError)):
            strict.ask(strict.context(CertificateAuthority.create("CN=ca-users"), "CN=joe"))
        status, who = strict.ask(strict.context(strict.users, "CN=joe"))
        assert (status, who["username"]) == (200, "joe")
        until(
            strict.node.log_file.read_text,
            lambda text: "Empty client certificate chain" in text and "client_authentication] is [required]" in text,
            "a log line",
        )


def test_a_certificate_of_a_stranger_opens_nothing(town: Town) -> None:
    stranger = town.context(CertificateAuthority.create("CN=ca-users"), "CN=joe,OU=readers,O=acme")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        town.ask(stranger)
