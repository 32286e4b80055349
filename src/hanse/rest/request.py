"""What a handler gets and gives: an HTTP request with its parameters read by type, and an answer not yet rendered.

Handlers read every parameter they know before they run an action: at the first `run` whatever nobody read is refused
as unrecognized, as in Elasticsearch. Tests: tests/rest/test_request.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
import orjson

from hanse.errors import IllegalArgumentError, InvalidIndexNameError
from hanse.rest.json_body import BodyRequiredError, parse_object
from hanse.rest.media_types import TEXT
from hanse.rest.unrecognized import refuse_unrecognized
from hanse.search.parameters import expand_wildcards, int_parameter, long_parameter
from hanse.security.requests import Answer
from hanse.settings.registry import Settings
from hanse.settings.units import parse_time_s
from hanse.transport.actions import Action, IndicesOptions

Q = TypeVar("Q")
R = TypeVar("R")
Strings = list[str]
Headers = Mapping[str, str | Strings]
"""Of an answer; a list is a header that is repeated."""
Run = Callable[[Action[Any, Any], Any], Awaitable[Any]]

EVERYWHERE = frozenset({"pretty", "human", "filter_path", "error_trace", "format", "source", "source_content_type"})
"""Parameters that every API accepts; rest/content.py acts on those that change the answer."""
_INDICES_OPTIONS = ("ignore_unavailable", "allow_no_indices", "expand_wildcards", "ignore_throttled")
_NO_SETTINGS = Settings()


class RestResponse:
    """An answer: `body` as JSON (default) or as text, or an object that is rendered on the way out."""

    __slots__ = ("body", "content_type", "headers", "status", "value")

    def __init__(
        self,
        body: bytes | None = None,
        status: int = 200,
        *,
        value: Any = None,
        content_type: str = "",
        headers: Headers | None = None,
    ) -> None:
        self.body = body
        self.status = status
        self.value = value
        self.content_type = content_type
        self.headers = headers

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: Headers | None = None) -> RestResponse:
        """A JSON-able value; `orjson.Fragment` inside it splices rendered bytes."""
        return cls(None, status, value=value, headers=headers)

    @classmethod
    def answered(cls, answer: Answer) -> RestResponse:
        """What a handler of the security room made: body and status."""
        return cls.json(answer.body, status=answer.status)

    @classmethod
    def raw(cls, body: bytes, status: int = 200, headers: Headers | None = None) -> RestResponse:
        """JSON that is rendered already."""
        return cls(body, status, headers=headers)

    @classmethod
    def text(cls, text: str, status: int = 200) -> RestResponse:
        return cls(text.encode(), status, content_type=TEXT)

    @classmethod
    def empty(cls, status: int = 200, headers: Headers | None = None) -> RestResponse:
        """No body; for HEAD."""
        return cls(b"", status, content_type=TEXT, headers=headers)

    def rendered(self) -> bytes:
        if self.body is None:
            self.body = orjson.dumps(self.value, option=orjson.OPT_NON_STR_KEYS)
        return self.body


class RestRequest:
    """One HTTP request. `parameters` are those of the query string, decoded; `path` and `names` give the path's."""

    def __init__(
        self,
        method: str,
        uri_path: str,
        run: Run,
        *,
        path_parameters: Mapping[str, str] | None = None,
        parameters: dict[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        settings: Settings = _NO_SETTINGS,
        warnings: Strings | None = None,
    ) -> None:
        self.method = method
        self.uri_path = uri_path
        self.parameters: dict[str, str] = {} if parameters is None else parameters
        self.headers: Mapping[str, str] = {} if headers is None else headers
        self.body = body
        self.settings = settings
        self.warnings: Strings = [] if warnings is None else warnings
        self._path: Mapping[str, str] = path_parameters or {}
        self._run = run
        self._read: set[str] = set()
        self.is_checked = not self.parameters

    # -- what it asks for

    def run(self, action: Action[Q, R], request: Q) -> Awaitable[R]:
        """Runs an action through the gate as the caller. Refuses parameters that nobody read."""
        if not self.is_checked:
            self.check_parameters()
        return self._run(action, request)

    def check_parameters(self) -> None:
        self.is_checked = True
        unread = self.parameters.keys() - self._read - EVERYWHERE
        if unread:
            refuse_unrecognized(self.uri_path, unread, self._read)

    def warn(self, text: str) -> None:
        """Adds a Warning header to the answer."""
        self.warnings.append(text)

    # -- parameters

    def accept(self, *names: str) -> None:
        """Declares parameters that are allowed and change nothing here."""
        self._read.update(names)

    def accept_all(self, names: Collection[str]) -> Mapping[str, str]:
        """Declares parameters that somebody else reads, and gives them all."""
        self._read.update(names)
        return self.parameters

    def path(self, name: str) -> str:
        """A path parameter, decoded."""
        return self._path[name]

    def has_path(self, name: str) -> bool:
        return name in self._path

    def text(self, name: str, default: str | None = None) -> str | None:
        if not self.parameters:
            return default
        self._read.add(name)
        found = self.parameters.get(name)
        return default if found is None else found

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean; present without a value means true."""
        text = self.text(name)
        if text is None:
            return default
        if text in ("", "true"):
            return True
        if text == "false":
            return False
        raise IllegalArgumentError(f"Failed to parse value [{text}] as only [true] or [false] are allowed.")

    def integer(self, name: str, default: int | None = None) -> int | None:
        """An int of Java: 32 bits."""
        text = self.text(name)
        return default if text is None else int_parameter(name, text)

    def long(self, name: str) -> int | None:
        """A long of Java, 64 bits: versions, sequence numbers, terms."""
        text = self.text(name)
        return None if text is None else long_parameter(name, text)

    def time_s(self, name: str, default: float) -> float:
        text = self.text(name)
        return default if text is None else parse_time_s(text, name)

    def list(self, name: str) -> Strings:
        """A comma-separated parameter."""
        text = self.text(name)
        return [part.strip() for part in text.split(",") if part.strip()] if text else []

    def names(self, name: str) -> tuple[str, ...]:
        """A comma-separated path parameter, or the parameter of that name; () when absent. Index names are checked."""
        text = self._path.get(name)
        if text is None:
            text = self.text(name) or ""
        return _index_names(text) if name == "index" else _parts(text)

    def indices_options(self, default: IndicesOptions) -> IndicesOptions:
        """The default with what the URI says about missing, closed and hidden indices."""
        parameters = self.parameters
        if not parameters:
            return default
        self._read.update(_INDICES_OPTIONS)
        if not any(name in parameters for name in _INDICES_OPTIONS):
            return default
        changes: dict[str, Any] = {}
        for name in ("ignore_unavailable", "allow_no_indices"):
            if name in parameters:
                changes[name] = self.flag(name)
        self.flag("ignore_throttled")
        states = parameters.get("expand_wildcards")
        if states is not None:
            changes |= expand_wildcards([states])
        return msgspec.structs.replace(default, **changes)

    # -- body and headers

    @property
    def content(self) -> bytes:
        """The body, or where there is none the parameter `source`, which Elasticsearch allows instead."""
        if not self.body and "source" in self.parameters:
            if "source_content_type" not in self.parameters:
                raise IllegalArgumentError("source and source_content_type parameters are required")
            return self.parameters["source"].encode()
        return self.body

    def required_content(self) -> bytes:
        content = self.content
        if not content or content.isspace():
            raise BodyRequiredError("request body is required")
        return content

    def json_object(self, *, required: bool = False) -> dict[str, Any]:
        """The body as an object, {} where there is none; strict (rest/json_body.py)."""
        content = self.required_content() if required else self.content
        return {} if not content or content.isspace() else parse_object(content)

    @property
    def accepted_format(self) -> str:
        """What the Accept header asks for: json, yaml, text, or "" when it leaves the choice."""
        header = self.headers.get("Accept", "")
        if not header or "," in header:
            return ""
        kind = header.partition(";")[0].strip().lower()
        return _FORMATS.get(kind, "")


def _parts(text: str) -> tuple[str, ...]:
    return tuple([part for part in map(str.strip, text.split(",")) if part])


@lru_cache(maxsize=1024)
def _index_names(text: str) -> tuple[str, ...]:
    parts = _parts(text)
    for part in parts:
        if part.startswith("_") and part != "_all":
            raise InvalidIndexNameError(
                f"Invalid index name [{part}], must not start with '_'.", index_uuid="_na_", index=part
            )
    return parts


_FORMATS = {
    "application/json": "json",
    "application/vnd.elasticsearch+json": "json",
    "application/yaml": "yaml",
    "application/vnd.elasticsearch+yaml": "yaml",
    "text/plain": "text",
    "text/vnd.elasticsearch+plain": "text",
}
