"""The one gate: every operation of every client and every peer passes here, once, in this order.

1. Who asks. REST callers are authenticated (`authenticate`); a peer's message brings an identity, which is believed
   because the peer's certificate was judged in the handshake (design, decision 5). What is not believed: `_system` for
   anything but internal and monitoring actions, and the anonymous caller of a cluster that has security off.
2. What is named. The index expression is split by cluster and its local part resolved against what the caller may see.
3. May they. Cluster actions by cluster privileges, index actions by index privileges on every resolved name. Parts for
   remote clusters are not judged here: the remote resolves, authorizes, filters and audits for itself.
4. What of it may be seen: document- and field-level rules go into the targets that the handler gets.
5. Audit, then the handler. Its errors pass untouched.
What comes from another cluster is also held against the ceiling of that peer, where there is one (`ceilings.py`).

A decision is a pure function of (permission, action, expression, options, names), so it is kept under exactly that
key; role changes make new permissions and name changes a new catalogue version, so nothing stale is ever found.
A sub-action of a handler passes the same gate. When its name begins with its parent's and it names only indices that
the parent was granted, the parent's targets serve, so that an alias grant covers the work on the index behind it.
Tests: tests/security/test_gate.py; tests/house/test_one_gate.py finds any way around.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any

import msgspec
import structlog

from hanse import clock
from hanse.errors import HanseError, IllegalArgumentError, SecurityError, TaskCancelledError
from hanse.security import denial, expressions, names
from hanse.security.audit import OFF, Audit
from hanse.security.authentication import NO_SUCH_USER, Authenticator, HttpCredentials
from hanse.security.builtin_roles import INTERNAL_USERS
from hanse.security.ceilings import SNIFFING, Ceiling, RemotePeers
from hanse.security.own_account import concerns_own_account
from hanse.security.peer_requests import EXPLAIN
from hanse.security.permission import Permission, Reason, Unlimited
from hanse.security.realms.chain import RealmChain
from hanse.security.refusals import Refusals
from hanse.security.role_store import RoleStore
from hanse.security.running import RunningActions
from hanse.security.store import NameCatalogue
from hanse.transport.actions import Action, ActionRegistry, Call, Origin, Scope, Target, Targets
from hanse.transport.identity import UNSECURED, Identity

log = structlog.get_logger(__name__)

DECISIONS_MAX = 10_000
_NO_TARGETS = Targets()
_UNLIMITED = Unlimited()
_SYSTEM_FROM_PEERS = ("cluster:monitor/", "indices:monitor/", "cluster:internal/")
_REFUSED_WITH_FILTERS = {
    "indices:data/write/update": "Can't execute an update request if field or document level security is enabled",
    "indices:admin/aliases": (
        "Alias requests are not allowed for users who have field or document level security enabled on one of the "
        "indices"
    ),
    "indices:admin/resize": (
        "Resize requests are not allowed for users when field or document level security is enabled on the source index"
    ),
}
"""Actions that would read or copy what the caller may not see."""


CaughtUp = Callable[[int], Awaitable[object]]


async def at_once(version: int) -> None:
    """A cluster of one node is never behind."""


class Gate:
    """Authenticates, authorizes and runs actions. One per node."""

    def __init__(
        self,
        *,
        registry: ActionRegistry,
        catalogue: NameCatalogue,
        realms: RealmChain,
        roles: RoleStore,
        remote_aliases: Callable[[], Collection[str]] = tuple,
        audit: Audit = OFF,
        enabled: bool = True,
        node_name: str = "",
        is_remote_client: bool = True,
        node_id: Callable[[], str] = lambda: "",
        now_ms: Callable[[], int] = clock.now_ms,
        peers: RemotePeers | None = None,
        caught_up: CaughtUp = at_once,
    ) -> None:
        """`caught_up` waits, not for ever, until this node has a version of the cluster state."""
        self._caught_up = caught_up
        self.running = RunningActions(node_id)
        self.enabled = enabled
        self.roles = roles
        self.audit = audit
        self.peers = peers or RemotePeers(roles.entries)
        self._refusals = Refusals(roles)
        self._registry = registry
        self._catalogue = catalogue
        self._authenticator = Authenticator(realms, audit)
        self._remote_aliases = remote_aliases
        self._node_name = node_name
        self._is_remote_client = is_remote_client
        self._now_ms = now_ms
        self._decisions: dict[Any, tuple[Target, ...]] = {}
        self._decoders: dict[str, msgspec.msgpack.Decoder[Any]] = {}
        self._encoder = msgspec.msgpack.Encoder()

    async def authenticate(self, request: HttpCredentials) -> Identity:
        """Who sends this HTTP request. Raises SecurityError 401."""
        return await self._authenticator.authenticate(request) if self.enabled else UNSECURED

    def run(
        self,
        action: Action[Any, Any],
        request: Any,
        identity: Identity,
        origin: Origin,
        *,
        warnings: list[str] | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """Runs an action for a caller, or raises what forbids it."""
        return self._run(action, request, identity, origin, [] if warnings is None else warnings, None)

    async def run_encoded(self, action_name: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        """The same for a peer's message. What can be refused by name is refused before the payload is read."""
        action = self._registry.action(action_name)
        if action is None:
            raise IllegalArgumentError(f"No handler for action [{action_name}]")
        ceiling = self._ceiling(origin, identity)
        try:
            self._check_caller(action, identity, origin, ceiling)
            if ceiling is not None:
                self._check_name_against(ceiling, action, identity)
            elif action.scope is Scope.CLUSTER:
                self._check_name_before_payload(action, identity)
        except SecurityError:
            self._denied(action.name, identity, origin, (), ceiling)
            raise
        request = self._decode(action, payload)
        version = getattr(request, "state_version", 0)
        if version and self.peers.is_member(origin):
            # What a member just made (an index, a role) must be known here before its request is judged.
            await self._caught_up(version)
        response = await self._run(action, request, identity, origin, [], None)
        return self._encoder.encode(response)

    def permission(self, identity: Identity) -> Permission:
        """What the identity may do on this cluster."""
        return self.roles.permission(identity) if self.enabled else _UNLIMITED

    def explain(self, action_name: str, identity: Identity, index: str | None) -> tuple[Reason, ...]:
        """Role by role, why an action on a name (or a cluster action) is allowed or not."""
        return self.permission(identity).explain(action_name, index)

    async def _run(
        self,
        action: Action[Any, Any],
        request: Any,
        identity: Identity,
        origin: Origin,
        warnings: list[str],
        parent: Call | None,
    ) -> Any:
        ceiling = self._ceiling(origin, identity) if origin.kind == "transport" else None
        try:
            targets = self._decide(action, request, identity, origin, parent, ceiling)
        except SecurityError:
            self._denied(action.name, identity, origin, getattr(request, "indices", ()), ceiling)
            raise
        if self.audit.enabled:
            peer = None if ceiling is None else ceiling.label
            self.audit.access_granted(action.name, identity, origin, targets.names, peer)
        handler = self._registry.handler(action)
        is_counted = ceiling is not None and parent is None and not identity.is_internal
        if ceiling is not None and is_counted:
            ceiling.enter(action.name)
        part_of = parent.task_id if parent is not None else self._part_of(origin)
        entry = self.running.start(action.name, request, identity, part_of, origin.opaque_id)

        def run_sub_action(sub_action: Action[Any, Any], sub_request: Any) -> Awaitable[Any]:
            return self._run(sub_action, sub_request, identity, origin, warnings, call)

        call = Call(action, identity, origin, targets, run_sub_action, warnings, entry.id, ceiling)
        try:
            response = await handler(call, request)
            if parent is None and origin.kind == "transport":
                self._check_again(action, identity, origin)
            return response
        except asyncio.CancelledError:
            if entry.settle():
                raise TaskCancelledError("task cancelled [by user request]") from None
            raise
        finally:
            self.running.finish(entry)
            if ceiling is not None and is_counted:
                ceiling.leave()

    def _part_of(self, origin: Origin) -> str:
        """The task of another member that asked; what a stranger says of its tasks means nothing here."""
        return origin.parent_task if origin.parent_task and self.peers.is_member(origin) else ""

    def _check_again(self, action: Action[Any, Any], identity: Identity, origin: Origin) -> None:
        """A peer that lost its rights while its request waited (a poll of the feed waits long) gets no answer."""
        ceiling = self._ceiling(origin, identity)
        if ceiling is None:
            return
        try:
            self._check_name_against(ceiling, action, identity)
        except SecurityError:
            self._denied(action.name, identity, origin, (), ceiling)
            raise

    def _ceiling(self, origin: Origin, identity: Identity) -> Ceiling | None:
        """What the peer may do here at most; None for this cluster's own, and where nobody limited it.

        For whom a member passes on for a peer it is the ceiling of that peer.
        """
        if not self.enabled or origin.kind != "transport":
            return None
        ceiling = self.peers.ceiling(origin)
        if ceiling is not None or not identity.through or not self.peers.is_member(origin):
            return ceiling
        return self.peers.named(identity.through) or Ceiling(
            None, (), (), f"the remote peer [{identity.through}] is not known here any more"
        )

    def _decide(
        self,
        action: Action[Any, Any],
        request: Any,
        identity: Identity,
        origin: Origin,
        parent: Call | None,
        ceiling: Ceiling | None,
    ) -> Targets:
        """What the request may work on. Raises what forbids it."""
        self._check_caller(action, identity, origin, ceiling)
        if ceiling is not None:
            return self._decide_under(ceiling, action, request, identity, parent)
        if identity.is_internal and self.enabled:
            permission: Permission = _UNLIMITED
        else:
            permission = self.permission(identity)
        if action.scope is Scope.INDEX:
            inherited = _inherit(action, request, parent)
            return inherited or self._resolve(action, request, identity, permission)
        if action.scope is Scope.CLUSTER:
            if not permission.allows_cluster(action.name) and not concerns_own_account(
                action.name, request, identity, permission
            ):
                raise self._refusals.of_cluster(action.name, identity)
        elif action.scope is Scope.COMPOSITE and not action.crosses and not permission.allows_somewhere(action.name):
            raise self._refusals.of_index(action.name, identity, ())
        return _NO_TARGETS

    def _decide_under(
        self, ceiling: Ceiling, action: Action[Any, Any], request: Any, identity: Identity, parent: Call | None
    ) -> Targets:
        """The same for a request of a peer with a ceiling: what both the ceiling and the caller's roles allow."""
        if identity.is_internal:
            index = getattr(request, "index", None)
            is_within = isinstance(index, str) and ceiling.permission.allows_index(action.name, index)
            if not action.name.startswith(SNIFFING) and not is_within:
                raise denial.beyond_ceiling(action.name, identity, (), ceiling.why(action.name))
            return _NO_TARGETS
        if parent is None:
            self._check_name_against(ceiling, action, identity)
        permission = ceiling.permission_of(identity, self.roles)
        if action.scope is Scope.INDEX:
            if expressions.names_remotes(request.indices):
                # Else a peer could ask a third cluster with this cluster's certificate.
                raise denial.beyond_ceiling(action.name, identity, (), ceiling.why_remote())
            return _inherit(action, request, parent) or self._resolve(action, request, identity, permission, ceiling)
        own = ceiling.own_permission_of(identity, self.roles)
        if action.scope is Scope.CLUSTER and action.name != EXPLAIN.name and not own.allows_cluster(action.name):
            raise self._refusals.of_cluster(action.name, identity, ceiling, is_within=True)
        return _NO_TARGETS

    def _check_name_against(self, ceiling: Ceiling, action: Action[Any, Any], identity: Identity) -> None:
        """Refuses what a ceiling forbids whatever the request says: all but sniffing, search and replication, and the
        question what of these it allows, which is answered with no more than trying would tell."""
        if ceiling.refusal:
            raise denial.beyond_ceiling(action.name, identity, (), ceiling.refusal)
        if identity.is_internal:
            if not action.name.startswith(SNIFFING) and not ceiling.permission.grants(action.name):
                raise denial.beyond_ceiling(action.name, identity, (), ceiling.why(action.name))
            return
        if action.name == EXPLAIN.name:
            return
        permission = ceiling.permission_of(identity, self.roles)
        if action.scope not in (Scope.INDEX, Scope.COMPOSITE):
            raise self._refusals.of_cluster(action.name, identity, ceiling)
        if not permission.allows_somewhere(action.name):
            raise self._refusals.of_index(action.name, identity, (), ceiling)

    def _check_caller(
        self, action: Action[Any, Any], identity: Identity, origin: Origin, ceiling: Ceiling | None
    ) -> None:
        """Refuses who may not ask for this action at all, before names or payload are looked at."""
        if ceiling is not None and ceiling.refusal:
            raise denial.beyond_ceiling(action.name, identity, (), ceiling.refusal)
        if not self.enabled:
            return
        if action.scope is Scope.MEMBER:
            self._check_member(action, identity, origin)
            return
        if action.within and origin.kind == "transport" and not self.peers.is_member(origin):
            raise self._refusals.of_cluster(action.name, identity)
        if action.scope is Scope.INTERNAL and not identity.is_internal:
            raise self._refusals.of_cluster(action.name, identity)
        if identity.is_internal:
            # Any node of a connected cluster may say it is `_system`; that must not open data to it. What this very
            # process does as `_system` needs no judge: it does not come in through a socket.
            is_peer = origin.kind != "local"
            if is_peer and action.scope is not Scope.INTERNAL and not action.name.startswith(_SYSTEM_FROM_PEERS):
                raise self._refusals.of_cluster(action.name, identity)
            return
        if origin.kind == "transport" and (identity.realm == UNSECURED.realm or identity.username in INTERNAL_USERS):
            # A cluster with security disabled has authenticated nobody.
            raise denial.missing_action_credentials(action.name)
        if identity.run_by is not None:
            by = identity.run_by
            login = self.roles.permission(by) if ceiling is None else ceiling.own_permission_of(by, self.roles)
            if identity.realm == NO_SUCH_USER or not login.allows_run_as(identity.username):
                if self.audit.enabled:
                    self.audit.run_as_denied(action.name, identity, origin)
                raise self._refusals.of_run_as(action.name, identity, ceiling)

    def _check_member(self, action: Action[Any, Any], identity: Identity, origin: Origin) -> None:
        is_member = origin.kind == "local" or (origin.kind == "transport" and self.peers.is_member(origin))
        if not identity.is_internal or not is_member:
            raise self._refusals.of_cluster(action.name, identity)

    def _check_name_before_payload(self, action: Action[Any, Any], identity: Identity) -> None:
        if identity.is_internal or concerns_own_account(action.name, None, identity, None):
            return
        if not self.permission(identity).allows_cluster(action.name):
            raise self._refusals.of_cluster(action.name, identity)

    def _resolve(
        self,
        action: Action[Any, Any],
        request: Any,
        identity: Identity,
        permission: Permission,
        ceiling: Ceiling | None = None,
    ) -> Targets:
        parts: tuple[str, ...] = request.indices
        options = request.options
        split = None
        if not action.creates and expressions.names_remotes(parts):
            if not action.crosses:
                if not options.ignore_unavailable:
                    raise expressions.refuse_remotes(parts)
                parts = tuple(part for part in parts if expressions.remote_part(part) is None)
                if not parts:
                    return _NO_TARGETS
            else:
                if not self._is_remote_client:
                    raise IllegalArgumentError(
                        f"node [{self._node_name}] does not have the remote cluster client role enabled"
                    )
                split = expressions.split(parts, self._remote_aliases())
                if not split.has_local:
                    return Targets((), split.remotes, (), False)
                parts = split.local
        beside_remotes = split is not None and bool(split.remotes)
        # beside_remotes changes only whether nothing is refused, so it is part of the key.
        key = (permission.key, self._catalogue.version, action.name, parts, options, beside_remotes)
        local = self._decisions.get(key)
        if local is None:
            asked = names.Asked(action.name, parts, options, action.creates, beside_remotes)
            local = self._resolve_local(key, asked, identity, permission, ceiling)
        return Targets(local, split.remotes if split is not None else {}, parts)

    def _resolve_local(
        self, key: Any, asked: names.Asked, identity: Identity, permission: Permission, ceiling: Ceiling | None
    ) -> tuple[Target, ...]:
        """A decision made afresh, and kept under `key` unless it depends on the time."""
        volatile = names.is_volatile(asked.parts)
        if volatile or any("::" in part for part in asked.parts):
            parts = names.prepare(asked.parts, self._now_ms() if volatile else 0)
            asked = names.Asked(asked.action, parts, asked.options, asked.creates, asked.beside_remotes)
        try:
            found = names.resolve(asked, permission, self._catalogue)
        except names.NotGrantedError as refused:
            raise self._refusals.of_index(asked.action, identity, refused.names, ceiling) from None
        self._check_filters(asked.action, found)
        if not volatile:
            if len(self._decisions) >= DECISIONS_MAX:
                self._decisions.clear()
            self._decisions[key] = found
        return found

    def _check_filters(self, action: str, targets: tuple[Target, ...]) -> None:
        text = _REFUSED_WITH_FILTERS.get(action)
        if text is not None and any(not target.access.is_full for target in targets):
            raise SecurityError(text, 400)

    def _denied(
        self,
        action: str,
        identity: Identity,
        origin: Origin,
        indices: Collection[str],
        ceiling: Ceiling | None,
    ) -> None:
        if self.audit.enabled:
            peer = None if ceiling is None else ceiling.label
            self.audit.access_denied(action, identity, origin, tuple(indices), peer)

    def _decode(self, action: Action[Any, Any], payload: bytes) -> Any:
        try:
            decoder = self._decoders.get(action.name)
            if decoder is None:
                decoder = self._decoders[action.name] = msgspec.msgpack.Decoder(action.request)
            return decoder.decode(payload)
        except HanseError:
            raise
        except (ValueError, TypeError, RecursionError) as error:
            # msgspec's errors are ValueErrors; a TypeError says that this request was never meant to travel.
            raise IllegalArgumentError(f"the request of action [{action.name}] cannot be read: {error}") from error


def _inherit(action: Action[Any, Any], request: Any, parent: Call | None) -> Targets | None:
    """The parent's targets that a sub-action names, None where it has to be decided afresh."""
    if parent is None or not parent.targets.local or not request.indices or action.creates:
        return None
    if not action.name.startswith(parent.action.name):
        return None
    granted = {target.index: target for target in parent.targets.local}
    wanted = [granted.get(name) for name in request.indices]
    if any(target is None for target in wanted):
        return None
    return Targets(tuple(target for target in wanted if target is not None), {}, tuple(request.indices))
