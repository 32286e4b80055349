"""Index templates: composable (with components) and legacy ones; which apply to a new index, and what they give.

Tests: tests/index/administration/test_templates.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from hanse.cluster.state import AliasMetadata, ClusterState
from hanse.errors import IllegalArgumentError, ResourceNotFoundError
from hanse.index import settings as index_settings
from hanse.index.administration.bodies import alias_json, mappings_of, parse_aliases, settings_of
from hanse.index.mapping import Mapping as FieldMapping
from hanse.settings.registry import RawValue

COMPOSABLE_KEYS = frozenset(
    {
        "index_patterns",
        "template",
        "composed_of",
        "priority",
        "version",
        "_meta",
        "data_stream",
        "allow_auto_create",
        "ignore_missing_component_templates",
        "deprecated",
    }
)
TEMPLATE_KEYS = frozenset({"settings", "mappings", "aliases", "lifecycle", "data_stream_options"})


class Inherited(msgspec.Struct, frozen=True):
    """What templates contribute to a new index, in rising precedence already merged."""

    settings: dict[str, RawValue]
    mappings: list[dict[str, Any]]
    aliases: dict[str, AliasMetadata]
    names: tuple[str, ...] = ()


def inherited_by(state: ClusterState, index: str, *, hidden: bool = False) -> Inherited:
    """Composable templates first (the one with the highest priority); legacy ones only when none matches."""
    name = composable_for(state, index, hidden=hidden)
    if name is not None:
        return compose(state, state.index_templates[name], name)
    return _legacy(state, index, hidden=hidden)


def applies(template: Mapping[str, Any], index: str, *, hidden: bool = False) -> bool:
    """Whether a pattern of the template fits; a catch-all one does not reach hidden indices."""
    return any(fnmatchcase(index, part) for part in template["index_patterns"] if not (hidden and part == "*"))


def composable_for(state: ClusterState, index: str, *, hidden: bool = False) -> str | None:
    matches = [
        (template.get("priority") or 0, name)
        for name, template in state.index_templates.items()
        if applies(template, index, hidden=hidden)
    ]
    return max(matches)[1] if matches else None


def compose(state: ClusterState, template: Mapping[str, Any], name: str) -> Inherited:
    ignored = set(template.get("ignore_missing_component_templates") or ())
    parts: list[Mapping[str, Any]] = []
    for component in template.get("composed_of") or ():
        found = state.component_templates.get(component)
        if found is not None:
            parts.append(found.get("template") or {})
        elif component not in ignored:
            raise IllegalArgumentError(f"component template [{component}] of index template [{name}] does not exist")
    parts.append(template.get("template") or {})
    return _merged(parts, (name,))


def _legacy(state: ClusterState, index: str, *, hidden: bool) -> Inherited:
    matches = sorted(
        (template.get("order") or 0, name)
        for name, template in state.legacy_templates.items()
        if applies(template, index, hidden=hidden)
    )
    return _merged([state.legacy_templates[name] for _, name in matches], tuple(name for _, name in matches))


def _merged(parts: list[Mapping[str, Any]], names: tuple[str, ...]) -> Inherited:
    settings: dict[str, RawValue] = {}
    mappings: list[dict[str, Any]] = []
    aliases: dict[str, AliasMetadata] = {}
    for part in parts:
        for key, value in settings_of(part.get("settings")).items():
            if value is None:
                settings.pop(key, None)
            else:
                settings[key] = value
        if part.get("mappings"):
            mappings.append(part["mappings"])
        aliases.update(parse_aliases(part.get("aliases")))
    return Inherited(settings, mappings, aliases, names)


def check_component(name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(body) - {"template", "version", "_meta", "deprecated"})
    if unknown:
        raise IllegalArgumentError(f"[component_template] unknown field [{unknown[0]}]")
    if not isinstance(body.get("template"), dict):
        raise IllegalArgumentError("Required [template]")
    return {**body, "template": _checked_template(body["template"])}


def check_composable(state: ClusterState, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The template as stored. Raises IllegalArgumentError for what Elasticsearch refuses."""
    unknown = sorted(set(body) - COMPOSABLE_KEYS)
    if unknown:
        raise IllegalArgumentError(f"[index_template] unknown field [{unknown[0]}]")
    patterns = _patterns(body)
    components, ignored = _names(body, "composed_of"), _names(body, "ignore_missing_component_templates")
    missing = [name for name in components if name not in state.component_templates and name not in ignored]
    if missing:
        raise IllegalArgumentError(
            f"index template [{name}] specifies component templates [{', '.join(missing)}] that do not exist"
        )
    stored = {**body, "index_patterns": patterns, "composed_of": components}
    if body.get("template") is not None:
        stored["template"] = _checked_template(body["template"])
    if body.get("priority") is not None:
        stored["priority"] = _number(body, "priority", least=0)
    _refuse_conflict(state, name, patterns, stored.get("priority") or 0)
    compose(state, stored, name)
    return stored


def _refuse_conflict(state: ClusterState, name: str, patterns: list[str], priority: int) -> None:
    """Two templates of one priority may not match the same index; overlap is judged by either matching the other."""
    for other, template in state.index_templates.items():
        if other == name or (template.get("priority") or 0) != priority:
            continue
        theirs = template["index_patterns"]
        if any(fnmatchcase(a, b) or fnmatchcase(b, a) for a in patterns for b in theirs):
            raise IllegalArgumentError(
                f"index template [{name}] has index patterns [{', '.join(patterns)}] matching patterns from existing "
                f"templates [{other}] with patterns ({other} => [{', '.join(theirs)}]) that have the same priority "
                f"[{priority}], multiple index templates may not match during index creation, please use a different "
                f"priority"
            )


def check_legacy(body: Mapping[str, Any]) -> dict[str, Any]:
    patterns = _patterns(body)
    stored = {
        "order": _number(body, "order"),
        "index_patterns": patterns,
        **_checked_template({key: body[key] for key in ("settings", "mappings", "aliases") if key in body}),
    }
    if "version" in body:
        stored["version"] = body["version"]
    return stored


def _number(body: Mapping[str, Any], key: str, least: int | None = None) -> int:
    try:
        value = int(body.get(key) or 0)
    except (TypeError, ValueError) as error:
        raise IllegalArgumentError(f"Failed to parse value [{body[key]}] of [{key}] as a number") from error
    if least is not None and value < least:
        raise IllegalArgumentError(f"index template {key} must be >= {least}")
    return value


def _names(body: Mapping[str, Any], key: str) -> list[str]:
    value = body.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise IllegalArgumentError(f"[index_template] failed to parse field [{key}]: expected a list of names")
    return value


def _patterns(body: Mapping[str, Any]) -> list[str]:
    raw = body.get("index_patterns")
    if raw is None or raw == []:
        raise IllegalArgumentError("index_template validation failed: index patterns are missing")
    return [raw] if isinstance(raw, str) else [str(pattern) for pattern in raw]


def _checked_template(template: Mapping[str, Any]) -> dict[str, Any]:
    """Settings flattened with prefix, mappings compiled once so that a bad one is refused now, aliases parsed."""
    if not isinstance(template, Mapping):
        raise IllegalArgumentError("[template] must be an object")
    unknown = sorted(set(template) - TEMPLATE_KEYS)
    if unknown:
        raise IllegalArgumentError(f"[template] unknown field [{unknown[0]}]")
    checked = dict(template)
    if template.get("settings") is not None:
        settings = settings_of(template["settings"])
        index_settings.check_new(settings)
        checked["settings"] = settings
    if template.get("mappings"):
        checked["mappings"] = mappings_of(template["mappings"])
        FieldMapping.from_metadata({}, {}, checked.get("settings") or {}).merge(checked["mappings"])
    if template.get("aliases") is not None:
        checked["aliases"] = {name: alias_json(alias) for name, alias in parse_aliases(template["aliases"]).items()}
    return checked


def matching(names: Mapping[str, Any], expression: str | None, what: str) -> list[str]:
    """Template names for a GET or DELETE: `*` patterns may match nothing, a plain name must exist."""
    if not expression:
        return sorted(names)
    found: set[str] = set()
    for part in expression.split(","):
        hits = [name for name in names if fnmatchcase(name, part)]
        if not hits and "*" not in part:
            raise ResourceNotFoundError(f"{what} matching [{part}] not found")
        found.update(hits)
    return sorted(found)
