"""Documents mapped per second on one thread: `python bench/mapping.py`.

Flat documents of about 500 bytes with eight fields, then the parts: parse, the standard analyzer's preparation, the
duplicate-key check, and the engine's own tokenizing of the prepared text (which happens in its writer's threads).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson

from hanse.index.analysis import Analyzers
from hanse.index.mapping import DocumentMapper, Mapping
from hanse.index.mapping.source import check_duplicates
from hanse.index.routing import shard_for
from hanse.index.slots import schema

DOCUMENTS = 20_000
TEXT = "the ship left Lübeck at dawn with salt and cloth bound for Novgorod while merchants counted silver"
WORDS = TEXT.split()
PROPERTIES = {
    "@timestamp": {"type": "date"},
    "level": {"type": "keyword"},
    "host": {"type": "keyword"},
    "client": {"type": "ip"},
    "status": {"type": "integer"},
    "took": {"type": "double"},
    "ok": {"type": "boolean"},
    "message": {"type": "text"},
}


def document(number: int, ascii_only: bool) -> bytes:
    words = [WORDS[(number * 7 + i * 3) % len(WORDS)] for i in range(55)]
    message = " ".join(words) + ", it's 3.5 days."
    return orjson.dumps(
        {
            "@timestamp": f"2024-05-{number % 28 + 1:02d}T07:08:09.{number % 1000:03d}Z",
            "level": "info",
            "host": f"node-{number % 50}.example.org",
            "client": f"10.0.{number % 250}.{number % 99}",
            "status": 200 + number % 5,
            "took": number / 7,
            "ok": True,
            "message": message.replace("ü", "u") if ascii_only else message,
        }
    )


def measure(name: str, act: Callable[[Any], Any], items: list[Any]) -> None:
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        for item in items:
            act(item)
        best = min(best, time.perf_counter() - start)
    each = best / len(items) * 1e6
    print(f"{name:<44} {1e6 / each:>10,.0f}/s  {each:6.2f} us")


def main() -> None:
    empty = Mapping.from_metadata({}, {}, {})
    mappings, slots = empty.merge({"properties": PROPERTIES})
    mapper = DocumentMapper(Mapping.from_metadata(mappings, slots, {}))
    plain = [document(i, True) for i in range(DOCUMENTS)]
    mixed = [document(i, False) for i in range(DOCUMENTS)]
    print(f"{DOCUMENTS} documents of {sum(map(len, plain)) // DOCUMENTS} bytes, {len(PROPERTIES)} fields")
    measure("map, ASCII text", mapper.map, plain)
    measure("map, text with a few other characters", mapper.map, mixed)
    fixed = schema(1)
    mapped = [mapper.map(source) for source in plain]
    measure("make the engine's document", lambda item: item.document(fixed, _id="1", _seq_no=1), mapped)
    measure("  orjson.loads alone", orjson.loads, plain)
    measure("  check for duplicate keys", lambda source: check_duplicates(source, len(PROPERTIES)), plain)
    messages = [orjson.loads(source)["message"] for source in plain]
    standard = Analyzers({}).get("standard")
    measure("  prepare text (standard)", standard.prepare, messages)
    prepared = [standard.prepare(message) for message in messages]
    measure("  the engine splits the prepared text", standard.native.analyze, prepared)
    ids = [f"AVp3tZKeZ0kL2h7x{i:06d}" for i in range(DOCUMENTS)]
    measure("  shard of an id (5 shards)", lambda text: shard_for(text, 5, 640), ids)


if __name__ == "__main__":
    main()
