"""Documents of about 500 bytes with eight fields, always the same for the same number."""

from __future__ import annotations

import random

import orjson

WORDS = [f"word{number}" for number in range(3000)]


def document(number: int) -> bytes:
    source = random.Random(number)
    return orjson.dumps(
        {
            "title": " ".join(source.choices(WORDS, k=6)),
            "text": " ".join(source.choices(WORDS, k=36)),
            "user": f"user{source.randrange(1000)}",
            "country": f"c{source.randrange(50)}",
            "status": source.randrange(600),
            "price": round(source.random() * 100, 2),
            "at": 1_700_000_000_000 + number * 1000,
            "ok": source.random() < 0.5,
        }
    )


def bulk_bodies(count: int, size: int, index: str) -> list[bytes]:
    """`count` documents in bulk bodies of `size`, ids made by the server."""
    line = b'{"index":{"_index":"%s"}}\n' % index.encode()
    return [
        b"".join(line + document(n) + b"\n" for n in range(first, min(count, first + size)))
        for first in range(0, count, size)
    ]


MAPPING = {
    "settings": {"number_of_replicas": 0, "number_of_shards": 1},
    "mappings": {
        "properties": {
            "title": {"type": "text"},
            "text": {"type": "text"},
            "user": {"type": "keyword"},
            "country": {"type": "keyword"},
            "status": {"type": "integer"},
            "price": {"type": "double"},
            "at": {"type": "date"},
            "ok": {"type": "boolean"},
        }
    },
}
