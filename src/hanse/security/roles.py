"""Role descriptors: what the role API reads, stores and shows.

`parse_role` checks a definition with Elasticsearch's wording; `render_role` gives back what `GET _security/role` shows.
Nothing here decides about a request: `permission.py` compiles descriptors into decisions.
Tests: tests/security/test_roles.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hanse.errors import ActionRequestValidationError, HanseError, IllegalArgumentError, ParsingError
from hanse.security.patterns import NamePatterns
from hanse.security.privileges import cluster_privilege, index_privilege

DESCRIPTION_CHARS_MAX = 1000
NAME_CHARS_MAX = 507
_NAME = re.compile(r"[\x20-\x7e]+")

_ROLE_FIELDS = {
    "cluster", "indices", "index", "applications", "run_as", "metadata", "description", "global", "remote_indices",
    "remote_cluster", "transient_metadata",
}  # fmt: skip
_INDEX_FIELDS = {"names", "privileges", "field_security", "query", "allow_restricted_indices"}


class RoleParsingError(ParsingError):
    """A definition that cannot be read (`parse_exception`, unlike the query DSL's `parsing_exception`)."""

    type = "parse_exception"


class FieldSecurity(msgspec.Struct, frozen=True):
    grant: tuple[str, ...] = ("*",)
    deny: tuple[str, ...] | None = None


class IndexPrivileges(msgspec.Struct, frozen=True):
    """One entry of a role's `indices` (with `clusters`: of `remote_indices`). `query` is the JSON text as stored."""

    names: tuple[str, ...]
    privileges: tuple[str, ...]
    field_security: FieldSecurity | None = None
    query: str | None = None
    allow_restricted_indices: bool = False
    clusters: tuple[str, ...] = ()


class ApplicationPrivileges(msgspec.Struct, frozen=True):
    application: str
    privileges: tuple[str, ...]
    resources: tuple[str, ...]


class RoleDescriptor(msgspec.Struct, frozen=True):
    """A role by name. Reserved ones are built in and cannot be changed."""

    name: str
    cluster: tuple[str, ...] = ()
    indices: tuple[IndexPrivileges, ...] = ()
    applications: tuple[ApplicationPrivileges, ...] = ()
    run_as: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}
    description: str | None = None
    global_: dict[str, Any] = {}
    remote_indices: tuple[IndexPrivileges, ...] = ()
    remote_cluster: tuple[dict[str, Any], ...] = ()

    @property
    def is_reserved(self) -> bool:
        return self.metadata.get("_reserved") is True


def check_name(name: str, kind: str) -> str | None:
    """The sentence against a user or role name, None when it is allowed. `kind` is User or Role."""
    if not name or len(name) > NAME_CHARS_MAX or name != name.strip() or _NAME.fullmatch(name) is None:
        return (
            f"{kind} names must be at least 1 and no more than {NAME_CHARS_MAX} characters. They can contain "
            f"alphanumeric characters (a-z, A-Z, 0-9), spaces, punctuation, and printable symbols in the Basic Latin "
            f"(ASCII) block. Leading or trailing whitespace is not allowed."
        )
    return None


def parse_role(name: str, body: Any) -> RoleDescriptor:
    """Reads and checks a definition. Raises HanseError with status 400."""
    if not isinstance(body, Mapping):
        raise RoleParsingError(f"failed to parse role [{name}]. expected an object but found {_found(body)} instead")
    for field in body:
        if field not in _ROLE_FIELDS:
            raise RoleParsingError(f"failed to parse role [{name}]. unexpected field [{field}]")
    metadata = body.get("metadata") or {}
    if not isinstance(metadata, Mapping):
        raise RoleParsingError(f"failed to parse role [{name}]. expected field [metadata] to be an object")
    role = RoleDescriptor(
        name,
        cluster=_texts(name, "cluster", body.get("cluster")),
        indices=_index_entries(name, "indices", body.get("indices", body.get("index"))),
        applications=_applications(name, body.get("applications")),
        run_as=_texts(name, "run_as", body.get("run_as")),
        metadata=dict(metadata),
        description=body.get("description"),
        global_=dict(body.get("global") or {}),
        remote_indices=_index_entries(name, "remote_indices", body.get("remote_indices")),
        remote_cluster=tuple(body.get("remote_cluster") or ()),
    )
    check_role(role)
    return role


def check_role(role: RoleDescriptor) -> None:
    """Raises for unknown privileges, bad patterns and what the API does not let a caller set."""
    problems: list[str] = []
    if any(key.startswith("_") for key in role.metadata):
        problems.append("role descriptor metadata keys may not start with [_]")
    if role.description is not None and len(role.description) > DESCRIPTION_CHARS_MAX:
        problems.append(f"Role description must be less than {DESCRIPTION_CHARS_MAX} characters.")
    problems += _problems_of(cluster_privilege, role.cluster)
    for entry in (*role.indices, *role.remote_indices):
        problems += _problems_of(index_privilege, entry.privileges)
        problems += _problems_of(_compile_pattern, entry.names)
    problems += _problems_of(_compile_pattern, role.run_as)
    if problems:
        raise ActionRequestValidationError.of(*problems)


def _problems_of(check: Any, values: Sequence[str]) -> list[str]:
    problems = []
    for value in values:
        try:
            check(value)
        except HanseError as error:
            problems.append(error.reason)
    return problems


def _compile_pattern(text: str) -> None:
    NamePatterns([text])


def _index_entries(role: str, field: str, value: Any) -> tuple[IndexPrivileges, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise RoleParsingError(
            f"failed to parse indices privileges for role [{role}]. expected field [{field}] value to be an array, "
            f"but found {_found(value)} instead"
        )
    return tuple(_index_entry(role, field, entry) for entry in value)


def _index_entry(role: str, field: str, entry: Any) -> IndexPrivileges:
    start = f"failed to parse indices privileges for role [{role}]."
    if not isinstance(entry, Mapping):
        raise RoleParsingError(f"{start} expected field [{field}] value to be an array of objects")
    known = {*_INDEX_FIELDS, "clusters"} if field == "remote_indices" else _INDEX_FIELDS
    for key in entry:
        if key not in known:
            raise RoleParsingError(f"{start} unexpected field [{key}]")
    for key in ("names", "privileges", *(("clusters",) if field == "remote_indices" else ())):
        if not entry.get(key):
            raise RoleParsingError(f"{start} missing required [{key}] field")
    return IndexPrivileges(
        names=_texts(role, "names", entry["names"]),
        privileges=_texts(role, "privileges", entry["privileges"]),
        field_security=_field_security(role, entry.get("field_security")),
        query=_query_text(role, entry.get("query")),
        allow_restricted_indices=bool(entry.get("allow_restricted_indices", False)),
        clusters=_texts(role, "clusters", entry.get("clusters")),
    )


def _field_security(role: str, value: Any) -> FieldSecurity | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or set(value) - {"grant", "except"}:
        raise RoleParsingError(
            f"failed to parse indices privileges for role [{role}]. [field_security] only accepts options "
            f"[grant] and [except]"
        )
    grant = _texts(role, "grant", value["grant"]) if value.get("grant") is not None else ("*",)
    deny = _texts(role, "except", value["except"]) if value.get("except") is not None else None
    granted = NamePatterns(grant)
    if deny and not all(granted.covers(pattern) for pattern in deny):
        raise IllegalArgumentError(
            f"Exceptions for field permissions must be a subset of the granted fields but "
            f"[{', '.join(deny)}] is not a subset of [{', '.join(grant)}]"
        )
    return FieldSecurity(grant, deny)


def _query_text(role: str, value: Any) -> str | None:
    """The role query as JSON text. Accepts an object or a string holding one; checks what a role may not ask."""
    if value is None or value in ("", {}):
        return None
    if isinstance(value, str):
        try:
            query = msgspec.json.decode(value)
        except msgspec.DecodeError as error:
            raise RoleParsingError(
                f"failed to parse field 'query' for indices privileges of role [{role}]: {error}"
            ) from error
        text = value
    else:
        query, text = value, msgspec.json.encode(value).decode()
    if not isinstance(query, Mapping) or not query:
        raise RoleParsingError(f"failed to parse field 'query' for indices privileges of role [{role}]")
    if set(query) == {"template"}:
        raise IllegalArgumentError(f"role [{role}]: templates in role queries are not supported")
    check_role_query(query)
    return text


_FORBIDDEN_QUERIES = {"has_child": "has_child", "has_parent": "has_parent", "percolate": "percolate"}


def check_role_query(query: Any) -> None:
    """Raises for queries whose meaning a document-level restriction cannot hold (they read other documents)."""
    if isinstance(query, list):
        for item in query:
            check_role_query(item)
        return
    if not isinstance(query, Mapping):
        return
    for key, value in query.items():
        if key in _FORBIDDEN_QUERIES and isinstance(value, Mapping):
            raise IllegalArgumentError(f"{key} query isn't supported as part of a role query")
        if key == "terms" and isinstance(value, Mapping) and any(_is_lookup(part) for part in value.values()):
            raise IllegalArgumentError("terms query with terms lookup isn't supported as part of a role query")
        if key == "geo_shape" and "indexed_shape" in str(value):
            raise IllegalArgumentError(
                "geoshape query referring to indexed shapes isn't supported as part of a role query"
            )
        check_role_query(value)


def _is_lookup(value: Any) -> bool:
    return isinstance(value, Mapping) and "id" in value and "index" in value


def _applications(role: str, value: Any) -> tuple[ApplicationPrivileges, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise RoleParsingError(
            f"failed to parse application privileges for role [{role}]. expected an array of objects"
        )
    found = []
    for entry in value:
        for key in ("application", "privileges", "resources"):
            if not entry.get(key):
                raise RoleParsingError(
                    f"failed to parse application privileges for role [{role}]. missing required [{key}] field"
                )
        privileges = _texts(role, "privileges", entry["privileges"])
        found.append(
            ApplicationPrivileges(str(entry["application"]), privileges, _texts(role, "resources", entry["resources"]))
        )
    return tuple(found)


def _texts(role: str, field: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str) and field in ("names", "clusters"):
        return (value,)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise RoleParsingError(f"failed to parse role [{role}]. expected field [{field}] to be an array of strings")
    return tuple(dict.fromkeys(value))


def _found(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def render_role(role: RoleDescriptor) -> dict[str, Any]:
    """As `GET _security/role` shows it."""
    body: dict[str, Any] = {
        "cluster": list(role.cluster),
        "indices": [render_index_entry(entry) for entry in role.indices],
        "applications": [render_application(entry) for entry in role.applications],
        "run_as": list(role.run_as),
        "metadata": role.metadata,
        "transient_metadata": {"enabled": True},
    }
    if role.global_:
        body["global"] = role.global_
    if role.description is not None:
        body["description"] = role.description
    if role.remote_indices:
        body["remote_indices"] = [render_index_entry(entry) for entry in role.remote_indices]
    if role.remote_cluster:
        body["remote_cluster"] = list(role.remote_cluster)
    return body


def render_index_entry(entry: IndexPrivileges) -> dict[str, Any]:
    body: dict[str, Any] = {"names": list(entry.names), "privileges": list(entry.privileges)}
    if entry.field_security is not None:
        rule = entry.field_security
        body["field_security"] = {"grant": list(rule.grant)}
        if rule.deny is not None:
            body["field_security"]["except"] = list(rule.deny)
    if entry.query is not None:
        body["query"] = entry.query
    body["allow_restricted_indices"] = entry.allow_restricted_indices
    if entry.clusters:
        body["clusters"] = list(entry.clusters)
    return body


def render_application(entry: ApplicationPrivileges) -> dict[str, Any]:
    return {
        "application": entry.application,
        "privileges": list(entry.privileges),
        "resources": list(entry.resources),
    }


def role_from_stored(name: str, stored: Mapping[str, Any]) -> RoleDescriptor:
    """A descriptor from the security store, which holds what `stored_role` gave."""
    return msgspec.convert({**stored, "name": name}, RoleDescriptor)


def stored_role(role: RoleDescriptor) -> dict[str, Any]:
    # Through JSON, so that it equals what comes back from a store (lists, not tuples).
    stored: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(role))
    del stored["name"]
    return stored
