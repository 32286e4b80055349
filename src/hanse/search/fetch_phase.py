"""The fetch phase: the final hits of a shard as JSON, each rendered once.

Without source filtering `_source` is spliced in as the bytes that were indexed; nothing after this parses a hit again.
Tests: tests/search/test_fetch_phase.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import orjson
import tantivy

from hanse.index.mapping import DocumentMapper
from hanse.index.shard import ShardReader, StoredDocument
from hanse.search import engine
from hanse.search.aggregation import TopHits
from hanse.search.body import SearchBody, parse_request
from hanse.search.document_fields import docvalue_fields, requested_fields, stored_fields
from hanse.search.field_selection import SourceFilter, filter_source, restrict_source
from hanse.search.float_text import score_json
from hanse.search.highlight import Highlighter
from hanse.search.plan import Plan
from hanse.search.query.context import MUST, Part, unscored
from hanse.search.query_phase import comparable
from hanse.search.request import Hit, SearchRequest
from hanse.search.sort import SortKey
from hanse.search.sort_keys import bind
from hanse.search.top_hits import Found, ShardSearch

_NO_FIELDS = ("_none_",)


class Place(msgspec.Struct):
    """Where hits come from, as the answer names it."""

    index: str
    shard: int
    cluster: str = ""

    @property
    def name(self) -> str:
        return f"{self.cluster}:{self.index}" if self.cluster else self.index


def fetch(
    reader: ShardReader,
    body: SearchBody,
    plan: Plan,
    place: Place,
    found: Sequence[Found],
    collapsed: Sequence[Any] = (),
) -> list[Hit]:
    """The hits in the order given."""
    if not found:
        return []
    documents = reader.fetch([hit.seq_no for hit in found])
    if _is_plain(body, plan) and not engine.has_terms(reader.searcher, "_ignored"):
        return _plain_hits(body, place, found, documents)
    return _Renderer(reader, body, plan, place, found, collapsed).render(documents)


def _is_plain(body: SearchBody, plan: Plan) -> bool:
    """Only `_index`, `_id`, `_score` and the whole `_source` are asked for."""
    return not plan.keys and body.is_plain and not plan.named and plan.allows is None and plan.mapping.source_enabled


def _plain_hits(
    body: SearchBody, place: Place, found: Sequence[Found], documents: Sequence[StoredDocument]
) -> list[Hit]:
    head = b'{"_index":' + orjson.dumps(place.name) + b',"_id":'
    index, shard, cluster = place.index, place.shard, place.cluster
    hits = []
    dumps = orjson.dumps
    for rank, (hit, document) in enumerate(zip(found, documents, strict=True)):
        score = hit.score
        shown = b"null" if score is None else score_json(score)
        routing = b"" if document.routing is None else b',"_routing":' + dumps(document.routing)
        parts = (head, dumps(document.id), b',"_score":', shown, routing, b',"_source":', document.source, b"}")
        json = b"".join(parts)
        hits.append(Hit(json, score, (), index, shard, rank, cluster))
    return hits


class _Renderer:
    """Renders hits with everything a body can ask for; what is the same for all hits is looked up once."""

    def __init__(
        self,
        reader: ShardReader,
        body: SearchBody,
        plan: Plan,
        place: Place,
        found: Sequence[Found],
        collapsed: Sequence[Any],
    ) -> None:
        self._body = body
        self._plan = plan
        self._place = place
        self._found = found
        self._collapsed = collapsed
        self._searcher = reader.searcher
        search = ShardSearch(reader, plan.hits)
        self._names = {name: search.matching(query, found) for name, query in plan.named.items()}
        self._highlighter = None if body.highlight is None else Highlighter(body.highlight, plan)
        self._source = _effective_source(body, plan)
        self._mapper = DocumentMapper(reader.mapping) if engine.has_terms(reader.searcher, "_ignored") else None
        self._needs_parsed = bool(
            body.fields
            or body.docvalue_fields
            or (body.stored_fields and body.stored_fields != _NO_FIELDS)
            or self._highlighter is not None
            or not (self._source.is_whole and plan.allows is None)
        )

    def render(self, documents: Sequence[StoredDocument]) -> list[Hit]:
        hits = []
        for rank, (hit, document) in enumerate(zip(self._found, documents, strict=True)):
            json = b"{" + b",".join(self._members(rank, hit, document)) + b"}"
            place = self._place
            collapse = self._collapsed[rank] if rank < len(self._collapsed) else None
            values = comparable(self._plan, hit.values)
            hits.append(Hit(json, hit.score, values, place.index, place.shard, rank, place.cluster, collapse))
        return hits

    def _members(self, rank: int, hit: Found, document: StoredDocument) -> list[bytes]:
        body = self._body
        members = []
        if body.explain:
            members += [_member("_shard", f"[{self._place.name}][{self._place.shard}]"), _member("_node", "_local")]
        members.append(_member("_index", self._place.name))
        if body.stored_fields != _NO_FIELDS:
            members.append(_member("_id", document.id))
        if body.version:
            members.append(_member("_version", document.version))
        if body.seq_no_primary_term:
            members += [_member("_seq_no", document.seq_no), _member("_primary_term", document.primary_term)]
        members.append(b'"_score":' + (b"null" if hit.score is None else score_json(hit.score)))
        if document.routing is not None and body.stored_fields != _NO_FIELDS:
            members.append(_member("_routing", document.routing))
        members += self._ignored_member(document)
        source = orjson.loads(document.source) if self._needs_parsed and document.source else {}
        if self._plan.allows is not None and source:
            source = restrict_source(source, self._plan.allows)
        members += self._source_member(document, source)
        members += self._field_members(rank, source)
        shown = len(hit.values) - body.hidden_keys
        if shown > 0:
            pairs = list(zip(self._plan.keys, hit.values, strict=True))[:shown]
            members.append(b'"sort":[' + b",".join(_sort_value(key, key.shown(value)) for key, value in pairs) + b"]")
        members += self._matched_queries(hit)
        if body.explain:
            members.append(_member("_explanation", self._explanation(hit)))
        return members

    def _ignored_member(self, document: StoredDocument) -> list[bytes]:
        """Fields whose values were left out of the index, which only mapping the document again can tell."""
        if self._mapper is None or self._body.stored_fields == _NO_FIELDS:
            return []
        ignored = self._mapper.map(document.source, document.id).ignored
        if self._plan.allows is not None:
            ignored = tuple(path for path in ignored if self._plan.allows(path))
        return [_member("_ignored", sorted(ignored))] if ignored else []

    def _source_member(self, document: StoredDocument, source: dict[str, Any]) -> list[bytes]:
        if not self._source.enabled or not self._plan.mapping.source_enabled:
            return []
        if self._source.is_whole and self._plan.allows is None:
            return [b'"_source":' + document.source]
        if not self._source.is_whole:
            source = filter_source(source, self._source)
        return [_member("_source", source)]

    def _field_members(self, rank: int, source: dict[str, Any]) -> list[bytes]:
        body, mapping = self._body, self._plan.mapping
        fields: dict[str, Any] = {}
        if body.docvalue_fields:
            fields |= docvalue_fields(body.docvalue_fields, mapping, source)
        if body.stored_fields:
            fields |= stored_fields(body.stored_fields, mapping, source)
        if body.fields:
            fields |= requested_fields(body.fields, mapping, source, self._place.index)
        if body.collapse is not None and rank < len(self._collapsed):
            fields[body.collapse["field"]] = [self._collapsed[rank]]
        members = [_member("fields", fields)] if fields else []
        if self._highlighter is not None:
            highlighted = self._highlighter.highlight(source)
            if highlighted:
                members.append(_member("highlight", highlighted))
        return members

    def _matched_queries(self, hit: Found) -> list[bytes]:
        if not self._names:
            return []
        place = (hit.address.segment_ord, hit.address.doc)
        scores = {name: rows[place] for name, rows in self._names.items() if place in rows}
        if not scores:
            return []
        return [_member("matched_queries", scores if self._body.named_query_scores else list(scores))]

    def _explanation(self, hit: Found) -> Any:
        own = explanation(self._plan.hits.query, self._searcher, hit.address)
        if not self._body.rescore or hit.score is None:
            return own
        return {"value": hit.score, "description": "sum of first and second pass", "details": [own]}


def explanation(query: tantivy.Query, searcher: tantivy.Searcher, address: tantivy.DocAddress) -> dict[str, Any]:
    """How a score came about, in the engine's words."""
    return _explained(orjson.loads(query.explain(searcher, address).to_json()))


def _explained(node: dict[str, Any]) -> dict[str, Any]:
    details = [_explained(detail) for detail in node.get("details") or []]
    description = node.get("description", "")
    if node.get("context"):
        description += " [" + "; ".join(str(item) for item in node["context"]) + "]"
    return {"value": node.get("value", 0.0), "description": description, "details": details}


def _member(name: str, value: Any) -> bytes:
    return b'"' + name.encode() + b'":' + orjson.dumps(value)


def _sort_value(key: Any, value: Any) -> bytes:
    return score_json(value) if key.kind == "score" and value is not None else orjson.dumps(value)


def _effective_source(body: SearchBody, plan: Plan) -> SourceFilter:
    """What of `_source` is shown: asking for stored fields turns it off unless it is asked for too."""
    chosen = body.source
    if chosen is None:
        stored = body.stored_fields
        chosen = SourceFilter(enabled=stored is None or "_source" in stored)
    mapping = plan.mapping
    if mapping.source_includes or mapping.source_excludes:
        return chosen
    return chosen


def bucket_hits(reader: ShardReader, plan: Plan, query: tantivy.Query, settings: dict[str, Any]) -> TopHits:
    """`top_hits`: the best documents of a bucket, rendered like hits of a search of their own."""
    body = parse_request(SearchRequest(body=orjson.dumps(settings)))
    if "size" not in settings:
        body.size = 3
    keys = tuple(bind(plan.context, key) for key in body.sort or _score_order())
    limit = body.from_ + body.size
    part = Part(tantivy.Query.boolean_query([(MUST, query), (MUST, unscored(plan.visible))]))
    search = ShardSearch(reader, part)
    total = search.count()
    found = search.by_keys(keys, max(1, limit))
    if any(key.kind == "score" for key in keys):
        search.scores(found)
    best = search.by_score(1, counted=False).hits if not body.sort else []
    order = keys if body.sort else ()
    inner = Plan(plan.asked, part, part, plan.visible, order, None, plan.mapping, plan.context, plan.allows)
    place = Place(plan.context.index, reader.shard.number, plan.context.cluster_alias)
    keyed = [list(comparable_values(keys, hit)) for hit in found[:limit]]
    if not body.sort:
        for hit in found:
            hit.values = ()
    hits = fetch(reader, body, inner, place, found[:limit])
    return TopHits(
        total=total,
        relation="eq",
        max_score=best[0].score if best else None,
        hits=[(values, hit.json) for values, hit in zip(keyed, hits, strict=True)],
    )


def comparable_values(keys: Sequence[Any], hit: Found) -> list[Any]:
    return [key.replacement if value is None else value for key, value in zip(keys, hit.values, strict=True)]


def _score_order() -> tuple[SortKey, ...]:
    return (SortKey("_score", descending=True),)
