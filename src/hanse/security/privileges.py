"""Privileges: sets of action names, given by patterns. The named ones stand in `named_privileges.py`.

A privilege text in a role is a named privilege or a raw pattern over action names (`indices:data/read/get*`). Only
trailing and inner `*` occur. "Granted by" lists run from the least powerful privilege to the most, by set inclusion.
Tests: tests/security/test_privileges.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache

from hanse.errors import IllegalArgumentError
from hanse.security.named_privileges import CLUSTER_PRIVILEGES, INDEX_PRIVILEGES
from hanse.security.patterns import NamePatterns


class Privilege:
    """Action names matched by `allow` and not by `deny`."""

    __slots__ = ("allow", "deny", "name")

    def __init__(self, name: str, allow: Sequence[str], deny: Sequence[str] = ()) -> None:
        self.name = name
        self.allow = NamePatterns(allow)
        self.deny = NamePatterns(deny)

    def grants(self, action: str) -> bool:
        return self.allow.matches(action) and not self.deny.matches(action)

    def covers(self, other: Privilege) -> bool:
        """Whether everything `other` grants is granted here."""
        return all(self.covers_pattern(pattern, other) for pattern in other.allow.texts)

    def covers_pattern(self, pattern: str, of: Privilege) -> bool:
        """Whether the part `pattern` of the privilege `of` is granted here."""
        if not self.allow.covers(pattern):
            return False
        return all(
            denied in of.deny.texts
            for denied in self.deny.texts
            if NamePatterns([pattern]).covers(denied) or NamePatterns([denied]).covers(pattern)
        )

    def __repr__(self) -> str:
        return f"<Privilege {self.name}>"


CLUSTER: Mapping[str, Privilege] = {name: Privilege(name, *sets) for name, sets in CLUSTER_PRIVILEGES.items()}
INDEX: Mapping[str, Privilege] = {name: Privilege(name, *sets) for name, sets in INDEX_PRIVILEGES.items()}

_CLUSTER_ACTION_PREFIXES = ("cluster:", "indices:admin/template/", "indices:admin/index_template/")
_INDEX_ACTION_PREFIXES = ("indices:", "internal:transport/proxy/indices:")


def is_cluster_action(name: str) -> bool:
    return name.startswith(_CLUSTER_ACTION_PREFIXES)


@lru_cache(maxsize=4096)
def cluster_privilege(name: str) -> Privilege:
    """The privilege with this name, or the raw pattern. Raises IllegalArgumentError."""
    lower = name.lower()
    if lower in CLUSTER:
        return CLUSTER[lower]
    if lower.startswith(_CLUSTER_ACTION_PREFIXES):
        return Privilege(name, [_raw_pattern(name)])
    raise IllegalArgumentError(
        f"unknown cluster privilege [{name}]. a privilege must be either one of the predefined cluster privilege "
        f"names [{','.join(sorted(CLUSTER))}] or a pattern over one of the available cluster actions"
    )


@lru_cache(maxsize=4096)
def index_privilege(name: str) -> Privilege:
    """The privilege with this name, or the raw pattern. Raises IllegalArgumentError."""
    lower = name.lower()
    if lower in INDEX:
        return INDEX[lower]
    if lower.startswith(_INDEX_ACTION_PREFIXES):
        return Privilege(name, [_raw_pattern(name)])
    raise IllegalArgumentError(
        f"unknown index privilege [{name}]. a privilege must be either one of the predefined fixed indices "
        f"privileges [{','.join(sorted(INDEX))}] or a pattern over one of the available index actions"
    )


def _raw_pattern(name: str) -> str:
    # A raw action grants its sub-actions too: `indices:data/read/search` also `indices:data/read/search[phase/query]`.
    return name if name.endswith("*") else name + "*"


def _rank(privileges: Iterable[Privilege]) -> dict[str, int]:
    """For each privilege, in how many others it is contained."""
    everything = list(privileges)
    return {one.name: sum(1 for other in everything if other is not one and other.covers(one)) for one in everything}


@cache
def _cluster_rank() -> dict[str, int]:
    return _rank(CLUSTER.values())


@cache
def _index_rank() -> dict[str, int]:
    return _rank(INDEX.values())


@lru_cache(maxsize=2048)
def cluster_privileges_granting(action: str) -> tuple[str, ...]:
    """The named cluster privileges that grant an action, least powerful first."""
    rank = _cluster_rank()
    return tuple(sorted((n for n, p in CLUSTER.items() if p.grants(action)), key=lambda name: (-rank[name], name)))


@lru_cache(maxsize=2048)
def index_privileges_granting(action: str) -> tuple[str, ...]:
    """The named index privileges that grant an action, least powerful first."""
    rank = _index_rank()
    return tuple(sorted((n for n, p in INDEX.items() if p.grants(action)), key=lambda name: (-rank[name], name)))
