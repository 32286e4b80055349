"""From a mapping body as a client sends it to the form that is kept and shown: checked, dots expanded, one spelling.

What is wrong raises MapperParsingError; `merge.py` puts `Failed to parse mapping: ` before it.
Tests: tests/index/test_mapping_definition.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hanse.errors import HanseError, IllegalArgumentError, MapperParsingError
from hanse.index.analysis import Analyzers
from hanse.index.mapping.dates import DateFormat
from hanse.index.mapping.dynamic_templates import check_templates
from hanse.index.mapping.field_type import KIND_OF_TYPE, FieldType
from hanse.index.mapping.parameters import (
    BOOLEANS,
    DYNAMIC_VALUES,
    FIELD_TYPES,
    OBJECT_PARAMETERS,
    OBJECT_TYPES,
    PARAMETERS,
    ROOT_PARAMETERS,
    STORED_TYPES,
)

_ANALYZER_KEYS = ("analyzer", "search_analyzer", "search_quote_analyzer")


def checked_root(update: Mapping[str, Any], analyzers: Analyzers) -> dict[str, Any]:
    """A whole mapping body. Raises MapperParsingError and IllegalArgumentError."""
    unknown = [key for key in update if key not in ROOT_PARAMETERS]
    if unknown:
        detail = "  ".join(f"[{key} : {shown(update[key])}]" for key in unknown)
        raise MapperParsingError(f"Root mapping definition has unsupported parameters:  {detail}")
    root: dict[str, Any] = {}
    for key, value in update.items():
        if key == "properties":
            root[key] = checked_properties(value, "", analyzers)
        elif key == "dynamic":
            root[key] = _dynamic(value)
        elif key in ("date_detection", "numeric_detection", "enabled", "subobjects"):
            root[key] = boolean(value, key)
        elif key == "dynamic_date_formats":
            root[key] = [value] if isinstance(value, str) else list(value)
            for pattern in root[key]:
                if pattern != "none":
                    DateFormat.of(str(pattern))
        elif key == "dynamic_templates":
            root[key] = check_templates(value)
        elif key == "_source":
            root[key] = _source(value)
        elif key == "_routing":
            root[key] = _routing(value)
        elif key == "runtime":
            if value:
                raise MapperParsingError("runtime fields are not supported: map the field under [properties]")
        elif value is not None:
            root[key] = value
    return root


def checked_properties(raw: Any, prefix: str, analyzers: Analyzers) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise MapperParsingError(
            f"Expected map for property [properties] on field [{prefix.rstrip('.')}] but got a class"
        )
    properties: dict[str, Any] = {}
    for name, definition in raw.items():
        parts = name.split(".")
        if not name.strip() or any(not part.strip() for part in parts):
            raise IllegalArgumentError(
                "field name cannot be an empty string" if not name.strip() else f"field name [{name}] has an empty part"
            )
        path = prefix + name
        if not isinstance(definition, dict):
            raise MapperParsingError(
                f"Expected map for property [{name}] on field [{path}] but got {shown(definition)}"
            )
        checked = checked_field(path, definition, analyzers)
        target = properties
        for part in parts[:-1]:
            target = target.setdefault(part, {"properties": {}}).setdefault("properties", {})
        known = target.get(parts[-1])
        if known is not None and "properties" in known and "properties" in checked:
            checked = {**known, **checked, "properties": {**known["properties"], **checked["properties"]}}
        target[parts[-1]] = checked
    return properties


def checked_field(path: str, definition: Mapping[str, Any], analyzers: Analyzers) -> dict[str, Any]:
    """One property: a leaf or an object."""
    kind = definition.get("type")
    if kind is None:
        if not {"properties", "dynamic", "enabled"} & set(definition):
            raise MapperParsingError(f"No type specified for field [{path.rpartition('.')[2]}]")
        kind = "object"
    if kind in OBJECT_TYPES:
        return _object(path, str(kind), definition, analyzers)
    if kind not in FIELD_TYPES:
        raise MapperParsingError(f"No handler for type [{kind}] declared on field [{path.rpartition('.')[2]}]")
    return _leaf(path, str(kind), definition, analyzers)


def _object(path: str, kind: str, definition: Mapping[str, Any], analyzers: Analyzers) -> dict[str, Any]:
    unknown = [key for key in definition if key not in OBJECT_PARAMETERS]
    if unknown:
        detail = "  ".join(f"[{key} : {shown(definition[key])}]" for key in unknown)
        raise MapperParsingError(f"Mapping definition for [{path}] has unsupported parameters:  {detail}")
    made: dict[str, Any] = {"type": kind}
    for key, value in definition.items():
        if key == "properties":
            made[key] = checked_properties(value, f"{path}.", analyzers)
        elif key == "dynamic":
            made[key] = _dynamic(value)
        elif key in ("enabled", "subobjects", "include_in_parent", "include_in_root"):
            made[key] = boolean(value, key)
        elif key != "type":
            made[key] = value
    if not made.get("properties"):
        made.pop("properties", None)
    elif kind == "object":
        del made["type"]
    return made


def _leaf(path: str, kind: str, definition: Mapping[str, Any], analyzers: Analyzers) -> dict[str, Any]:
    name = path.rpartition(".")[2]
    made: dict[str, Any] = {"type": kind}
    if kind in STORED_TYPES:
        return {**made, **definition}
    known = PARAMETERS[kind]
    for key, value in definition.items():
        if key == "type":
            continue
        if key not in known:
            raise MapperParsingError(f"unknown parameter [{key}] on mapper [{name}] of type [{kind}]")
        if key == "fields":
            made[key] = _multi_fields(path, value, analyzers)
        elif key in BOOLEANS:
            made[key] = boolean(value, key)
        elif key == "copy_to":
            made[key] = [value] if isinstance(value, str) else list(value)
        elif key == "ignore_above" or key == "depth_limit" or key == "position_increment_gap":
            made[key] = _number(value, key, name)
        else:
            made[key] = value
    _check_leaf(path, kind, made, analyzers)
    return made


def _multi_fields(path: str, raw: Any, analyzers: Analyzers) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise MapperParsingError(f"Expected map for property [fields] on field [{path}] but got a class")
    made = {}
    for name, definition in raw.items():
        if not isinstance(definition, dict) or definition.get("type") is None:
            raise MapperParsingError(f"No type specified for field [{name}]")
        if "." in name:
            raise MapperParsingError(f"Field name [{name}] which is a multi field of [{path}] cannot contain '.'")
        if definition["type"] in OBJECT_TYPES or definition["type"] == "alias":
            raise MapperParsingError(f"Type [{definition['type']}] cannot be used in multi field")
        if definition.get("copy_to"):
            raise MapperParsingError(
                "copy_to in multi fields is not allowed. Found the copy_to in field "
                f"[{name}] which is within a multi field."
            )
        made[name] = checked_field(f"{path}.{name}", definition, analyzers)
    return made


def _check_leaf(path: str, kind: str, made: dict[str, Any], analyzers: Analyzers) -> None:
    name = path.rpartition(".")[2]
    for key in _ANALYZER_KEYS:
        if made.get(key) is not None and not analyzers.has(str(made[key])) and made[key] != "default":
            raise MapperParsingError(f"analyzer [{made[key]}] has not been configured in mappings")
    if "search_analyzer" in made and "analyzer" not in made:
        raise MapperParsingError(f"analyzer on field [{name}] must be set when search_analyzer is set")
    normalizer = made.get("normalizer")
    if normalizer is not None and not analyzers.has_normalizer(str(normalizer)):
        raise MapperParsingError(f"normalizer [{normalizer}] not found for field [{name}]")
    if kind == "scaled_float":
        factor = made.get("scaling_factor")
        if factor is None:
            raise MapperParsingError(f"Field [{name}] misses required parameter [scaling_factor]")
        if float(factor) <= 0:
            raise MapperParsingError(f"[scaling_factor] must be a positive number, got [{factor}]")
    if kind == "alias" and not isinstance(made.get("path"), str):
        raise MapperParsingError(f"The [path] property must be specified for field [{name}].")
    if kind in ("date", "date_nanos") and "format" in made:
        try:
            DateFormat.of(str(made["format"]))
        except IllegalArgumentError as error:
            raise MapperParsingError(
                f"Error parsing [format] on field [{name}]: {error.reason}", caused_by=error
            ) from error
    if made.get("null_value") is not None and kind != "geo_point":
        _check_null_value(name, kind, made)


def _check_null_value(name: str, kind: str, made: dict[str, Any]) -> None:
    pattern = made.get("format", PARAMETERS[kind].get("format"))
    field = FieldType(
        name, kind, _kind(kind), made, date_format=DateFormat.of(pattern) if pattern else None, source_path=name
    )
    try:
        field.slot_value(made["null_value"])
    except HanseError as error:
        raise MapperParsingError(
            f"Error parsing [null_value] on field [{name}]: {error.reason}", caused_by=error
        ) from error


def _kind(kind: str) -> str:
    return KIND_OF_TYPE[kind]


def _source(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MapperParsingError("Expected map for [_source]")
    made: dict[str, Any] = {}
    for key, item in value.items():
        if key == "enabled":
            made[key] = boolean(item, key)
        elif key in ("includes", "excludes"):
            made[key] = [item] if isinstance(item, str) else list(item)
        elif key == "mode":
            if item != "stored":
                raise MapperParsingError(f"[_source] mode [{item}] is not supported: only [stored]")
            made[key] = item
        elif key != "compress":
            raise MapperParsingError(f"unknown parameter [{key}] on mapper [_source] of type [_source]")
    return made


def _routing(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) - {"required"}:
        unknown = next(iter(set(value) - {"required"}), value) if isinstance(value, dict) else value
        raise MapperParsingError(f"unknown parameter [{unknown}] on mapper [_routing] of type [_routing]")
    return {"required": boolean(value.get("required", False), "required")}


def _dynamic(value: Any) -> str:
    text = str(value).lower()
    if text not in DYNAMIC_VALUES:
        raise MapperParsingError(
            f"No enum constant for [dynamic]: [{value}] is not one of [true, false, strict, runtime]"
        )
    return text


def boolean(value: Any, key: str) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise MapperParsingError(f"Failed to parse value [{shown(value)}] as only [true] or [false] are allowed.")


def _number(value: Any, key: str, name: str) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError) as error:
        raise MapperParsingError(
            f"Failed to parse [{key}] on field [{name}]: [{shown(value)}] is not a number"
        ) from error
    if number < 0:
        raise MapperParsingError(f"[{key}] must be positive, got [{number}]")
    return number


def shown(value: Any) -> str:
    """A JSON value as Java prints it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)
