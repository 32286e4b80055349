"""Which roles the stored role mappings give a user of a realm outside: the rules, evaluated.

A rule is `any`, `all`, `except` or `field`; a field is compared with the user's username, dn, groups, realm.name or
metadata. Strings may hold `*` and `?`, or be a regular expression between slashes. Distinguished names are compared in
parts, with wildcards in a text that cannot be misread (subjects.py). Tests: tests/security/test_role_mappings.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from hanse.errors import HanseError
from hanse.security.patterns import NamePatterns
from hanse.security.role_templates import roles_of
from hanse.security.subjects import rendered
from hanse.tls.identity import structured_text

log = structlog.get_logger(__name__)


class MappedUser(msgspec.Struct, frozen=True):
    """What rules can ask about. `dn` is RFC 4514 text."""

    username: str
    realm: str
    dn: str | None = None
    groups: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = {}


def mapped_roles(mappings: Mapping[str, Mapping[str, Any]], user: MappedUser) -> tuple[str, ...]:
    """The roles of every enabled mapping whose rules hold. What cannot be evaluated gives nothing."""
    roles: dict[str, None] = {}
    for name, mapping in mappings.items():
        try:
            if mapping.get("enabled", True) and holds(mapping["rules"], user):
                roles.update(dict.fromkeys(mapping.get("roles") or ()))
                for template in mapping.get("role_templates") or ():
                    roles.update(dict.fromkeys(_of_template(name, template, user)))
        except (HanseError, ValueError, KeyError, TypeError) as error:
            log.warning("a role mapping cannot be evaluated and gives nothing", mapping=name, why=str(error))
    return tuple(roles)


def _of_template(mapping: str, template: Mapping[str, Any], user: MappedUser) -> tuple[str, ...]:
    try:
        return roles_of(template, lambda field: _values(field, user))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        log.warning("a role template gives nothing", mapping=mapping, user=user.username, why=str(error))
        return ()


def holds(rule: Mapping[str, Any], user: MappedUser) -> bool:
    ((kind, body),) = rule.items()
    if kind == "any":
        return any(holds(one, user) for one in body)
    if kind == "all":
        return all(holds(one, user) for one in body)
    if kind == "except":
        return not holds(body, user)
    ((field, wanted),) = body.items()
    return any(_matches(field, one, user) for one in (wanted if isinstance(wanted, list) else [wanted]))


def _matches(field: str, wanted: Any, user: MappedUser) -> bool:
    values = _values(field, user)
    if wanted is None or not values:
        return wanted is None and not values
    if field == "dn" and isinstance(wanted, str):
        return any(_is_name(wanted, value) for value in values)
    if isinstance(wanted, str):
        patterns = NamePatterns([wanted])
        return any(isinstance(value, str) and patterns.matches(value) for value in values)
    return any(type(value) is type(wanted) and value == wanted for value in values)


def _values(field: str, user: MappedUser) -> tuple[Any, ...]:
    found: Any = {"username": user.username, "dn": user.dn, "groups": user.groups, "realm.name": user.realm}.get(field)
    if field.startswith("metadata."):
        found = user.metadata.get(field.removeprefix("metadata."))
    if found is None:
        return ()
    return tuple(found) if isinstance(found, list | tuple) else (found,)


def _is_name(wanted: str, dn: str) -> bool:
    if wanted.startswith("/") and wanted.endswith("/") and len(wanted) > 1:
        return NamePatterns([wanted]).matches(rendered(dn, separator=","))
    if "*" not in wanted:
        try:
            return structured_text(wanted) == structured_text(dn)
        except ValueError:
            return False
    pattern = _folded(rendered(wanted, separator=",", keep="*")).replace("\\", "\\\\")
    return NamePatterns([pattern]).matches(_folded(rendered(dn, separator=",")))


def _folded(text: str) -> str:
    """Only letters of ASCII: others have neighbours that look like them in lower case."""
    return "".join(char.lower() if char.isascii() else char for char in text)
