"""Role templates of role mappings: names of roles made from what is known of a user, in a small part of mustache.

`{{username}}`, `{{dn}}`, `{{groups}}`, `{{realm.name}}` and `{{metadata.x}}` stand for one text, and
`{{#tojson}}groups{{/tojson}}` for a JSON value in a template of the format `json`, whose outcome is a name or a list of
names. Whatever else mustache knows is refused when the mapping is stored. A name that a user's own data made is never
that of a built-in role: a certificate for `CN=superuser` must not be worth one.
Tests: tests/security/test_role_templates.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from hanse.security.builtin_roles import BUILTIN_ROLES
from hanse.security.roles import RoleParsingError, check_name

Values = Callable[[str], tuple[Any, ...]]
"""What a field such as `username` or `metadata.x` holds; empty when nothing."""

_TAG = re.compile(
    r"\{\{#(?i:tojson)\}\}\s*(?P<json>[\w.]+)\s*\{\{/(?i:tojson)\}\}"
    r"|(?<!\{)\{\{\s*(?P<plain>[\w.]+)\s*\}\}(?!\})"
)
_FORMATS = ("string", "json")
_FIELDS = ("username", "dn", "groups", "realm.name")
SOURCE_CHARS_MAX = 4096
ROLES_MAX = 1000


def check_template(mapping: str, template: Any) -> dict[str, Any]:
    """The template as it is stored. Raises RoleParsingError for what is not evaluated here."""
    start = f"failed to parse role-mapping [{mapping}]. "
    if not isinstance(template, Mapping) or not set(template) <= {"template", "format"} or "template" not in template:
        raise RoleParsingError(f"{start}a role template has the fields [template] and [format]")
    format = template.get("format", "string")
    if format not in _FORMATS:
        raise RoleParsingError(f"{start}the format of a role template is one of [{','.join(_FORMATS)}]")
    source = _source(template["template"])
    if source is None:
        raise RoleParsingError(
            f"{start}a role template is an object with [source] and, at most, [lang: mustache]; stored scripts and "
            f"parameters are not evaluated"
        )
    if len(source) > SOURCE_CHARS_MAX:
        raise RoleParsingError(f"{start}the source of a role template has more than [{SOURCE_CHARS_MAX}] characters")
    rest = _TAG.sub("", source)
    named = (tag["json"] or tag["plain"] for tag in _TAG.finditer(source))
    if "{{" in rest or "}}" in rest or not all(name in _FIELDS or name.startswith("metadata.") for name in named):
        raise RoleParsingError(
            f"{start}the role template [{source}] cannot be evaluated: only {{{{field}}}} and "
            f"{{{{#tojson}}}}field{{{{/tojson}}}} are, of the fields [{', '.join(_FIELDS)}, metadata.*]"
        )
    return {"template": {"source": source}, "format": format}


def _source(template: Any) -> str | None:
    """Given as an object, or as JSON text, as Elasticsearch shows it."""
    if isinstance(template, str):
        try:
            template = json.loads(template)
        except (ValueError, RecursionError):
            return None
    if not isinstance(template, Mapping) or not set(template) <= {"source", "lang"}:
        return None
    source = template.get("source")
    return source if isinstance(source, str) and source and template.get("lang", "mustache") == "mustache" else None


def roles_of(template: Mapping[str, Any], values: Values) -> tuple[str, ...]:
    """The names of a checked template for a user; none where it makes none. Raises ValueError when it cannot."""
    source, is_json = template["template"]["source"], template["format"] == "json"
    filled = _filled(source, values, is_json=is_json)
    if filled is None:
        return ()
    found = json.loads(filled) if is_json else filled
    names = found if isinstance(found, list) else [found]
    if len(names) > ROLES_MAX:
        raise ValueError(f"it makes more than [{ROLES_MAX}] names")
    is_constant = _TAG.search(source) is None
    for name in names:
        if not isinstance(name, str) or check_name(name, "Role") is not None:
            raise ValueError("what it makes is not the name of a role")
        if name in BUILTIN_ROLES and not is_constant:
            raise ValueError(f"it makes the name of the built-in role [{name}] from the user's data")
    return tuple(names)


def _filled(source: str, values: Values, *, is_json: bool) -> str | None:
    """None where a field that stands for one text does not hold one."""
    is_missing = False

    def fill(tag: re.Match[str]) -> str:
        nonlocal is_missing
        if tag["json"] is not None:
            found = values(tag["json"])
            several = tag["json"] == "groups" or len(found) != 1
            return json.dumps(list(found) if several else found[0])
        found = values(tag["plain"])
        if len(found) != 1 or not isinstance(found[0], str):
            is_missing = True
            return ""
        # In JSON the text must not end the string that it stands in.
        return json.dumps(found[0])[1:-1] if is_json else found[0]

    filled = _TAG.sub(fill, source)
    return None if is_missing else filled
