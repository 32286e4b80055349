"""What a caller may see of one document: document- and field-level security for reads by id.

The rules are judged on the search index, as in a search; a document newer than the index is made searchable first.
Satisfies the DocumentView of index/document_actions.py. Tests: tests/search/test_document_view.py, tests/journeys/.
"""

from __future__ import annotations

import orjson
import tantivy

from hanse import clock
from hanse.index.records import StoredDocument
from hanse.index.service import IndexService
from hanse.index.shard import Shard, ShardReader
from hanse.search.engine import count
from hanse.search.field_selection import restrict_source
from hanse.search.plan import Shape, allowed_fields, restrictions
from hanse.search.query.context import QueryContext, all_of
from hanse.transport.actions import Target


class SecuredDocumentView:
    async def visible(self, service: IndexService, shard: Shard, target: Target, found: StoredDocument) -> bytes | None:
        """The source as the caller may see it; None when the document is hidden."""
        if target.access.documents:
            if shard.needs_refresh:
                await shard.refresh()
            with shard.reader() as reader:
                if not _matches(service, reader, target, found):
                    return None
        allows = allowed_fields(target)
        if allows is None:
            return found.source
        return orjson.dumps(restrict_source(orjson.loads(found.source), allows))


def _matches(service: IndexService, reader: ShardReader, target: Target, found: StoredDocument) -> bool:
    """Alias filters play no part in reads by id, as in Elasticsearch."""
    rules = Target(target.index, target.access)
    shape = Shape(target.index, reader.mapping, reader.schema, service.metadata.settings, rules)
    now_ms = clock.now_ms()
    context = QueryContext(target.index, reader.mapping, reader.schema, now_ms)
    this_version = tantivy.Query.term_query(reader.schema, "_seq_no", found.seq_no)
    return count(reader.searcher, all_of([this_version, *restrictions(shape, reader.searcher, now_ms, context)])) > 0
