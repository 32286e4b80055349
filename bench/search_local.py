"""What a simple search costs in the search room: term query, top 10 of 100,000 documents, on one shard.

    .venv/bin/python bench/search_local.py [documents]

Prints microseconds per request for the whole of `Distribution.search` plus `render`, and for its parts. No HTTP, no
gate; all shards serve here, so that it is `search_local` and a look whether they do.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.index.shards import node
from tests.search.searching import Library

from hanse.index.writing import WriteOp
from hanse.search import engine
from hanse.search.body import parse_request
from hanse.search.distribute import Distribution
from hanse.search.merge import render
from hanse.search.plan import plan_for
from hanse.search.query_phase import run_query
from hanse.search.request import SearchRequest
from hanse.search.views import OpenViews

MAPPINGS = {"properties": {"title": {"type": "text"}, "tag": {"type": "keyword"}, "n": {"type": "long"}}}
WORDS = [f"word{number}" for number in range(2000)]
ROUNDS = 2000


async def timed(name: str, work: Callable[[], Awaitable[object] | object], rounds: int = ROUNDS) -> None:
    for _ in range(50):
        outcome = work()
        if isinstance(outcome, Awaitable):
            await outcome
    started = time.perf_counter()
    for _ in range(rounds):
        outcome = work()
        if isinstance(outcome, Awaitable):
            await outcome
    print(f"{name:58} {(time.perf_counter() - started) / rounds * 1e6:8.1f} us")


async def fill(library: Library, documents: int) -> None:
    await library.node.create("books", MAPPINGS)
    shard = library.indices.get("books").shards[0]
    for start in range(0, documents, 5000):
        ops = []
        for number in range(start, min(documents, start + 5000)):
            text = " ".join(WORDS[(number * 7 + step * 131) % len(WORDS)] for step in range(60))
            source = {"title": text, "tag": f"tag{number % 700}", "n": number}
            ops.append(WriteOp("index", str(number), orjson.dumps(source)))
        await shard.write(ops)
    await shard.refresh()


async def main() -> None:
    documents = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        async with node(Path(folder)) as here:
            library = Library(here)
            await fill(library, documents)
            await measure(library)


async def measure(library: Library) -> None:
    call = library.call(["books"])
    distribution = Distribution(library.reach)

    def one(body: object) -> Callable[[], Awaitable[object]]:
        raw = orjson.dumps(body)

        async def run() -> bytes:
            request = SearchRequest(indices=("books",), body=raw)
            return render(await distribution.search(call, request), request)

        return run

    raw = orjson.dumps({"query": {"term": {"tag": "tag5"}}})
    request = SearchRequest(indices=("books",), body=raw)
    body = parse_request(request)
    with OpenViews(library.indices, call.targets) as (views, _):
        view = views[0]
        searcher = view.reader.searcher
        plan = plan_for(body, view.shape(""), searcher, 0)
        print(f"{searcher.num_docs} documents in {searcher.num_segments} segments")
        hits = run_query(view.reader, body, plan, 10).hits
        numbers = [hit.seq_no for hit in hits]
        await timed("  engine alone: one search, top 10", lambda: engine.best(searcher, plan.hits.query, 10))
        await timed("  store alone: ten documents by seq_no", lambda: view.reader.fetch(numbers))
        await timed("  query phase", lambda: run_query(view.reader, body, plan, 10))
        await timed("  parse (cached)", lambda: parse_request(SearchRequest(indices=("books",), body=raw)))
        await timed("  plan (cached)", lambda: plan_for(body, view.shape(""), searcher, 0))
    await timed("term on a keyword, top 10", one({"query": {"term": {"tag": "tag5"}}}))
    await timed("match of one word in text, top 10", one({"query": {"match": {"title": "word5"}}}))
    await timed("match of two words in text, top 10", one({"query": {"match": {"title": "word5 word77"}}}))
    await timed("match, sorted by a number", one({"query": {"match": {"title": "word5"}}, "sort": [{"n": "desc"}]}))
    await timed("match, sorted by two keys", one({"query": {"match": {"title": "word5"}}, "sort": ["tag", "n"]}), 300)
    await timed("match_all", one({}), 300)
    await timed("range on a number", one({"query": {"range": {"n": {"gte": 500, "lt": 900}}}}), 300)
    await timed("term, only a part of _source", one({"query": {"term": {"tag": "tag5"}}, "_source": ["n"]}))


asyncio.run(main())
