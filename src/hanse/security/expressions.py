"""Splits an index expression by cluster: `logs,berlin:logs-*,-paris:*` becomes local parts and parts per remote alias.

Pure. The part behind the colon goes to the remote verbatim; it resolves wildcards, exclusions and date math itself.
Local `*` never includes remotes. Tests: tests/security/test_expressions.py.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from hanse.errors import IllegalArgumentError, NoSuchRemoteClusterError

LOCAL = "(local)"


@dataclass(frozen=True, slots=True)
class Split:
    local: tuple[str, ...]
    remotes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    has_local: bool = True


def remote_part(part: str) -> tuple[str, str] | None:
    """`(alias, index)` of one part, None for a local one. `::` separates a selector, not a cluster."""
    if part.startswith(("<", "-<")):
        return None
    position = part.find(":")
    if position < 0 or part[position : position + 2] == "::":
        return None
    return part[:position], part[position + 1 :]


def names_remotes(parts: Sequence[str]) -> bool:
    return any(":" in part and remote_part(part) is not None for part in parts)


def refuse_remotes(parts: Sequence[str]) -> IllegalArgumentError:
    named = [part for part in parts if remote_part(part) is not None]
    return IllegalArgumentError(
        f"Cross-cluster calls are not supported in this context but remote indices were requested: [{', '.join(named)}]"
    )


def split(parts: Sequence[str], aliases: Collection[str]) -> Split:
    """Groups the parts. Raises IllegalArgumentError or NoSuchRemoteClusterError."""
    local: list[str] = []
    remotes: dict[str, list[str]] = {}
    excluded: dict[str, None] = {}
    for part in parts:
        found = remote_part(part)
        if found is None:
            local.append(part)
            continue
        alias, index = found
        if alias in ("", "-"):
            raise IllegalArgumentError(f"index name [{part}] is invalid because the remote part is empty")
        if alias.startswith("-"):
            _check_exclusion(index)
            excluded.update(dict.fromkeys(_matching(alias[1:], aliases)))
            continue
        for name in _matching(alias, aliases):
            remotes.setdefault(name, []).append(index)
    if excluded:
        _exclude(parts, local, remotes, excluded)
    if not parts:
        return Split(())
    return Split(tuple(local), {name: tuple(indices) for name, indices in remotes.items()}, bool(local))


def _matching(alias: str, aliases: Collection[str]) -> list[str]:
    if "*" not in alias:
        if alias not in aliases:
            raise NoSuchRemoteClusterError.of(alias)
        return [alias]
    pattern = re.compile(".*".join(re.escape(piece) for piece in re.split(r"\*+", alias)), re.DOTALL)
    return sorted(name for name in aliases if pattern.fullmatch(name))


def _check_exclusion(index: str) -> None:
    name, _, selector = index.partition("::")
    if name != "*":
        raise IllegalArgumentError(
            f"To exclude a cluster you must specify the '*' wildcard for the index expression, but found: [{name}]"
        )
    if selector not in ("", "*"):
        raise IllegalArgumentError(
            f"To exclude a cluster you must specify the '::*' selector or leave it off, but found: [{selector}]"
        )


def _exclude(
    parts: Sequence[str], local: Sequence[str], remotes: dict[str, list[str]], excluded: Collection[str]
) -> None:
    given = ",".join(parts)
    absent = sorted(name for name in excluded if name not in remotes)
    if absent:
        included = [*([LOCAL] if local else []), *sorted(remotes)]
        many = len(absent) > 1
        raise IllegalArgumentError(
            f"Attempt to exclude cluster{'s' if many else ''} [{', '.join(absent)}] failed as "
            f"{'they are' if many else 'it is'} not included in the list of clusters to be included: "
            f"[{', '.join(included)}]. Input: [{given}]"
        )
    for name in excluded:
        del remotes[name]
    if not remotes and not local:
        raise IllegalArgumentError(
            f"The '-' exclusions in the index expression list excludes all indexes. Nothing to search. Input: [{given}]"
        )
