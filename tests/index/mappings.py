"""Making mappings for the tests of this room."""

from __future__ import annotations

from typing import Any

from hanse.index.mapping import DocumentMapper, MappedDocument, Mapping


def mapping_of(properties: dict[str, Any], settings: dict[str, Any] | None = None, **root: Any) -> Mapping:
    """A mapping as an index would have it after being made with these properties."""
    empty = Mapping.from_metadata({}, {}, settings or {})
    mappings, slots = empty.merge({"properties": properties, **root})
    return Mapping.from_metadata(mappings, slots, settings or {})


def mapped(properties: dict[str, Any], source: str, **root: Any) -> MappedDocument:
    return DocumentMapper(mapping_of(properties, **root)).map(source.encode(), "1")


def by_field(mapping: Mapping, document: MappedDocument) -> dict[str, Any]:
    """The values of a mapped document by the paths of their fields."""
    return {path: document.values[str(f.slot)] for path, f in mapping.fields() if f.slot in document.values}
