"""Whether a write may create the index it names: `action.auto_create_index`, `require_alias`.

Tests: tests/index/test_document_actions.py.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from hanse.cluster.state import ClusterState
from hanse.errors import IndexNotFoundError
from hanse.settings.cluster_settings import AUTO_CREATE_INDEX
from hanse.settings.registry import Settings


def check_auto_create(name: str, state: ClusterState, settings: Settings) -> None:
    """Raises IndexNotFoundError when the setting keeps a missing index from being created."""
    effective = Settings({**settings, **state.persistent, **state.transient})
    given = effective.get(AUTO_CREATE_INDEX.key)
    shown = ",".join(given) if isinstance(given, list) else str(given)
    for pattern, allows in effective.read(AUTO_CREATE_INDEX):
        if fnmatchcase(name, pattern):
            if allows:
                return
            if shown == "false":
                raise _not_found(name, f"and [{AUTO_CREATE_INDEX.key}] is [false]")
            raise _not_found(
                name,
                f"and [{AUTO_CREATE_INDEX.key}] contains [-{pattern}] which forbids automatic creation of the index",
            )
    raise _not_found(name, f"and [{AUTO_CREATE_INDEX.key}] ([{shown}]) doesn't match")


def check_alias(name: str, state: ClusterState) -> None:
    """Raises IndexNotFoundError when a write that requires an alias names none."""
    if not any(name in index.aliases for index in state.indices.values()):
        raise _not_found(name, f"and [require_alias] request flag is [true] and [{name}] is not an alias")


def _not_found(name: str, why: str) -> IndexNotFoundError:
    error = IndexNotFoundError.of(name)
    error.reason = f"no such index [{name}] {why}"
    return error
