"""Which ceiling a peer's request is held against, found by the certificate of the connection it came over.

A certificate that several enabled peers match has to keep within all of them; one that a disabled peer matches gets
nothing. An authority that was accepted by invitation is never without a ceiling: without its peer it gets nothing.
For other certificates that nobody listed the setting `xpack.security.remote_peer.default` decides. Without listed
peers and with that setting at `allow` nothing is looked up at all.
Tests: tests/security/test_ceilings.py, tests/security/test_peer_gate.py, tests/journeys/test_through_a_ceiling.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from hanse.errors import RejectedExecutionError
from hanse.security.peer_file import PeerFile
from hanse.security.peers import KIND, RemotePeer, is_replication, is_search, parse_peer
from hanse.security.permission import Permission
from hanse.security.role_store import RoleStore
from hanse.security.settings import REMOTE_PEER_DEFAULT
from hanse.security.store import SecurityStore
from hanse.settings.registry import Settings
from hanse.tls.identity import PeerCertificate
from hanse.transport.actions import Origin
from hanse.transport.identity import Identity

REMEMBERED_MAX = 10_000
ACCEPTED = "trusted_authority"
"""The kind of the entries of authorities that were accepted by invitation (`trust/trusted.py`)."""
SNIFFING = "cluster:internal/remote_cluster/"
"""What a connecting node asks before any user does: allowed to every peer that may do anything at all."""


class Slots:
    """Requests of one peer that run now; outlives changes of the peer's definition."""

    __slots__ = ("running",)

    def __init__(self) -> None:
        self.running = 0


class Ceiling:
    """The most that requests over one certificate may do. `peers` is empty for one that nobody listed."""

    def __init__(
        self, certificate: PeerCertificate | None, peers: Sequence[RemotePeer], slots: Sequence[Slots], refusal: str
    ) -> None:
        self.certificate = certificate
        self.label = ",".join(peer.name for peer in peers)
        self.refusal = refusal
        """Why nothing at all is allowed; empty where the limits decide."""
        self.permission = _intersection(() if refusal else [peer for peer in peers if peer.enabled])
        self._roles = [peer.roles for peer in peers if peer.roles is not None]
        self._room = [
            (peer, slot) for peer, slot in zip(peers, slots, strict=True) if peer.max_concurrent_requests is not None
        ]
        self._limited: dict[tuple[str, ...], tuple[str, ...]] = {}

    @property
    def limits_roles(self) -> tuple[str, ...]:
        """The patterns of `limits.roles`, for people."""
        return tuple(text for patterns in self._roles for text in patterns.texts)

    def permission_of(self, identity: Identity, roles: RoleStore) -> Permission:
        """What both the ceiling and the caller's own roles allow."""
        return roles.permission(self.limit(identity), self._above(identity, roles, self.permission))

    def own_permission_of(self, identity: Identity, roles: RoleStore) -> Permission:
        """What those of the caller's roles allow that `limits.roles` accepts, whatever the rest of the ceiling is."""
        return roles.permission(self.limit(identity), self._above(identity, roles, None))

    def _above(self, identity: Identity, roles: RoleStore, ceiling: Permission | None) -> Permission | None:
        """An API key brings its owner's roles as definitions, which a peer could make up under accepted names: where
        names are limited, these names are worth no more than what they mean here."""
        if identity.api_key is None or not self._roles:
            return ceiling
        limited_by = self._limited_key(identity.api_key).get("limited_by")
        names = tuple(limited_by) if isinstance(limited_by, Mapping) else ()
        return roles.permission(Identity(identity.username, names), ceiling)

    def limit(self, identity: Identity) -> Identity:
        """The identity without the role names that `limits.roles` leaves out; also of the user who logged in."""
        if not self._roles:
            return identity
        changes: dict[str, Any] = {"roles": self._kept(identity.roles)}
        if identity.run_by is not None:
            changes["run_by"] = self.limit(identity.run_by)
        if identity.api_key is not None:
            changes["api_key"] = self._limited_key(identity.api_key)
        return msgspec.structs.replace(identity, **changes)

    def sorted_roles(self, identity: Identity) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The role names that `limits.roles` accepts, and those it drops. An API key has those of its owner."""
        limited_by = (identity.api_key or {}).get("limited_by")
        names = tuple(map(str, limited_by)) if isinstance(limited_by, Mapping) else identity.roles
        return (
            tuple(name for name in names if self.accepts_role(name)),
            tuple(name for name in names if not self.accepts_role(name)),
        )

    def accepts_role(self, name: str) -> bool:
        return all(patterns.matches(name) for patterns in self._roles)

    def enter(self, action: str) -> None:
        """Takes a place for a request; `leave` gives it back. Raises RejectedExecutionError."""
        for peer, slot in self._room:
            if slot.running >= (peer.max_concurrent_requests or 0):
                raise RejectedExecutionError(
                    f"rejected execution of [{action}] as [{slot.running}] requests of peer [{peer.name}] are running, "
                    f"the most its ceiling allows in [limits.max_concurrent_requests]"
                )
        for _, slot in self._room:
            slot.running += 1

    def leave(self) -> None:
        for _, slot in self._room:
            slot.running -= 1

    def why(self, action: str) -> str:
        """The limit that stands against an action, as the end of a sentence."""
        if self.refusal:
            return self.refusal
        decided = f"the ceiling of peer [{self.label}] decided"
        if is_search(action) or is_replication(action):
            return f"{decided}: its [limits.{'search' if is_search(action) else 'replication'}] does not allow it"
        return f"{decided}: a remote peer may only search and replicate"

    def forbids(self, action: str, indices: Collection[str]) -> bool:
        """Whether the ceiling stands against an index action whatever the caller's roles are.

        Asked first, so that nobody learns from refusals what roles here say of names outside the ceiling.
        """
        if self.refusal or not indices:
            return bool(self.refusal) or not self.permission.allows_somewhere(action)
        return not all(self.permission.allows_index(action, name) for name in indices)

    def why_remote(self) -> str:
        return self.refusal or f"the ceiling of peer [{self.label}] decided: it may not reach other clusters from here"

    def why_roles(self) -> str:
        shown = ",".join(self.limits_roles)
        return f"the ceiling of peer [{self.label}] decided: its [limits.roles] accepts only [{shown}]"

    def _kept(self, roles: tuple[str, ...]) -> tuple[str, ...]:
        kept = self._limited.get(roles)
        if kept is None:
            kept = tuple(role for role in roles if self.accepts_role(role))
            if len(self._limited) < REMEMBERED_MAX:
                self._limited[roles] = kept
        return kept

    def _limited_key(self, api_key: Mapping[str, Any]) -> dict[str, Any]:
        """A key carries its owner's roles as definitions, by name; its own can only narrow them."""
        limited_by = api_key.get("limited_by")
        if not isinstance(limited_by, Mapping):
            return dict(api_key)
        kept = {name: body for name, body in limited_by.items() if isinstance(name, str) and self.accepts_role(name)}
        return {**api_key, "limited_by": kept}


def _intersection(peers: Sequence[RemotePeer]) -> Permission:
    if not peers:
        return Permission(())
    permission: Permission | None = None
    for peer in peers:
        permission = Permission((peer.limits,), ceiling=permission)
    assert permission is not None
    return permission


class RemotePeers:
    """Every listed peer, and what each certificate may do. The gate asks; the composition root applies settings."""

    def __init__(
        self,
        store: SecurityStore,
        file: PeerFile | None = None,
        *,
        own_cluster_uuid: Callable[[], str] = lambda: "",
        is_own: Callable[[PeerCertificate], bool] = lambda certificate: False,
        verifies: Callable[[], bool] = lambda: True,
    ) -> None:
        """`is_own` says whether the authority of this cluster's own nodes vouches for a certificate.

        Where nodes do not verify one another (`verifies`) there is nothing to tell a member by but its word.
        """
        self._verifies = verifies
        self._store = store
        self._file = file
        self._own_cluster_uuid = own_cluster_uuid
        self._is_own = is_own
        self._denies_unlisted = False
        self._slots: dict[str, Slots] = {}
        self._stored: Mapping[str, dict[str, Any]] = {}
        self._accepted: Mapping[str, dict[str, Any]] = {}
        self._file_version = -1
        self._peers: dict[str, RemotePeer] = {}
        self._ceilings: dict[Any, Ceiling | None] = {}

    def apply_settings(self, settings: Settings) -> None:
        """Takes over the default for unlisted peers; called with the effective settings whenever they change."""
        self._denies_unlisted = settings.read(REMOTE_PEER_DEFAULT) == "deny"
        self._ceilings.clear()

    def all(self) -> Mapping[str, RemotePeer]:
        """The peers in force; those of peers.yml come before stored ones of the same name."""
        self._follow()
        return self._peers

    def is_of_file(self, name: str) -> bool:
        return self._file is not None and name in self._file.peers

    def ceiling(self, origin: Origin) -> Ceiling | None:
        """None where nothing is limited beyond the caller's roles."""
        self._follow()
        if not self._peers and not self._denies_unlisted and not self._accepted:
            return None
        certificate: PeerCertificate | None = origin.peer
        key: Any = origin.cluster_uuid
        if certificate is not None:
            key = (
                certificate.fingerprint_sha256,
                certificate.anchor_sha256,
                certificate.proven_issuers,
                origin.cluster_uuid,
            )
        try:
            return self._ceilings[key]
        except KeyError:
            found = self._find(certificate, origin.cluster_uuid)
        if len(self._ceilings) >= REMEMBERED_MAX:
            self._ceilings.clear()
        self._ceilings[key] = found
        return found

    def is_member(self, origin: Origin) -> bool:
        """Whether a node of this very cluster asks: its own authority vouches for it and no listed peer matches it."""
        if origin.cluster_uuid != self._own_cluster_uuid():
            return False
        if not self._verifies():
            return True
        certificate: PeerCertificate | None = origin.peer
        return certificate is not None and self._is_own(certificate) and self.ceiling(origin) is None

    def revoked(self, certificate: PeerCertificate | None) -> str | None:
        """Why this node may not call a server that shows the certificate; None when it may.

        Ceilings are about what peers do here; but a peer that is disabled is not to be told anything either.
        """
        self._follow()
        if certificate is None or all(peer.enabled for peer in self._peers.values()):
            return None
        disabled = [p.name for p in self._peers.values() if not p.enabled and p.match.matches(certificate)]
        if not disabled:
            return None
        return (
            f"the remote peer [{','.join(disabled)}] is disabled here, and it matches the certificate "
            f"{_shown(certificate)} that the server shows"
        )

    def named(self, names: str) -> Ceiling | None:
        """The ceiling of one peer, or of several with commas between; None when one of them does not exist."""
        known = self.all()
        peers = [known[name] for name in names.split(",") if name in known]
        return self._ceiling(None, peers) if len(peers) == names.count(",") + 1 else None

    def _find(self, certificate: PeerCertificate | None, cluster_uuid: str) -> Ceiling | None:
        if certificate is None:
            return self._unlisted(None)
        matched = [peer for peer in self._peers.values() if peer.match.matches(certificate)]
        needs_proof = self._accepted or any(peer.match.needs_proof for peer in self._peers.values())
        if not certificate.proven_issuers and needs_proof:
            return Ceiling(
                certificate, (), (),
                f"the issuer of the peer's certificate {_shown(certificate)} was not verified on this connection, and "
                f"remote peers are told apart by what their issuers vouch for here",
            )  # fmt: skip
        if matched:
            return self._ceiling(certificate, matched)
        if cluster_uuid == self._own_cluster_uuid() and self._is_own(certificate):
            return None
        return self._invited(certificate) or self._unlisted(certificate)

    def _ceiling(self, certificate: PeerCertificate | None, peers: list[RemotePeer]) -> Ceiling:
        disabled = [peer.name for peer in peers if not peer.enabled]
        refusal = f"the ceiling of peer [{','.join(disabled)}] decided: the peer is disabled" if disabled else ""
        slots = [self._slots.setdefault(peer.name, Slots()) for peer in peers]
        return Ceiling(certificate, peers, slots, refusal)

    def _invited(self, certificate: PeerCertificate) -> Ceiling | None:
        for alias, entry in self._accepted.items():
            if entry["fingerprint_sha256"] == certificate.anchor_sha256:
                return Ceiling(
                    certificate, (), (),
                    f"no remote peer matches the certificate {_shown(certificate)}, whose authority was accepted by "
                    f"invitation as [{alias}]",
                )  # fmt: skip
        return None

    def _unlisted(self, certificate: PeerCertificate | None) -> Ceiling | None:
        if not self._denies_unlisted:
            return None
        who = (
            "the peer shows no certificate"
            if certificate is None
            else (f"no remote peer matches the certificate {_shown(certificate)}")
        )
        return Ceiling(certificate, (), (), f"{who} and [{REMOTE_PEER_DEFAULT.key}] is [deny]")

    def _follow(self) -> None:
        """Takes over what changed in the store or in peers.yml since the last request."""
        stored, accepted = self._store.entries(KIND), self._store.entries(ACCEPTED)
        if accepted is not self._accepted and accepted != self._accepted:
            self._ceilings.clear()
        self._accepted = accepted
        version = self._file.version if self._file is not None else -1
        if version == self._file_version and (stored is self._stored or stored == self._stored):
            self._stored = stored
            return
        of_file = self._file.peers if self._file is not None else {}
        peers = {name: parse_peer(name, body) for name, body in stored.items() if name not in of_file}
        self._peers = {**of_file, **peers}
        self._stored, self._file_version = stored, version
        self._ceilings.clear()


def _shown(certificate: PeerCertificate) -> str:
    return f"[{certificate.subject}] with serial number [{certificate.serial_number}] from [{certificate.issuer}]"
