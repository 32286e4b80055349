"""Concurrent clients that write and read a few dozen documents through all nodes in turn and record what they are told.

Each document of an index is contended for by all clients. Nothing is ever sent twice: a client that repeats a write by
itself would turn one write into two. Values are drawn from one counter, so none is written twice.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import ssl
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from typing import Any

import aiohttp
from msgspec import structs

from hanse.cli.local_cluster import LocalNode
from tests.faults.history import Event, Kind, Outcome

ANSWER_S = 12.0
"""How long a client waits for an answer before it calls the outcome unknown."""
WRITE_TIMEOUT = "5s"
BULK_ITEMS = 8
OPERATIONS = ("index", "create", "compare", "delete", "get", "bulk", "search")
WEIGHTS = (20, 8, 20, 8, 30, 8, 6)
# Said before anything was done, so the write never takes effect; everything else that is no success is unknown.
REFUSALS = range(400, 500)
_NUMBERS = {"seq_no": "seq_no", "term": "primary_term", "version": "version"}
_SEARCH = {"size": 100, "seq_no_primary_term": True, "version": True}


class Clients:
    """`events` is the history, ids as `index/id`. `acknowledged` counts writes by node; the nemesis waits for more."""

    def __init__(self, nodes: Sequence[LocalNode], indices: Sequence[str], ids: int, seed: int) -> None:
        self.events: list[Event] = []
        self.acknowledged = Counter[str]()
        self.statuses: Counter[str] = Counter()
        self._urls = {node.node_name: node.url for node in nodes}
        login = b64encode(f"elastic:{nodes[0].password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {login}"}
        self._tls = ssl.create_default_context(cafile=str(nodes[0].ca_file))
        self._documents = [(index, str(at)) for index in indices for at in range(ids)]
        self._values = itertools.count(1)
        self._known: dict[str, tuple[int, int]] = {}
        self._seed = seed
        self._is_stopping = False

    async def run(self, clients: int) -> None:
        """Until `stop`."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0)
        async with aiohttp.ClientSession(headers=self._headers, timeout=timeout, connector=connector) as session:
            # aiohttp sends a request again when a kept connection turns out to be closed; see above.
            session._retry_connection = False
            await asyncio.gather(*(_Client(self, session, at).run() for at in range(clients)))

    def stop(self) -> None:
        self._is_stopping = True

    def record(self, event: Event) -> None:
        self.events.append(event)
        if event.note:
            self.statuses[event.note] += 1
        if event.outcome is Outcome.OK and event.seq_no is not None and event.term is not None:
            self._known[event.id] = (event.seq_no, event.term)
            self.acknowledged[event.node] += event.is_write


class _Client:
    def __init__(self, clients: Clients, session: aiohttp.ClientSession, number: int) -> None:
        self._all = clients
        self._session = session
        self._chance = random.Random(f"{clients._seed} {number}")
        names = sorted(clients._urls)
        # Most clients have one node that they ask, or all would soon wait for one that sleeps; every third roves.
        self._nodes = itertools.cycle(names if number % 3 == 0 else [names[number // 3 % len(names)]])

    async def run(self) -> None:
        while not self._all._is_stopping:
            operation = self._chance.choices(OPERATIONS, WEIGHTS)[0]
            try:
                await getattr(self, f"_{operation}")(next(self._nodes))
            except aiohttp.ClientConnectorError:
                # Never sent, so it is no part of the history.
                await asyncio.sleep(0.05)

    def _document(self) -> tuple[str, str]:
        return self._chance.choice(self._all._documents)

    async def _index(self, node: str) -> None:
        index, id = self._document()
        await self._write(node, Kind.INDEX, f"{index}/{id}", f"/{index}/_doc/{id}?timeout={WRITE_TIMEOUT}")

    async def _create(self, node: str) -> None:
        index, id = self._document()
        await self._write(node, Kind.CREATE, f"{index}/{id}", f"/{index}/_create/{id}?timeout={WRITE_TIMEOUT}")

    async def _compare(self, node: str) -> None:
        index, id = self._document()
        expected = self._all._known.get(f"{index}/{id}")
        if expected is None:
            return
        path = f"/{index}/_doc/{id}?timeout={WRITE_TIMEOUT}&if_seq_no={expected[0]}&if_primary_term={expected[1]}"
        kind = self._chance.choice((Kind.INDEX, Kind.INDEX, Kind.DELETE))
        await self._write(node, kind, f"{index}/{id}", path, expected)

    async def _delete(self, node: str) -> None:
        index, id = self._document()
        await self._write(node, Kind.DELETE, f"{index}/{id}", f"/{index}/_doc/{id}?timeout={WRITE_TIMEOUT}")

    async def _write(self, node: str, kind: Kind, id: str, path: str, expected: tuple[int, int] | None = None) -> None:
        value = None if kind is Kind.DELETE else next(self._all._values)
        method = "DELETE" if kind is Kind.DELETE else "POST"
        invoked = time.monotonic()
        status, answer = await self._ask(node, method, path, None if value is None else {"n": value})
        self._record_write(kind, id, node, invoked, value, expected, status, answer)

    def _record_write(
        self,
        kind: Kind,
        id: str,
        node: str,
        invoked: float,
        value: int | None,
        expected: tuple[int, int] | None,
        status: int,
        answer: Any,
    ) -> None:
        # A delete that found nothing is a write all the same, and says so by its seq_no.
        done = isinstance(answer, dict) and "_seq_no" in answer
        outcome = Outcome.OK if done else Outcome.REFUSED if status in REFUSALS else Outcome.UNKNOWN
        numbers = {name: answer[f"_{key}"] for name, key in _NUMBERS.items()} if done else {}
        self._all.record(
            Event(
                kind=kind,
                id=id,
                invoked=invoked,
                completed=time.monotonic(),
                outcome=outcome,
                node=node,
                value=value,
                expected=expected,
                note=_note(status, answer),
                **numbers,
            )
        )

    async def _bulk(self, node: str) -> None:
        sent: list[tuple[Kind, str, int | None]] = []
        lines = []
        for _ in range(BULK_ITEMS):
            index, id = self._document()
            kind = self._chance.choice((Kind.INDEX, Kind.INDEX, Kind.CREATE, Kind.DELETE))
            value = None if kind is Kind.DELETE else next(self._all._values)
            sent.append((kind, f"{index}/{id}", value))
            lines.append(json.dumps({kind.value: {"_index": index, "_id": id}}))
            if value is not None:
                lines.append(json.dumps({"n": value}))
        invoked = time.monotonic()
        body = ("\n".join(lines) + "\n").encode()
        status, answer = await self._ask(node, "POST", f"/_bulk?timeout={WRITE_TIMEOUT}", body)
        items = answer["items"] if status == 200 else [{"": answer}] * len(sent)
        for (kind, id, value), item in zip(sent, items, strict=True):
            (result,) = item.values()
            itself = result.get("status", status) if isinstance(result, dict) else status
            self._record_write(kind, id, node, invoked, value, None, itself, result)

    async def _get(self, node: str) -> None:
        index, id = self._document()
        invoked = time.monotonic()
        status, answer = await self._ask(node, "GET", f"/{index}/_doc/{id}")
        event = Event(Kind.GET, f"{index}/{id}", invoked, time.monotonic(), Outcome.UNKNOWN, node)
        event = structs.replace(event, note=_note(status, answer))
        if status == 200:
            event = structs.replace(event, outcome=Outcome.OK, **_seen(answer))
        elif status == 404 and isinstance(answer, dict) and answer.get("found") is False:
            event = structs.replace(event, outcome=Outcome.OK)
        self._all.record(event)

    async def _search(self, node: str) -> None:
        index, _ = self._document()
        invoked = time.monotonic()
        status, answer = await self._ask(node, "POST", f"/{index}/_search", _SEARCH)
        completed = time.monotonic()
        self._all.statuses[f"search {_note(status, answer) or 'ok'}"] += 1
        for hit in answer["hits"]["hits"] if status == 200 else ():
            id = f"{index}/{hit['_id']}"
            self._all.events.append(Event(Kind.HIT, id, invoked, completed, Outcome.OK, node, **_seen(hit)))

    async def _ask(self, node: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and decoded body; status 0 when no answer came. Raises ClientConnectorError: nothing was sent."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        kind = "application/x-ndjson" if isinstance(body, bytes) else "application/json"
        headers = {} if data is None else {"Content-Type": kind}
        try:
            async with self._session.request(method, self._all._urls[node] + path, data=data, headers=headers) as got:
                text = await got.text()
                return got.status, json.loads(text) if text else None
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return 0, type(error).__name__


def _seen(document: dict[str, Any]) -> dict[str, Any]:
    return {"value": document["_source"]["n"], **{name: document[f"_{key}"] for name, key in _NUMBERS.items()}}


def _note(status: int, answer: Any) -> str:
    """Empty for a success; else the status and Elasticsearch's type, or the client's own error."""
    if not isinstance(answer, dict):
        return f"{status} {answer}"
    error = answer.get("error")
    if error is None:
        return ""
    return f"{status} {error['type'] if isinstance(error, dict) else error}"
