"""`_source`, `_source_includes` and `_source_excludes` of requests that show one document.

Tests: tests/rest/test_documents.py.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hanse.rest.request import RestRequest
from hanse.search.field_selection import SourceFilter, filter_source, parse_source

WHOLE = SourceFilter()
NOTHING = SourceFilter(enabled=False)


def source_parameters(request: RestRequest) -> SourceFilter | None:
    """What the URI asks for; None when it says nothing of the source."""
    text = request.text("_source")
    includes = request.list("_source_includes") + request.list("_source_include")
    excludes = request.list("_source_excludes") + request.list("_source_exclude")
    if text is None and not includes and not excludes:
        return None
    if text in ("true", "false", ""):
        return SourceFilter(text != "false", tuple(includes), tuple(excludes))
    named = [part for part in (text or "").split(",") if part]
    return SourceFilter(True, (*named, *includes), tuple(excludes))


def source_member(value: Any) -> SourceFilter | None:
    """What a body's `_source` asks for."""
    return None if value is None else parse_source(value)


def chosen(source: bytes, wanted: SourceFilter) -> bytes:
    """The document's bytes as they are, or what the filter leaves of it."""
    if wanted.is_whole:
        return source
    return msgspec.json.encode(filter_source(msgspec.json.decode(source), wanted))
