"""The composition root: builds the rooms of one node and wires them. The only file that may import all of them.

`Node` reads every configured file when it is made, so a configuration that cannot work fails before anything starts.
It serves when `start` returns. Tests: tests/journeys/.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

from hanse import __version__
from hanse.cluster import administration as cluster_administration
from hanse.cluster.administration import ClusterAdministration
from hanse.cluster.broadcast import Broadcast, Gathered
from hanse.cluster.cluster_stats import ClusterStatsActions
from hanse.cluster.embedded.node_lock import NodeLock
from hanse.cluster.engine import ENGINE, ENGINE_SETTINGS, Surroundings, open_engine
from hanse.cluster.formation import open_state, own_id
from hanse.cluster.health_report import HealthReport
from hanse.cluster.membership import MEMBERSHIP_SETTINGS, Membership
from hanse.cluster.names import ClusterNames
from hanse.cluster.node_actions import NodeActions
from hanse.cluster.nodes import Nodes
from hanse.cluster.requests import UpdateSettings
from hanse.cluster.security_entries import ClusterSecurityStore
from hanse.cluster.state import ClusterState, NodeMetadata
from hanse.cluster.updates import ClusterService
from hanse.cluster.uuids import new_uuid
from hanse.cluster.voting_actions import VotingActions
from hanse.errors import ConnectTransportError, SettingsError
from hanse.index import document_actions
from hanse.index.administration import register as index_administration
from hanse.index.administration.statistics import node_statistics, summed_copies
from hanse.index.copy_actions import CopyActions
from hanse.index.primaries import Primaries
from hanse.index.refreshing import Refreshing
from hanse.index.service import Indices
from hanse.remote import health as remote_health
from hanse.remote import nodes as remote_nodes
from hanse.remote import resolve_cluster
from hanse.remote import search as remote_search
from hanse.remote import status as remote_status
from hanse.remote.registry import RemoteClusters
from hanse.remote.settings import REMOTE_SETTINGS, validate_remote_settings
from hanse.remote.trust_links import TrustLinks
from hanse.remote.verification import configured_aliases, verify
from hanse.replication import auto_follow as auto_follow_actions
from hanse.replication import follow_actions, leader
from hanse.replication.auto_follow import AutoFollow
from hanse.replication.remote_client import RemoteClient
from hanse.replication.service import Replication
from hanse.rest.application import all_routes
from hanse.rest.server import HttpServer
from hanse.search import actions as search_actions
from hanse.search.async_search import AsyncSearches
from hanse.search.contexts import Contexts
from hanse.search.copies import Copies
from hanse.search.distribute import Distribution
from hanse.search.document_view import SecuredDocumentView
from hanse.search.limits import SearchLimits, validate_search_limits
from hanse.search.reach import Reach
from hanse.search.shard_questions import ShardQuestions
from hanse.security import setup as security_setup
from hanse.security.bootstrap import ensure_elastic_password
from hanse.security.enrollment import EnrollmentActions, EnrollmentKeys
from hanse.security.realms.chain import REALMS
from hanse.security.realms.pki import pki_realm_names
from hanse.security.settings import BOOTSTRAP_PASSWORD, SECURITY_SETTINGS
from hanse.security.ssl_actions import SslActions
from hanse.security.trust.setup import TrustByInvitation
from hanse.security.trust.trusted import authorities
from hanse.settings import elasticsearch_yml, network
from hanse.settings import node_settings as declared
from hanse.settings.cluster_settings import MAX_ASYNC_SEARCH_RESPONSE, USE_ADAPTIVE_REPLICA_SELECTION
from hanse.settings.keystore import Keystore
from hanse.settings.ports import first_free, told_address, write_ports_files
from hanse.settings.registry import Scope, Settings, SettingsRegistry, boolean
from hanse.tasks import Tasks
from hanse.tls.bootstrap_check import run_bootstrap_checks
from hanse.tls.contexts import TLS_SETTINGS, TlsContexts
from hanse.tls.endpoints import listen
from hanse.tls.identity import peer_certificate
from hanse.tls.own_authority import OwnAuthority
from hanse.tls.reload import RELOAD_SETTINGS, Reloader
from hanse.tls.remote_access import REMOTE_SERVER_ENABLED, remote_access_contexts
from hanse.transport.actions import Action, ActionRegistry, Call, Origin
from hanse.transport.frames import Hello
from hanse.transport.identity import Identity
from hanse.transport.server import TransportServer

log = structlog.get_logger(__name__)

PORTS_FILE = boolean("node.portsfile", False, Scope.STATIC, "Write http.ports and transport.ports to path.logs.")
ASK_REMOTE_TIMEOUT_S = 10.0
STATE_WAIT_S = 10.0
"""How long a member's request waits for the cluster state that it was made with."""


def registry_of_settings() -> SettingsRegistry:
    """Every setting of elasticsearch.yml and the cluster settings API."""
    everything = (
        declared.NODE_SETTINGS,
        TLS_SETTINGS,
        RELOAD_SETTINGS,
        SECURITY_SETTINGS,
        REMOTE_SETTINGS,
        ENGINE_SETTINGS,
        MEMBERSHIP_SETTINGS,
    )
    return SettingsRegistry([*(setting for room in everything for setting in room), PORTS_FILE, REMOTE_SERVER_ENABLED])


def read_settings(config_dir: Path, overrides: Mapping[str, str] | None = None) -> Settings:
    """elasticsearch.yml with `-E` on top, checked. Raises SettingsError in one line that names the setting."""
    if not config_dir.is_dir():
        raise SettingsError(f"the config directory [{config_dir}] does not exist")
    settings = elasticsearch_yml.load(config_dir, overrides)
    declared.check_node_settings(registry_of_settings(), settings)
    return settings


class Node:
    """One node: rooms, ports and files."""

    def __init__(
        self, config_dir: Path, settings: Settings, *, elastic_password: str | None = None, keystore_password: str = ""
    ) -> None:
        self.settings = settings
        self._config_dir = config_dir
        self._registry_of_settings = registry_of_settings()
        keystore = Keystore.load(config_dir, keystore_password)
        secure = dict(keystore) if keystore is not None else {}
        self._secure = secure
        self._enrollment_keys = EnrollmentKeys(settings, config_dir, secure)
        self._elastic_password = elastic_password or secure.get(BOOTSTRAP_PASSWORD.key)
        declared.check_node_settings(self._registry_of_settings, settings, secure)
        self._security_enabled = settings.read(declared.SECURITY_ENABLED)
        self._transport_tls = self._contexts("transport", config_dir, secure)
        self._http_tls = self._contexts("http", config_dir, secure)
        self._remote_access_tls = remote_access_contexts(settings, config_dir, secure)
        self._data_path = Path(settings.read(declared.PATH_DATA))
        self._logs_path = Path(settings.read(declared.PATH_LOGS) or self._data_path / "logs")
        self._name = settings.read(declared.NODE_NAME)
        self._ephemeral_id = new_uuid()
        self._tasks = Tasks()
        self._closers: list[Callable[[], Any]] = []
        self._ready = asyncio.Event()
        self._own_authority = OwnAuthority(self._transport_tls)
        run_bootstrap_checks(
            settings,
            [network.transport_bind_host(settings), network.transport_publish_host(settings)],
            transport=self._transport_tls,
            http=self._http_tls,
            has_pki_realm=bool(pki_realm_names(settings)),
        )
        validate_remote_settings(settings)
        validate_search_limits(settings)

    def _contexts(self, layer: str, config_dir: Path, secure: Mapping[str, str]) -> TlsContexts | None:
        """TLS of a layer; without security there is none, as in Elasticsearch."""
        contexts = TlsContexts.from_settings(self.settings, f"xpack.security.{layer}.ssl", config_dir, secure)
        return contexts if contexts.enabled and self._security_enabled else None

    async def start(self) -> None:
        """Opens data, builds the rooms, binds the ports. Raises SettingsError for what cannot start; cleans up then."""
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise

    async def _start(self) -> None:
        lock = NodeLock(self._data_path)
        lock.acquire()
        self._closers.append(lock.release)
        self.cluster = await self._open_state()
        self._node_id = own_id(self._data_path, self.cluster.state, self._name)
        self._tls_files = Reloader(
            [one for one in (self._transport_tls, self._http_tls, *self._remote_access_tls) if one], self.settings
        )
        self._trust_accepted_authorities()
        transport = TransportServer(self._hello, self._on_request, self._transport_tls)
        self._transport_address = await self._bind_transport(transport)
        self._tasks.spawn("follow the cluster state", self.cluster.follow())
        self._build()
        generated = await self._first_password()
        await self._start_remotes()
        self._closers += [self.nodes.close, self.indices.close, transport.close]
        self._http_address = await self._bind_http()
        self._ready.set()
        if self.settings.read(ENGINE) == "jetstream" and not self._own_authority.is_verified:
            log.warning("nodes of this cluster do not verify one another: whoever reaches the transport port can join")
        await self.membership.join()
        await self.voting.start()
        self._closers.append(self.voting.close)
        await self.indices.start()
        self._closers.append(self._tasks.spawn("go on with exchanges of trust", self._watch_trust()).cancel)
        await self.replication.start()
        await self.auto_follow.start()
        # First of all the others take over; requests that still come in are theirs from then on.
        self._closers += [self.auto_follow.close, self.replication.close, self.membership.leave]
        if self.settings.read(PORTS_FILE):
            write_ports_files(self._logs_path, {"transport": self._transport_address, "http": self._http_address})
        log.info(
            "started", node=self._name, http=self._http_address, transport=self._transport_address, version=__version__
        )
        if generated is not None:
            print(f"Password for the elastic user (shown once): {generated}", flush=True)  # noqa: T201

    async def close(self) -> None:
        """Stops in the opposite order of starting. May be called after a start that failed half-way."""
        self._ready.set()
        for close in reversed(self._closers):
            try:
                outcome = close()
                if asyncio.iscoroutine(outcome):
                    await outcome
            except Exception:
                log.exception("closing failed")
        self._closers.clear()
        await self._tasks.close()
        log.info("closed", node=self._name)

    async def _open_state(self) -> ClusterService:
        around = Surroundings(
            self.settings, self._secure, self._config_dir, self._data_path, self._logs_path, self._transport_tls
        )
        self._engine = await open_engine(around)
        self._closers.append(self._engine.close)
        return await open_state(self._engine.state_store, self.settings, self._data_path)

    def _build(self) -> None:
        """Makes the rooms and registers their actions."""
        self.actions = ActionRegistry()
        names = ClusterNames(lambda: self.cluster.state)
        security = security_setup.build(
            self.settings,
            registry=self.actions,
            catalogue=names,
            store=ClusterSecurityStore(self.cluster),
            remote_aliases=lambda: self.remotes.aliases(),
            enabled=self._security_enabled,
            cluster_name=self.cluster.state.cluster_name,
            node_name=self._name,
            node_id=lambda: self._node_id,
            verifies=lambda: self._own_authority.is_verified,
            caught_up=lambda version: self.cluster.reached(version, STATE_WAIT_S),
            logs_path=self._logs_path,
            is_remote_client=self._is_remote_client,
            config_dir=self._config_dir,
            secure={key: value for key, value in self._secure.items() if key.startswith(REALMS)},
            cluster_uuid=lambda: self.cluster.state.cluster_uuid,
            is_own=self._own_authority.vouches_for,
            ask_remote=self._ask_remote,
            ask_nodes=self._ask_nodes,
        )
        self._closers.append(security.close)
        self._peers = security.peers
        self._peers.apply_settings(self._effective_settings())
        EnrollmentActions(self._enrollment_keys, lambda: [self._transport_address]).register(self.actions)
        self._watch_security_files = security.files.watch
        self._build_trust(security)
        tls = self._build_tls()
        self.gate = security.gate
        self.nodes = Nodes(self.cluster, self._node_id, self._hello, self._transport_tls, self._own_authority.admits)
        self._broadcast = broadcast = Broadcast(self.cluster, self.nodes)
        self.membership = Membership(self.cluster, self.nodes, self._own_node, self.settings)
        self.membership.register(self.actions)
        self.voting = VotingActions(self.cluster, self._engine.voters, self._node_id, self._name)
        self.voting.register(self.actions)
        self.indices = Indices(
            self.cluster,
            self._data_path,
            self.settings,
            self._engine,
            own_id=lambda: self._node_id,
            ask=lambda node, action, request, timeout_s: self.nodes.call(node, action, request, timeout_s=timeout_s),
            has_lapsed=self.membership.has_lapsed,
        )
        CopyActions(self.indices).register(self.actions)
        self._search_limits = SearchLimits.of(self._effective_settings())
        self.contexts = Contexts(limits=lambda: self._search_limits)
        self._closers.append(self.contexts.close)
        self._primaries = primaries = Primaries(
            self.cluster, self.indices, self.nodes, lambda: self.membership.is_in_touch
        )
        refreshing = Refreshing(primaries)
        refreshing.register(self.actions)
        index_administration.register(self.actions, self.cluster, self.indices, refreshing, broadcast)
        document_actions.register(self.actions, primaries, refreshing, self.settings, SecuredDocumentView())
        search_actions.register(self.actions)
        copies = Copies(
            self.cluster, self.indices, lambda: self._effective_settings().read(USE_ADAPTIVE_REPLICA_SELECTION)
        )
        reach = Reach(self.cluster, self.indices, copies, self.contexts, self.nodes)
        self.distribution = Distribution(reach)
        self.distribution.register(self.actions)
        self._build_async_searches(reach)
        self.shard_questions = ShardQuestions(reach)
        self.shard_questions.register(self.actions)
        version = self.settings.read(declared.COMPATIBILITY_VERSION)
        administration = ClusterAdministration(
            self.cluster,
            self.settings,
            self._registry_of_settings,
            version=version,
            validators=(validate_remote_settings, validate_search_limits),
            after_update=self._verify_remotes,
        )
        cluster_administration.register(self.actions, self.cluster, administration)
        NodeActions(
            broadcast,
            self.settings,
            self._registry_of_settings,
            version=version,
            gauges={
                "indices": lambda: node_statistics(self.indices),
                "thread_pool": lambda: self.gate.running.pools(),
                "tls": tls.gauges,
                "remote_clusters": lambda: remote_health.gauges(self.remotes),
            },
        ).register(self.actions)
        ClusterStatsActions(
            broadcast, self.settings, version=version, shards=lambda: summed_copies(self.indices)
        ).register(self.actions)
        indicators = {
            "tls_certificates": tls.indicator,
            "remote_clusters": lambda: remote_health.indicator(self.remotes),
        }
        report = HealthReport(self.cluster, of_nodes=indicators, broadcast=broadcast)
        report.register(self.actions)

    def _build_async_searches(self, reach: Reach) -> None:
        searches = AsyncSearches(reach, self._tasks, lambda: self._effective_settings().read(MAX_ASYNC_SEARCH_RESPONSE))
        searches.register(self.actions)
        self._closers.append(searches.close)

    def _build_tls(self) -> SslActions:
        tls = SslActions(
            self._tls_files,
            config_dir=self._config_dir,
            node_name=self._name,
            node_id=lambda: self._node_id,
            ask_nodes=self._ask_nodes,
        )
        tls.register(self.actions)
        self._tasks.spawn("watch tls files", self._tls_files.watch())
        self._tasks.spawn("warn of expiry", tls.warn())
        return tls

    def reload_tls_soon(self) -> None:
        """Reads every TLS file anew; the log says what changed and what could not be used."""
        self._tasks.spawn("reload tls files", self._tls_files.reload())

    def _trust_accepted_authorities(self) -> None:
        """The transport trusts, beside its files, the authorities that were accepted by invitation."""
        if self._transport_tls is not None:
            store = ClusterSecurityStore(self.cluster)
            self._transport_tls.extra_trusted = lambda: authorities(store)
            if authorities(store):
                self._transport_tls.reload()

    def _build_trust(self, security: security_setup.Security) -> None:
        links = TrustLinks(
            self._hello,
            transport_tls=self._transport_tls,
            http_tls=self._http_tls,
            http_address=lambda: self._http_address,
            settings=self._effective_settings,
            reload=self._tls_files.reload,
            run=self._run_as,
        )
        trust = TrustByInvitation(ClusterSecurityStore(self.cluster), security.peers, links, security.audit)
        trust.register(self.actions)
        self._watch_trust = trust.watch

    @property
    def _is_remote_client(self) -> bool:
        return "remote_cluster_client" in self.settings.read(declared.NODE_ROLES)

    async def _start_remotes(self) -> None:
        """Remote clusters, and what stands on them: cross-cluster search and replication."""
        self.remotes = RemoteClusters(
            self._hello,
            self._transport_tls,
            self._effective_settings(),
            is_client=self._is_remote_client,
            judge=self._peers.revoked,
        )
        self._closers.append(self.remotes.close)
        self._tasks.spawn("watch files of users and roles", self._watch_security_files(self.remotes.drop_revoked))
        self.cluster.subscribe(self._state_changed)
        self.replication = Replication(
            self.cluster,
            self.indices,
            self.remotes,
            self._run_as,
            lambda: self._node_id,
            is_client=self._is_remote_client,
            listed=self.gate.running.listed,
        )
        self.auto_follow = AutoFollow(self.cluster, self.remotes, self._run_as, lambda: self._node_id)
        actions = follow_actions.FollowActions(
            self._primaries, self._broadcast, self.remotes, self.replication, self.auto_follow
        )
        remote_nodes.register(self.actions, lambda: list(self.cluster.state.nodes.values()))
        remote_status.register(self.actions, self.remotes)
        remote_search.register(self.actions, self.cluster, self.remotes, self.distribution, self.shard_questions)
        version = self.settings.read(declared.COMPATIBILITY_VERSION)
        resolve_cluster.register(self.actions, self.remotes, version)
        leader.register(self.actions, self._primaries, self._tasks, lambda name: name in self._peers.all())
        client = RemoteClient(self.cluster, self.nodes, is_client=self._is_remote_client)
        follow_actions.register(self.actions, actions, client)
        auto_follow_actions.register(self.actions, self.auto_follow, client)

    def _effective_settings(self) -> Settings:
        """elasticsearch.yml, then persistent, then transient cluster settings."""
        state = self.cluster.state
        return Settings({**self.settings, **state.persistent, **state.transient})

    def _state_changed(self, old: ClusterState, new: ClusterState) -> None:
        if old.customs is not new.customs:  # a peer that was disabled is not waited for
            self.remotes.drop_revoked()
        if old.persistent != new.persistent or old.transient != new.transient:
            self.remotes.apply(self._effective_settings())
            self._peers.apply_settings(self._effective_settings())
            self._search_limits = SearchLimits.of(self._effective_settings())

    async def _verify_remotes(self, update: UpdateSettings) -> list[str]:
        aliases = configured_aliases(update.persistent, update.transient)
        return await verify(self.remotes, aliases, self._hello()) if self._is_remote_client else []

    async def _ask_remote(self, alias: str, action: Action[Any, Any], request: Any, identity: Identity) -> Any:
        """Asks a remote cluster that is connected; a question of an administrator does not wait for a connection."""
        if not self.remotes.is_connected(alias):
            raise ConnectTransportError(f"remote cluster [{alias}] is not connected")
        return await self.remotes.call(alias, action, request, identity, timeout_s=ASK_REMOTE_TIMEOUT_S)

    async def _ask_nodes(
        self, call: Call, filters: tuple[str, ...], action: Action[Any, Any], request: Any, timeout_s: float | None
    ) -> Gathered[Any]:
        return await self._broadcast.ask_chosen(call, filters, action, request, timeout_s)

    async def _run_as(self, action: Action[Any, Any], request: Any, identity: Identity) -> Any:
        return await self.gate.run(action, request, identity, Origin("local"))

    async def _on_request(self, action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        """A peer may knock while the node still opens its shards; its requests wait for the gate."""
        await self._ready.wait()
        return await self.gate.run_encoded(action, payload, identity, origin)

    def _hello(self) -> Hello:
        return Hello(
            cluster_name=self.cluster.state.cluster_name,
            cluster_uuid=self.cluster.state.cluster_uuid,
            node_id=self._node_id,
            node_name=self._name,
            ephemeral_id=self._ephemeral_id,
            version=__version__,
            address=self._transport_address,
            roles=self.settings.read(declared.NODE_ROLES),
            attributes=self._attributes(),
        )

    def _attributes(self) -> dict[str, str]:
        return {name: str(value) for name, value in self.settings.under("node.attr.").items()}

    def _own_node(self) -> NodeMetadata:
        return NodeMetadata(
            id=self._node_id,
            name=self._name,
            transport_address=self._transport_address,
            http_address=self._http_address,
            roles=self.settings.read(declared.NODE_ROLES),
            attributes=self._attributes(),
            version=self.settings.read(declared.COMPATIBILITY_VERSION),
            ephemeral_id=self._ephemeral_id,
        )

    async def _bind_transport(self, transport: TransportServer) -> str:
        host = network.transport_bind_host(self.settings)
        self._transport_address = ""
        ports = self.settings.read(declared.TRANSPORT_PORT).ports()
        _, bound = await first_free("transport.port", host, ports, lambda port: transport.start(host, port))
        told = self.settings.read(declared.TRANSPORT_PUBLISH_PORT)
        return told_address(network.transport_publish_host(self.settings), bound, told)

    async def _bind_http(self) -> str:
        host = network.http_bind_host(self.settings)
        server = HttpServer(
            all_routes(),
            self.gate,
            self.settings,
            peer_certificate=peer_certificate,
            connected=self._http_tls.hold if self._http_tls is not None else None,
        )
        listener = await first_free(
            "http.port",
            host,
            self.settings.read(declared.HTTP_PORT).ports(),
            lambda port: listen(server.protocol_factory, host, port, self._http_tls),
        )
        self._closers += [server.close, listener.close]
        bound = listener.sockets[0].getsockname()[1]
        told = self.settings.read(declared.HTTP_PUBLISH_PORT)
        return told_address(network.http_publish_host(self.settings), bound, told)

    async def _first_password(self) -> str | None:
        if not self._security_enabled:
            return None
        return await ensure_elastic_password(ClusterSecurityStore(self.cluster), self._elastic_password)
