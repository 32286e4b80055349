"""Merging a mapping update into a mapping: what may change, what may not, and Elasticsearch's words for it.

Both sides are in the form `definition.py` makes. Nothing is changed in place. The law: merging the result again
changes nothing. Tests: tests/index/test_mapping_merge.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hanse.errors import IllegalArgumentError, MapperParsingError
from hanse.index.mapping.definition import shown
from hanse.index.mapping.parameters import (
    NULL_VALUE_UPDATEABLE,
    OBJECT_TYPES,
    PARAMETERS,
    STORED_TYPES,
    UPDATEABLE,
)

Definition = Mapping[str, Any]
_FIXED_META = {"_source": {"enabled": True}, "_routing": {"required": False}}


def merge_root(old: Definition, new: Definition) -> dict[str, Any]:
    """Raises IllegalArgumentError for a change that is not allowed."""
    merged = dict(old)
    for key, value in new.items():
        if key == "properties":
            properties = merge_properties(old.get("properties", {}), value, "")
            if properties or "properties" in old:
                merged[key] = properties
        elif key == "dynamic_templates":
            merged[key] = _templates(old.get(key, []), value)
        elif key in _FIXED_META and old:
            _check_meta(key, old.get(key, {}), value)
            if old.get(key, {}) or value:
                merged[key] = {**old.get(key, {}), **value}
        elif key == "enabled" and old and value != old.get(key, True):
            raise IllegalArgumentError("the [enabled] parameter can't be updated for the object mapping [_doc]")
        else:
            merged[key] = value
    return merged


def merge_properties(old: Definition, new: Definition, prefix: str) -> dict[str, Any]:
    merged = dict(old)
    for name, definition in new.items():
        known = old.get(name)
        merged[name] = definition if known is None else _merge_property(prefix + name, known, definition)
    return merged


def _merge_property(path: str, old: Definition, new: Definition) -> dict[str, Any]:
    old_object, new_object = is_object(old), is_object(new)
    if old_object != new_object:
        if old_object:
            raise IllegalArgumentError(f"can't merge a non object mapping [{path}] with an object mapping")
        raise IllegalArgumentError(f"can't merge an object mapping [{path}] with a non object mapping")
    if old_object:
        return _merge_object(path, old, new)
    return _merge_leaf(path, old, new)


def _merge_object(path: str, old: Definition, new: Definition) -> dict[str, Any]:
    old_kind, new_kind = old.get("type", "object"), new.get("type", "object")
    if old_kind != new_kind:
        if old_kind == "nested":
            raise IllegalArgumentError(f"can't merge a nested mapping [{path}] with a non-nested mapping")
        raise IllegalArgumentError(f"can't merge a non-nested mapping [{path}] with a nested mapping")
    if "enabled" in new and new["enabled"] != old.get("enabled", True):
        raise IllegalArgumentError(f"the [enabled] parameter can't be updated for the object mapping [{path}]")
    if "subobjects" in new and new["subobjects"] != old.get("subobjects", True):
        raise IllegalArgumentError(f"the [subobjects] parameter can't be updated for the object mapping [{path}]")
    properties = merge_properties(old.get("properties", {}), new.get("properties", {}), f"{path}.")
    merged = {**old, **new}
    if properties:
        merged["properties"] = properties
        if old_kind == "object":
            merged.pop("type", None)
    return merged


def _merge_leaf(path: str, old: Definition, new: Definition) -> dict[str, Any]:
    kind = old["type"]
    if kind != new["type"]:
        raise IllegalArgumentError(f"mapper [{path}] cannot be changed from type [{kind}] to [{new['type']}]")
    if kind in STORED_TYPES:
        return dict(new)
    conflicts = [
        f"Cannot update parameter [{key}] from [{shown(_value(old, key))}] to [{shown(_value(new, key))}]"
        for key in PARAMETERS[kind]
        if _value(old, key) != _value(new, key) and not _may_change(kind, key, old, new)
    ]
    if conflicts:
        listed = "".join(f"\n\t{conflict}" for conflict in conflicts)
        raise IllegalArgumentError(f"Mapper for [{path}] conflicts with existing mapper:{listed}")
    merged = dict(new)
    if kind == "constant_keyword" and "value" in old:
        merged["value"] = old["value"]
    fields = merge_properties(old.get("fields", {}), new.get("fields", {}), f"{path}.")
    if fields:
        merged["fields"] = fields
    return merged


def _value(definition: Definition, key: str) -> Any:
    """The parameter, or the default that stands for it."""
    value = definition.get(key)
    if value is not None:
        return value
    if key == "search_analyzer":
        return _value(definition, "analyzer")
    if key == "search_quote_analyzer":
        return _value(definition, "search_analyzer")
    return PARAMETERS[definition["type"]].get(key)


def _may_change(kind: str, key: str, old: Definition, new: Definition) -> bool:
    if key in UPDATEABLE:
        return True
    if key == "norms":
        return bool(_value(old, key)) and not _value(new, key)
    if key == "null_value":
        return kind in NULL_VALUE_UPDATEABLE
    if key == "value":
        return "value" not in old or "value" not in new
    return False


def _templates(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By name: a known one is replaced in its place, others are added."""
    by_name = {name: body for entry in [*old, *new] for name, body in entry.items()}
    return [{name: body} for name, body in by_name.items()]


def _check_meta(key: str, old: Definition, new: Definition) -> None:
    ((parameter, default),) = _FIXED_META[key].items()
    before, after = old.get(parameter, default), new.get(parameter, default)
    if before != after:
        raise IllegalArgumentError(
            f"Mapper for [{key}] conflicts with existing mapper:\n\tCannot update parameter [{parameter}] from "
            f"[{shown(before)}] to [{shown(after)}]"
        )


def is_object(definition: Definition) -> bool:
    return definition.get("type", "object") in OBJECT_TYPES


def leaves(properties: Definition, prefix: str = "") -> Iterator[tuple[str, Definition, str]]:
    """Every leaf: full path, definition and the path of its value in the source; multi-fields follow their field."""
    for name, definition in properties.items():
        path = prefix + name
        if is_object(definition):
            yield from leaves(definition.get("properties", {}), f"{path}.")
            continue
        yield path, definition, path
        for sub_name, sub in definition.get("fields", {}).items():
            yield f"{path}.{sub_name}", sub, path


def objects(properties: Definition, prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """Every object and nested field with its definition."""
    for name, definition in properties.items():
        if is_object(definition):
            yield prefix + name, definition
            yield from objects(definition.get("properties", {}), f"{prefix}{name}.")


def check_limits(properties: Definition, limits: Mapping[str, int], added: int = 0) -> None:
    """Total fields, depth, nested fields, lengths of names. Raises IllegalArgumentError."""
    containers = list(objects(properties))
    fields = [path for path, _, _ in leaves(properties)]
    if len(containers) + len(fields) > limits["total_fields"]:
        suffix = f" while adding new fields [{added}]" if added else ""
        raise IllegalArgumentError(f"Limit of total fields [{limits['total_fields']}] has been exceeded{suffix}")
    for path, _ in containers:
        if path.count(".") + 2 > limits["depth"]:
            raise IllegalArgumentError(
                f"Limit of mapping depth [{limits['depth']}] has been exceeded due to object field [{path}]"
            )
    nested = sum(definition.get("type") == "nested" for _, definition in containers)
    if nested > limits["nested_fields"]:
        raise IllegalArgumentError(f"Limit of nested fields [{limits['nested_fields']}] has been exceeded")
    for path in (*fields, *(path for path, _ in containers)):
        name = path.rpartition(".")[2]
        if len(name) > limits["field_name_length"]:
            raise IllegalArgumentError(
                f"Field name [{name}] is longer than the limit of [{limits['field_name_length']}] characters"
            )


def check_aliases(properties: Definition) -> None:
    """Every alias must lead to a field. Raises MapperParsingError."""
    known = {path: definition for path, definition, _ in leaves(properties)}
    for path, definition in known.items():
        if definition["type"] == "alias":
            target = definition["path"]
            why = None
            if target == path:
                why = "an alias cannot refer to itself"
            elif target not in known:
                why = "an alias must refer to an existing field in the mappings"
            elif known[target]["type"] == "alias":
                why = "an alias cannot refer to another alias"
            if why:
                raise MapperParsingError(f"Invalid [path] value [{target}] for field alias [{path}]: {why}.")
