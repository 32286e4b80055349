"""Requests and results cross a border unchanged."""

from __future__ import annotations

import msgspec

from hanse.search.request import FIELD_CAPS, SEARCH, FieldCapability, FieldCapsResult, Hit, SearchRequest, SearchResult
from hanse.transport.actions import IndicesOptions


def test_a_search_survives_the_wire() -> None:
    request = SearchRequest(("a*",), IndicesOptions(expand_hidden=True), b'{"size":1}', track_total_hits=False, size=3)
    carried = msgspec.msgpack.decode(msgspec.msgpack.encode(request), type=SEARCH.request)
    assert carried == request
    assert hash(carried) == hash(request)


def test_a_result_survives_the_wire() -> None:
    hit = Hit(b'{"_id":"1"}', 1.5, (None, "x", 2**62, -0.5), "i", 2, 3, "c", "group")
    result = SearchResult(
        total=None, hits=[hit], aggregations={"a": [1, {"b": None}]}, max_score=1.5, sort_kinds=("long",)
    )
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(result), type=SEARCH.response) == result
    caps = FieldCapsResult(indices={"i": {"f": FieldCapability("long", True, True)}})
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(caps), type=FIELD_CAPS.response) == caps
