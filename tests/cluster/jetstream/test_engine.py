"""The engine as a whole, as a node opens it."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from cryptography import x509
from nats.js import api
from tests.nats_servers import BINARY, WAIT_S, eventually

from hanse.cli.local_nodes import free_ports
from hanse.cluster.embedded.state_store import SqliteStateStore
from hanse.cluster.engine import Engine, Surroundings, open_engine
from hanse.cluster.jetstream.commit_log import JetStreamCommitLog
from hanse.cluster.jetstream.connection import Connection, connect
from hanse.cluster.jetstream.engine import JetStreamEngine
from hanse.cluster.jetstream.server_config import Managed, write_config
from hanse.cluster.jetstream.streams import all_streams
from hanse.cluster.log import Batch, Operation
from hanse.cluster.state import ClusterState
from hanse.errors import SettingsError
from hanse.settings.registry import RawValue, Settings
from hanse.tls.authority import CertificateAuthority
from hanse.tls.contexts import TlsContexts
from hanse.tls.ssl_settings import TRANSPORT


def around(folder: Path, **settings: RawValue) -> Surroundings:
    chosen = Settings({"hanse.cluster.engine": "jetstream", "hanse.nats.client_port": "0", **settings})
    return Surroundings(chosen, {}, folder, folder / "data", folder / "logs", None)


async def test_logs_are_there_again_and_go_with_their_index(tmp_path: Path) -> None:
    engine = await open_engine(around(tmp_path))
    log = engine.commit_log("uuid", 0)
    assert log is not None
    await log.attach(0, b"")
    await log.append(Batch(1, [Operation(0, 1, "a", 1, False, None, b"{}")]), 0)
    await engine.close()
    engine = await open_engine(around(tmp_path))
    log = engine.commit_log("uuid", 0)
    assert log is not None
    await log.attach(0, b"")
    assert await log.last() == 1
    await engine.forget("uuid", 2)
    await log.attach(0, b"")
    assert await log.last() == 0
    await engine.close()


async def test_a_data_folder_of_the_other_engine_is_refused(tmp_path: Path) -> None:
    await SqliteStateStore(tmp_path / "data" / "state.sqlite").close()
    with pytest.raises(SettingsError, match="holds the state of a cluster that was run with"):
        await open_engine(around(tmp_path))


async def test_external_servers_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"\[hanse\.nats\.servers\] names no nats-server"):
        await open_engine(around(tmp_path, **{"hanse.nats.mode": "external"}))


# -- three managed servers on one host, as three nodes would start them


def member(folder: Path, own: CertificateAuthority, ports: list[int], at: int) -> Surroundings:
    folder.mkdir()
    certificate, key = own.issue(f"node-{at}", dns=("localhost",), ips=("127.0.0.1",))
    (folder / "node.crt").write_bytes(certificate)
    (folder / "node.key").write_bytes(key)
    (folder / "ca.crt").write_bytes(own.certificate_pem)
    tls = {"enabled": "true", "key": "node.key", "certificate": "node.crt", "certificate_authorities": "ca.crt"}
    settings = Settings({f"{TRANSPORT}.{name}": value for name, value in tls.items()})
    contexts = TlsContexts.from_settings(settings, TRANSPORT, folder)
    routes = [f"127.0.0.1:{port}" for port in ports if port != ports[at]]
    chosen = around(folder, **{"hanse.nats.route_port": str(ports[at]), "hanse.nats.routes": routes})
    return chosen._replace(transport_tls=contexts)


def knock(port: int, folder: Path) -> bytes:
    """Dials a route port with the certificate in `folder`, as a nats-server would."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(folder / "node.crt", folder / "node.key")
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain) as secured:
        return secured.recv(65536)


async def test_three_managed_servers_form_one_cluster_that_strangers_cannot_join(tmp_path: Path) -> None:
    own, ports = CertificateAuthority.create("CN=own"), free_ports(3)
    members = [member(tmp_path / f"n{at}", own, ports, at) for at in range(3)]
    engines = await asyncio.gather(*(open_engine(one) for one in members))
    try:
        first, second, third = (engine.state_store for engine in engines)
        empty = ClusterState("elasticsearch", "uuid")
        await first.commit(empty, msgspec.structs.replace(empty, version=1))
        for store in (second, third):
            loaded = await store.load()
            assert loaded is not None
            assert loaded.version == 1
        log = engines[1].commit_log("uuid", 0)
        assert isinstance(log, JetStreamCommitLog)
        await log.attach(0, b"")
        await log.append(Batch(1, [Operation(0, 1, "a", 1, False, None, b"{}")]), 0)
        info = await log._required_info()
        assert info.cluster is not None
        assert len(info.cluster.replicas or []) == 2
        stranger = tmp_path / "stranger"
        member(stranger, CertificateAuthority.create("CN=own"), ports, 0)
        assert (await asyncio.to_thread(knock, ports[0], tmp_path / "n1")).startswith(b"INFO"), "a member is answered"
        with pytest.raises(ssl.SSLError, match="alert"):
            await asyncio.to_thread(knock, ports[0], stranger)
    finally:
        await asyncio.gather(*(engine.close() for engine in engines))


def shown_serial(port: int, folder: Path) -> int:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(folder / "node.crt", folder / "node.key")
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain) as secured:
        shown = secured.getpeercert(binary_form=True)
        assert shown is not None
        return x509.load_der_x509_certificate(shown).serial_number


async def test_a_renewed_certificate_is_handed_to_the_server(tmp_path: Path) -> None:
    own, port = CertificateAuthority.create("CN=own"), free_ports(1)[0]
    alone = member(tmp_path / "n", own, free_ports(1), 0)
    settings = Settings({**alone.settings, "hanse.nats.client_port": str(port)})
    assert alone.transport_tls is not None
    engine = await open_engine(alone._replace(settings=settings))
    certificate, key = own.issue("node-0", dns=("localhost",), ips=("127.0.0.1",))
    (tmp_path / "n" / "node.crt").write_bytes(certificate)
    (tmp_path / "n" / "node.key").write_bytes(key)
    renewed = x509.load_pem_x509_certificate(certificate).serial_number
    assert alone.transport_tls.reload() is None
    while await asyncio.to_thread(shown_serial, port, tmp_path / "n") != renewed:
        await asyncio.sleep(0.05)
    await engine.close()


async def test_the_data_of_a_server_with_one_user_and_no_accounts_are_taken_up(tmp_path: Path) -> None:
    """As earlier versions configured it; the three are replaced one after another."""
    own, ports = CertificateAuthority.create("CN=own"), free_ports(3)
    members = [member(tmp_path / f"n{at}", own, ports, at) for at in range(3)]
    old = [start_as_before(one) for one in members]
    engines: list[Engine] = []
    try:
        before = await open_connection(members[0], old[0].managed)
        config = api.StreamConfig(name="kept", subjects=["kept.*"], num_replicas=3)
        await eventually(lambda: before.management.add_stream(config))
        await eventually(partial(before.js.publish, "kept.x", b"1", headers={api.Header.MSG_ID: "first"}))
        await before.close()
        for one, left in zip(members, old, strict=True):
            left.process.kill()
            left.process.wait()
            engine = await open_engine(one)
            engines.append(engine)
            assert isinstance(engine, JetStreamEngine)
            connection = engine.connection
            kept = await eventually(partial(connection.js.get_msg, "kept", seq=1))
            assert kept.data == b"1"
            # Sent again when the answer was lost; the server knows it by its id.
            once = {api.Header.MSG_ID: connection.server_name}
            await eventually(partial(connection.js.publish, "kept.x", b"2", headers=once))
        for engine in engines:
            assert isinstance(engine, JetStreamEngine)
            info = await eventually(partial(engine.connection.js.stream_info, "kept"))
            assert info.state.messages == 4
            found = await eventually(partial(all_streams, engine.connection.client))
            (stream,) = [one for one in found.led if one.name == "kept"]
            assert len(stream.copies) == 3
    finally:
        for left in old:
            left.process.kill()
            left.process.wait()
        await asyncio.gather(*(engine.close() for engine in engines))


class Before(NamedTuple):
    managed: Managed
    process: subprocess.Popen[bytes]


def start_as_before(one: Surroundings) -> Before:
    managed = write_config(one.settings, one.data_path / "nats", one.logs_path, one.transport_tls, None)
    config = json.loads(managed.config_file.read_text())
    del config["accounts"]
    config["authorization"] = {"user": "hanse", "password": managed.password}
    managed.config_file.write_text(json.dumps(config))
    return Before(managed, subprocess.Popen([str(BINARY), "-c", str(managed.config_file)], start_new_session=True))


async def open_connection(one: Surroundings, managed: Managed) -> Connection:
    assert one.transport_tls is not None
    tls = {"tls": one.transport_tls.client(check_name=False), "tls_handshake_first": True}
    login = {"user": "hanse", "password": managed.password}
    return await connect([managed.url], {**login, **tls}, replicas=3, timeout_s=WAIT_S)
