"""Reading an aggregation's body strictly: types checked, unknown names refused, in Elasticsearch's words.

Tests: tests/search/aggregation/test_parse.py.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from hanse.errors import IllegalArgumentError, ParsingError, XContentParseError

INTEGER_MAX = 2**31 - 1


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` did you mean [x]?` or ` did you mean any of [x, y]?`, empty without a near name."""
    near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.7)
    if not near:
        return ""
    return f" did you mean [{near[0]}]?" if len(near) == 1 else f" did you mean any of [{', '.join(near)}]?"


class Parameters:
    """The members of one aggregation's body; every read marks a member as known."""

    def __init__(self, kind: str, name: str, body: Any) -> None:
        if not isinstance(body, dict):
            raise ParsingError(f"Expected [START_OBJECT] under [{kind}], but got a [{token_name(body)}] in [{name}]")
        self.kind = kind
        self.name = name
        self._body: dict[str, Any] = body
        self._known: set[str] = set()

    def __contains__(self, name: str) -> bool:
        self._known.add(name)
        return name in self._body

    def raw(self, name: str, default: Any = None) -> Any:
        self._known.add(name)
        value = self._body.get(name, default)
        return default if value is None else value

    def required(self, name: str) -> Any:
        value = self.raw(name)
        if value is None:
            raise IllegalArgumentError(f"Required [{name}]")
        return value

    def text(self, name: str) -> str | None:
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int | float):
            return str(value)
        raise self._wrong_type(name, value)

    def scalar(self, name: str) -> Any:
        """A text, number or boolean."""
        value = self.raw(name)
        if isinstance(value, dict | list):
            raise self._wrong_type(name, value)
        return value

    def queries(self, name: str) -> dict[str, dict[str, Any]]:
        """Named queries; a list's are named by their positions."""
        value = self.raw(name)
        if not isinstance(value, dict | list) or not value:
            raise IllegalArgumentError(f"[{name}] cannot be empty")
        found = dict(value) if isinstance(value, dict) else {str(i): query for i, query in enumerate(value)}
        for query in found.values():
            if not isinstance(query, dict):
                raise self._wrong_type(name, query)
        return found

    def number(self, name: str, default: float | None = None) -> float | None:
        value = self.raw(name)
        if value is None:
            return default
        try:
            if isinstance(value, bool | dict | list):
                raise ValueError
            return float(value)
        except ValueError:
            raise self._failed(name) from IllegalArgumentError(f'For input string: "{value}"')

    def integer(self, name: str, default: int | None = None) -> int | None:
        value = self.number(name)
        if value is None:
            return default
        if not abs(value) <= INTEGER_MAX:
            raise self._failed(name) from IllegalArgumentError(f"Value [{value}] is out of range for an integer")
        return int(value)

    def boolean(self, name: str, default: bool = False) -> bool:
        value = self.raw(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return bool(value == "true")
        raise self._failed(name) from IllegalArgumentError(
            f"Failed to parse value [{value}] as only [true] or [false] are allowed."
        )

    def objects(self, name: str) -> list[Any] | None:
        value = self.raw(name)
        if value is None:
            return None
        return value if isinstance(value, list) else [value]

    def numbers(self, name: str) -> list[float] | None:
        """A list of numbers; None when the member is absent, an error when it is null."""
        if name not in self:
            return None
        value = self.raw(name)
        if not isinstance(value, list) or any(isinstance(v, bool | dict | list) or v is None for v in value):
            raise self._failed(name)
        try:
            return [float(v) for v in value]
        except ValueError:
            raise self._failed(name) from None

    def refuse_scripts(self) -> None:
        if self.raw("script") is not None:
            raise IllegalArgumentError(f"[{self.kind}] aggregation [{self.name}]: scripts are not supported")

    def field(self) -> str:
        """The field the aggregation works on."""
        self.refuse_scripts()
        field = self.text("field")
        if field is None:
            raise IllegalArgumentError("Required one of fields [field, script], but none were specified. ")
        return field

    def finish(self) -> None:
        """Refuses members nobody read."""
        for name in self._body:
            if name not in self._known:
                raise XContentParseError(f"[{self.kind}] unknown field [{name}]{did_you_mean(name, self._known)}")

    def _failed(self, name: str) -> XContentParseError:
        return XContentParseError(f"[{self.kind}] failed to parse field [{name}]")

    def _wrong_type(self, name: str, value: Any) -> XContentParseError:
        return XContentParseError(f"[{self.kind}] {name} doesn't support values of type: {token_name(value)}")


def token_name(value: Any) -> str:
    if value is None:
        return "VALUE_NULL"
    if isinstance(value, bool):
        return "VALUE_BOOLEAN"
    if isinstance(value, dict):
        return "START_OBJECT"
    if isinstance(value, list):
        return "START_ARRAY"
    return "VALUE_STRING" if isinstance(value, str) else "VALUE_NUMBER"
