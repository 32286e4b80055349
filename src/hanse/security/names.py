"""Resolves the local parts of an index expression against what the caller may see.

Pure: catalogue and permission in, targets out. Promises: a wildcard expands only to names the permission grants the
action on; an explicit name that is not granted refuses the whole request, whether it exists or not (so existence is
not told); every target is reached under a granted name, and its access is what that name gives.
Tests: tests/security/test_names.py, with the law "names shown are a subset of names allowed".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from hanse.errors import IllegalArgumentError, IndexClosedError, IndexNotFoundError
from hanse.security import date_math
from hanse.security.patterns import NamePatterns, is_pattern
from hanse.security.permission import Permission, Unlimited
from hanse.security.store import AliasName, IndexName, NameCatalogue
from hanse.transport.actions import IndicesOptions, Target

ALL = "_all"
_SINGLE_WRITES = (
    "indices:data/write/index",
    "indices:data/write/bulk",
    "indices:data/write/update",
    "indices:data/write/delete",
)


class NotGrantedError(Exception):
    """The request names something that the permission does not grant; the gate words the 403."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(",".join(names))
        self.names = tuple(names)


class Asked(msgspec.Struct, frozen=True):
    """What is to be resolved: an action on the local parts of an expression."""

    action: str
    parts: tuple[str, ...]
    options: IndicesOptions
    creates: bool = False
    beside_remotes: bool = False
    """Remote parts remain, so that nothing local is no refusal."""

    @property
    def writes(self) -> bool:
        """Aliases stand for their write index."""
        return self.action.startswith(_SINGLE_WRITES) and "byquery" not in self.action


@dataclass(slots=True)
class _Reached:
    """How one concrete index was reached: under which names, and through which aliases."""

    names: list[str] = field(default_factory=list)
    entries: list[AliasName] = field(default_factory=list)
    directly: bool = False


def is_volatile(parts: Sequence[str]) -> bool:
    """Whether the meaning of the parts depends on the time."""
    return any(part.startswith(("<", "-<")) for part in parts)


def prepare(parts: Sequence[str], now_ms: int) -> tuple[str, ...]:
    """Date math resolved, the `::data` selector taken off. Raises a parse_exception for bad date math."""
    prepared = []
    for part in parts:
        minus, name = ("-", part[1:]) if part.startswith("-<") else ("", part)
        if date_math.is_date_math(name):
            name = date_math.resolve(name, now_ms)
        name, separator, selector = name.partition("::")
        if separator and selector not in ("data", "failures", "*"):
            raise IllegalArgumentError(f"Invalid usage of :: separator, [{selector}] is not a recognized selector")
        prepared.append(minus + (f"{name}::failures" if selector == "failures" else name))
    return tuple(prepared)


def meant(asked: Asked, catalogue: NameCatalogue, permission: Permission | None = None) -> list[str]:
    """Every index and alias that an expression means; explicit names also when they are not there, or not granted.

    Patterns mean the names that `permission` grants; without one all, whoever asks.
    """
    return list(_select(asked, permission or Unlimited(), catalogue))


def resolve(asked: Asked, permission: Permission, catalogue: NameCatalogue) -> tuple[Target, ...]:
    """Raises NotGrantedError, IndexNotFoundError, IndexClosedError or IllegalArgumentError."""
    selected = _select(asked, permission, catalogue)
    _check_granted(asked, permission, catalogue, selected)
    reached = _reach(asked, catalogue, selected)
    if not reached:
        _check_empty(asked, permission)
    return tuple(_target(asked, permission, index, how) for index, how in reached.items())


def _select(asked: Asked, permission: Permission, catalogue: NameCatalogue) -> dict[str, bool]:
    """Names of indices and aliases; True for those that the caller gave explicitly."""
    selected: dict[str, bool] = {}
    expanding = False
    for part in asked.parts or ((ALL,) if not asked.creates else ()):
        if asked.creates:
            selected[part] = True
        elif part.startswith("-") and expanding:
            excluded = NamePatterns(["*" if part == f"-{ALL}" else part[1:]])
            selected = {name: explicit for name, explicit in selected.items() if not excluded.matches(name)}
        elif part == ALL or is_pattern(part):
            expanding = True
            matched = _expand("*" if part == ALL else part, asked, permission, catalogue)
            if not matched and not asked.options.allow_no_indices and permission.allows_somewhere(asked.action):
                raise IndexNotFoundError.of(part)
            selected = {**dict.fromkeys(matched, False), **selected}
        else:
            selected[part] = True
    return selected


def _expand(pattern: str, asked: Asked, permission: Permission, catalogue: NameCatalogue) -> list[str]:
    """The visible, granted names that match a wildcard pattern, sorted."""
    matches, options = NamePatterns([pattern]).matches, asked.options
    dotted = pattern.startswith(".")

    def shown(name: str, is_hidden: bool) -> bool:
        if is_hidden and not options.expand_hidden and not (dotted and name.startswith(".")):
            return False
        return matches(name) and _is_granted(asked, permission, catalogue, name)

    names = [
        index.name
        for index in catalogue.concrete().values()
        if _state_wanted(index, options) and shown(index.name, index.is_hidden)
    ]
    if not options.ignore_aliases and (options.expand_open or options.expand_closed):
        names += [
            alias
            for alias, entries in catalogue.aliases().items()
            if shown(alias, any(entry.is_hidden for entry in entries))
        ]
    return sorted(names)


def _state_wanted(index: IndexName, options: IndicesOptions) -> bool:
    return options.expand_open if index.is_open else options.expand_closed


def _names_of(index: IndexName) -> list[str]:
    """Under which names rights on the index may be granted: what is granted on a data stream is on its indices."""
    return [index.name, index.data_stream] if index.data_stream else [index.name]


def _is_granted(asked: Asked, permission: Permission, catalogue: NameCatalogue, name: str) -> bool:
    index = catalogue.concrete().get(name)
    names = _names_of(index) if index is not None else [name]
    return any(permission.allows_index(asked.action, one) for one in names)


def _check_granted(asked: Asked, permission: Permission, catalogue: NameCatalogue, selected: dict[str, bool]) -> None:
    denied = [
        name for name, explicit in selected.items() if explicit and not _is_granted(asked, permission, catalogue, name)
    ]
    if denied and not asked.options.ignore_unavailable:
        raise NotGrantedError(denied)
    for name in denied:
        del selected[name]


def _reach(asked: Asked, catalogue: NameCatalogue, selected: dict[str, bool]) -> dict[str, _Reached]:
    """Concrete indices behind the selected names, in their order."""
    concrete, aliases, options = catalogue.concrete(), catalogue.aliases(), asked.options
    reached: dict[str, _Reached] = {}
    for name, explicit in selected.items():
        index = concrete.get(name)
        if index is not None:
            if not explicit or _usable(index, options):
                how = reached.setdefault(name, _Reached())
                how.names += _names_of(index)
                how.directly = True
        elif name in aliases:
            if options.ignore_aliases:
                if options.ignore_unavailable:
                    continue
                raise IllegalArgumentError(
                    f"The provided expression [{name}] matches an alias, specify the corresponding concrete indices "
                    f"instead."
                )
            for entry in _entries(name, aliases[name], asked):
                behind = concrete[entry.index]
                if _usable(behind, options) if explicit else _state_wanted(behind, options):
                    how = reached.setdefault(entry.index, _Reached())
                    how.names.append(name)
                    how.entries.append(entry)
        elif asked.creates:
            reached.setdefault(name, _Reached(directly=True)).names.append(name)
        elif not options.ignore_unavailable:
            raise IndexNotFoundError.of(name)
    return reached


def _entries(alias: str, entries: Sequence[AliasName], asked: Asked) -> Sequence[AliasName]:
    if asked.writes:
        chosen = [entry for entry in entries if entry.is_write_index]
        if not chosen and len(entries) == 1 and entries[0].is_write_index is None:
            chosen = [entries[0]]
        if not chosen:
            raise IllegalArgumentError(
                f"no write index is defined for alias [{alias}]. The write index may be explicitly disabled using "
                f"is_write_index=false or the alias points to multiple indices without one being designated as a "
                f"write index"
            )
        return chosen[:1]
    if len(entries) > 1 and not asked.options.allow_aliases_to_multiple_indices:
        raise IllegalArgumentError(
            f"alias [{alias}] has more than one index associated with it "
            f"[{', '.join(sorted(entry.index for entry in entries))}], can't execute a single index op"
        )
    return entries


def _usable(index: IndexName, options: IndicesOptions) -> bool:
    """False when an explicitly named closed index is to be left out; raises when that is not allowed."""
    if index.is_open or not options.forbid_closed_indices:
        return True
    if options.ignore_unavailable:
        return False
    raise IndexClosedError("closed", index_uuid=index.uuid, index=index.name)


def _check_empty(asked: Asked, permission: Permission) -> None:
    if not asked.beside_remotes and not permission.allows_somewhere(asked.action):
        raise NotGrantedError(())
    if not asked.options.allow_no_indices:
        raise IndexNotFoundError.of(",".join(asked.parts) or ALL)


def _target(asked: Asked, permission: Permission, index: str, how: _Reached) -> Target:
    names = how.names
    if len(names) > 1:  # a stream's or an index' rights count only where that name was granted
        names = [name for name in names if permission.allows_index(asked.action, name)]
    access = permission.access(asked.action, names)
    if how.directly:
        return Target(index, access, name=index)
    filters: list[dict[str, Any]] = []
    for entry in how.entries:
        if entry.filter is None:
            filters = []
            break
        filters.append(entry.filter)
    routings = [entry.index_routing if asked.writes else entry.search_routing for entry in how.entries]
    routing = ",".join(dict.fromkeys(text for text in routings if text)) if all(routings) else None
    return Target(index, access, tuple(filters), how.names[0], routing or None)
