"""The mapping of an index: which fields there are, of which type, in which slot, and how it may grow.

Immutable: `merge` gives the new JSON and the new slots for the index' metadata, from which a new Mapping is made.
`restricted` is the view that field-level security needs: a hidden field looks like one that was never mapped.
Tests: tests/index/test_mapping.py, test_mapping_merge.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Mapping as AbstractMapping
from typing import Any

from hanse.errors import IllegalArgumentError, MapperParsingError
from hanse.index.analysis import Analyzers
from hanse.index.mapping import merge as merging
from hanse.index.mapping.dates import DateFormat
from hanse.index.mapping.definition import checked_root
from hanse.index.mapping.dynamic_templates import DynamicRules, matches_simple
from hanse.index.mapping.field_type import KIND_OF_TYPE, SLOTS_OF_KIND, FieldType
from hanse.index.mapping.parameters import PARAMETERS
from hanse.index.slots import Slots
from hanse.settings.registry import RawValue

_LIMITS = {
    "total_fields": ("index.mapping.total_fields.limit", 1000),
    "depth": ("index.mapping.depth.limit", 20),
    "nested_fields": ("index.mapping.nested_fields.limit", 100),
    "field_name_length": ("index.mapping.field_name_length.limit", 2**31 - 1),
}


class Mapping:
    """Made by `from_metadata` from an index' mappings, slots and settings."""

    def __init__(
        self,
        mappings: dict[str, Any],
        slots: Slots,
        settings: AbstractMapping[str, RawValue],
        analyzers: Analyzers,
        allows: Callable[[str], bool] | None = None,
        known: AbstractMapping[str, FieldType] | None = None,
    ) -> None:
        self._mappings = mappings
        self._settings = settings
        self._allows = allows
        self.slots = slots
        self.analyzers = analyzers
        self.dynamic: str = mappings.get("dynamic", "true")
        self.routing_required: bool = mappings.get("_routing", {}).get("required", False)
        self.is_of_data_stream: bool = mappings.get("_data_stream_timestamp", {}).get("enabled", False)
        source = mappings.get("_source", {})
        self.source_enabled: bool = source.get("enabled", True)
        self.source_includes: tuple[str, ...] = tuple(source.get("includes", ()))
        self.source_excludes: tuple[str, ...] = tuple(source.get("excludes", ()))
        self.rules = DynamicRules.of(mappings)
        properties = mappings.get("properties", {})
        self._fields: dict[str, FieldType] = {}
        aliases = {}
        for path, definition, source_path in merging.leaves(properties):
            if allows is not None and not allows(path):
                continue
            if definition["type"] == "alias":
                aliases[path] = definition["path"]
            else:
                self._fields[path] = (known or {}).get(path) or self._field_type(path, definition, source_path)
        self._flattened = [path for path, field in self._fields.items() if field.kind == "flattened"]
        self._names: dict[str, FieldType] = dict(self._fields)
        self._names.update({path: self._fields[target] for path, target in aliases.items() if target in self._fields})
        parents = {name[:place] for name in self._names for place, mark in enumerate(name) if mark == "."}
        self._objects = {
            path: definition.get("type", "object")
            for path, definition in merging.objects(properties)
            if allows is None or path in parents or allows(path)
        }

    @classmethod
    def from_metadata(
        cls, mappings: dict[str, Any], slots: AbstractMapping[str, Any], settings: AbstractMapping[str, RawValue]
    ) -> Mapping:
        return cls(mappings, Slots.from_metadata(slots), settings, Analyzers(settings))

    def field(self, path: str) -> FieldType | None:
        """The field of this full path, a multi-field (`name.keyword`), or the target of an alias."""
        found = self._names.get(path)
        if found is None and self._flattened:
            for parent in self._flattened:
                if path.startswith(f"{parent}.") and (self._allows is None or self._allows(path)):
                    return self._fields[parent].at_key(path[len(parent) + 1 :])
        return found

    def fields(self) -> Iterable[tuple[str, FieldType]]:
        """Every leaf by the paths it can be asked for: fields, multi-fields and aliases."""
        return self._names.items()

    def fields_matching(self, pattern: str) -> list[FieldType]:
        """The fields whose full path matches a pattern with `*`; a plain path gives that field or nothing."""
        if "*" not in pattern:
            found = self.field(pattern)
            return [] if found is None else [found]
        matched = {id(field): field for path, field in self._names.items() if matches_simple(pattern, path)}
        return list(matched.values())

    def fields_below(self, path: str) -> list[FieldType]:
        """The leaves below an object."""
        prefix = f"{path}."
        return [field for name, field in self._names.items() if name.startswith(prefix)]

    def is_object(self, path: str) -> bool:
        return path in self._objects

    def object_type(self, path: str) -> str | None:
        """`object`, `nested`, or None where the path is no object."""
        return self._objects.get(path)

    def objects(self) -> Iterable[tuple[str, str]]:
        return self._objects.items()

    def restricted(self, allows: Callable[[str], bool]) -> Mapping:
        """The same mapping without the fields that `allows` refuses."""
        previous = self._allows
        both = allows if previous is None else lambda path: previous(path) and allows(path)
        return Mapping(self._mappings, self.slots, self._settings, self.analyzers, both, self._fields)

    def to_json(self) -> dict[str, Any]:
        """As GET _mapping shows it; a restricted mapping shows no hidden field."""
        if self._allows is None:
            return self._mappings
        shown = dict(self._mappings)
        shown["properties"] = dict(self._visible(self._mappings.get("properties", {}), ""))
        return shown

    def merge(self, update: dict[str, Any], *, added: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
        """The mappings and slots with an update merged in. Raises MapperParsingError and IllegalArgumentError.

        `added` is the number of new fields when the update comes from a document.
        """
        try:
            checked = checked_root(update, self.analyzers)
        except (MapperParsingError, IllegalArgumentError) as error:
            inner = error.root_causes if isinstance(error, MapperParsingError) else ()
            raise MapperParsingError(
                f"Failed to parse mapping: {error.reason}", caused_by=error, root_causes=inner
            ) from error
        merged = merging.merge_root(self._mappings, checked)
        properties = merged.get("properties", {})
        merging.check_limits(properties, self._limits(), added)
        merging.check_aliases(properties)
        wanted = (
            (path, SLOTS_OF_KIND[KIND_OF_TYPE.get(definition["type"], "stored")])
            for path, definition, _ in merging.leaves(properties)
            if definition["type"] != "alias"
        )
        slots = self.slots.with_fields((path, kinds) for path, kinds in wanted if kinds)
        return merged, slots.to_metadata()

    def merged(self, update: dict[str, Any], *, added: int = 0) -> Mapping:
        """The mapping `merge` leads to."""
        mappings, slots = self.merge(update, added=added)
        return Mapping(mappings, Slots.from_metadata(slots), self._settings, self.analyzers, self._allows)

    def setting(self, name: str, default: bool) -> bool:
        """A boolean of `index.mapping.*`."""
        return str(self._settings.get(f"index.mapping.{name}", default)).lower() == "true"

    @property
    def total_fields_left(self) -> int:
        """How many fields may be added before the limit."""
        return self._limits()["total_fields"] - len(self._names) - len(self._objects)

    @property
    def depth_limit(self) -> int:
        return self._limits()["depth"]

    @property
    def nested_objects_limit(self) -> int:
        return int(str(self._settings.get("index.mapping.nested_objects.limit", 10_000)))

    def _limits(self) -> dict[str, int]:
        return {name: int(str(self._settings.get(key, default))) for name, (key, default) in _LIMITS.items()}

    def _visible(self, properties: AbstractMapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for name, definition in properties.items():
            path = prefix + name
            if merging.is_object(definition):
                if path in self._objects:
                    below = dict(self._visible(definition.get("properties", {}), f"{path}."))
                    yield name, {**definition, "properties": below} if below else {**definition, "type": "object"}
            elif path in self._names:
                fields = {
                    sub: item for sub, item in definition.get("fields", {}).items() if f"{path}.{sub}" in self._names
                }
                shown = {key: value for key, value in definition.items() if key != "fields"}
                yield name, {**shown, "fields": fields} if fields else shown

    def _field_type(self, path: str, definition: AbstractMapping[str, Any], source_path: str) -> FieldType:
        kind = KIND_OF_TYPE.get(definition["type"], "stored")
        given = self.slots.get(path, ())
        parts: dict[str, Any] = {
            "slot": given[0] if given else None,
            "order_slot": given[1] if len(given) > 1 else None,
        }
        if kind == "text":
            parts |= self._analyzers_of(definition)
        elif kind == "keyword" and definition.get("normalizer"):
            parts["normalizer"] = self.analyzers.normalizer(definition["normalizer"])
        elif kind == "date":
            pattern = definition.get("format", PARAMETERS[definition["type"]]["format"])
            parts["date_format"] = DateFormat.of(pattern)
        return FieldType(path, definition["type"], kind, definition, source_path=source_path, **parts)

    def _analyzers_of(self, definition: AbstractMapping[str, Any]) -> dict[str, Any]:
        names = {key: definition.get(key) for key in ("analyzer", "search_analyzer", "search_quote_analyzer")}
        get, default = self.analyzers.get, self.analyzers.default
        analyzer = get(names["analyzer"]) if names["analyzer"] not in (None, "default") else default()
        if names["search_analyzer"] not in (None, "default"):
            search = get(str(names["search_analyzer"]))
        else:
            search = analyzer if names["analyzer"] else default(search=True)
        quote = get(names["search_quote_analyzer"]) if names["search_quote_analyzer"] else search
        return {"analyzer": analyzer, "search_analyzer": search, "search_quote_analyzer": quote}
