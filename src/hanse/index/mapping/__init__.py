"""Mappings: the fields of an index, and the way from a document's JSON to what the search index holds."""

from hanse.index.mapping.dates import DateFormat
from hanse.index.mapping.document import DocumentMapper, MappedDocument
from hanse.index.mapping.field_type import FieldType
from hanse.index.mapping.mapping import Mapping

__all__ = ["DateFormat", "DocumentMapper", "FieldType", "MappedDocument", "Mapping"]
