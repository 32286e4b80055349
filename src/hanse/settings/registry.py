"""Typed settings: each is declared once, beside its user, with name, type, default, scope and a line of help.

`Settings` is an immutable flat map of raw values (strings or lists of strings, as elasticsearch.yml, -E and the
API give them); a `Setting` knows how to read its typed value out of one. `SettingsRegistry` collects what the rooms
declare and refuses unknown names with Elasticsearch's wording. Tests: tests/settings/test_registry.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Flag, auto
from typing import Any, Generic, TypeVar

from hanse.errors import IllegalArgumentError
from hanse.settings.units import format_bytes, format_time, parse_bytes, parse_time_s

T = TypeVar("T")
RawValue = str | list[str]


class Scope(Flag):
    """Where a setting may be given. STATIC: yml and -E only. DYNAMIC: also the API. SECURE: keystore only."""

    STATIC = auto()
    DYNAMIC = auto()
    SECURE = auto()
    INDEX = auto()
    FINAL = auto()


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """One setting. `key` may hold one `*` for a name chosen by the user (`cluster.remote.*.seeds`).

    A `*` at the end stands for everything below (`index.analysis.*`).
    """

    key: str
    parse: Callable[[RawValue, str], T]
    default: T
    scope: Scope
    help: str
    default_text: RawValue | None = None

    def at(self, name: str) -> Setting[T]:
        """The concrete setting of an affix setting: `*` replaced by `name`."""
        return Setting(
            self.key.replace("*", name, 1), self.parse, self.default, self.scope, self.help, self.default_text
        )

    @property
    def pattern(self) -> re.Pattern[str]:
        wanted = r"(.+)" if self.key.endswith(".*") else r"([^.]+)"
        return re.compile("^" + re.escape(self.key).replace(r"\*", wanted) + "$")


class Settings(Mapping[str, RawValue]):
    """Immutable flat raw settings. Typed reads go through a Setting: `settings.read(HTTP_PORT)`."""

    def __init__(self, values: Mapping[str, RawValue] | None = None) -> None:
        self._values: dict[str, RawValue] = dict(values or {})

    def __getitem__(self, key: str) -> RawValue:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def read(self, setting: Setting[T]) -> T:
        """The typed value, or the default when absent. Raises IllegalArgumentError that names the setting."""
        raw = self._values.get(setting.key)
        return setting.default if raw is None else setting.parse(raw, setting.key)

    def under(self, prefix: str) -> Settings:
        """The settings below `prefix` (which ends in a dot), with the prefix cut off."""
        size = len(prefix)
        return Settings({key[size:]: value for key, value in self._values.items() if key.startswith(prefix)})

    def merged(self, changes: Mapping[str, RawValue | None]) -> Settings:
        """A copy with changes applied; None removes, and removes everything below it where the key ends in `*`."""
        values = dict(self._values)
        for key, value in changes.items():
            if value is not None:
                values[key] = value
            elif key.endswith("*"):
                for gone in [name for name in values if name.startswith(key[:-1])]:
                    del values[gone]
            else:
                values.pop(key, None)
        return Settings(values)


class SettingsRegistry:
    """Every declared setting; the one judge of which names and values are allowed where."""

    def __init__(self, declared: Iterable[Setting[Any]] = ()) -> None:
        self._exact: dict[str, Setting[Any]] = {}
        self._affix: list[Setting[Any]] = []
        self.declare(declared)

    def declare(self, settings: Iterable[Setting[Any]]) -> None:
        for setting in settings:
            if "*" in setting.key:
                self._affix.append(setting)
            else:
                self._exact[setting.key] = setting

    def all(self) -> list[Setting[Any]]:
        return sorted([*self._exact.values(), *self._affix], key=lambda setting: setting.key)

    def find(self, key: str) -> Setting[Any] | None:
        """The setting with this name; an affix setting is returned made concrete."""
        found = self._exact.get(key)
        if found is not None:
            return found
        for setting in self._affix:
            match = setting.pattern.match(key)
            if match is not None:
                return setting.at(match[1])
        return None

    def check(self, values: Mapping[str, RawValue | None], *, allowed: Scope, what: str = "setting") -> None:
        """Raises IllegalArgumentError for the first unknown name, forbidden scope or wrong value."""
        for key, value in values.items():
            setting = self.find(key)
            if setting is None:
                if value is None and (key.endswith("*") or "." in key):
                    continue
                raise IllegalArgumentError(self._unknown(key))
            if not setting.scope & allowed:
                if Scope.SECURE & setting.scope:
                    raise IllegalArgumentError(
                        f"Setting [{key}] is a secure setting and must be stored inside the Elasticsearch keystore, "
                        f"but was found inside elasticsearch.yml"
                    )
                raise IllegalArgumentError(f"persistent {what} [{key}], not dynamically updateable")
            if value is not None:
                setting.parse(value, key)

    def _unknown(self, key: str) -> str:
        near = get_close_matches(key, self._exact, n=1, cutoff=0.8)
        text = f"unknown setting [{key}]"
        if near:
            return f"{text} did you mean [{near[0]}]?"
        return text + (
            " please check that any required plugins are installed, or check the breaking changes documentation for "
            "removed settings"
        )


def _scalar(raw: RawValue, key: str) -> str:
    if isinstance(raw, list):
        raise IllegalArgumentError(f"Failed to parse value [{', '.join(raw)}] for setting [{key}]: expected one value")
    return raw


def _parse_boolean(raw: RawValue, key: str) -> bool:
    text = _scalar(raw, key)
    if text not in ("true", "false"):
        raise IllegalArgumentError(
            f"Failed to parse value [{text}] as only [true] or [false] are allowed for setting [{key}]."
        )
    return text == "true"


def boolean(key: str, default: bool, scope: Scope, help: str) -> Setting[bool]:
    return Setting(key, _parse_boolean, default, scope, help, "true" if default else "false")


def string(key: str, default: str, scope: Scope, help: str) -> Setting[str]:
    return Setting(key, _scalar, default, scope, help, default)


def optional_string(key: str, scope: Scope, help: str) -> Setting[str | None]:
    return Setting(key, _scalar, None, scope, help)


def integer(
    key: str, default: int, scope: Scope, help: str, *, min: int = -(2**31), max: int = 2**31 - 1
) -> Setting[int]:
    def parse(raw: RawValue, name: str) -> int:
        text = _scalar(raw, name)
        try:
            value = int(text)
        except ValueError as error:
            raise IllegalArgumentError(f"Failed to parse value [{text}] for setting [{name}]") from error
        if value < min:
            raise IllegalArgumentError(f"Failed to parse value [{text}] for setting [{name}] must be >= {min}")
        if value > max:
            raise IllegalArgumentError(f"Failed to parse value [{text}] for setting [{name}] must be <= {max}")
        return value

    return Setting(key, parse, default, scope, help, str(default))


def strings(key: str, scope: Scope, help: str, default: tuple[str, ...] = ()) -> Setting[tuple[str, ...]]:
    def parse(raw: RawValue, name: str) -> tuple[str, ...]:
        items = raw if isinstance(raw, list) else [part.strip() for part in raw.split(",")]
        return tuple(item for item in items if item)

    return Setting(key, parse, default, scope, help, list(default))


def choice(key: str, default: str, choices: Iterable[str], scope: Scope, help: str) -> Setting[str]:
    allowed = tuple(choices)

    def parse(raw: RawValue, name: str) -> str:
        text = _scalar(raw, name)
        if text.lower() not in allowed:
            raise IllegalArgumentError(
                f"could not resolve {name.rsplit('.', 1)[-1].replace('_', ' ')} for setting [{name}]: "
                f"found [{text}], expected one of [{','.join(allowed)}]"
            )
        return text.lower()

    return Setting(key, parse, default, scope, help, default)


def time_s(key: str, default_s: float, scope: Scope, help: str) -> Setting[float]:
    """A time value, read as seconds."""
    return Setting(
        key, lambda raw, name: parse_time_s(_scalar(raw, name), name), default_s, scope, help, format_time(default_s)
    )


def size_bytes(key: str, default: int, scope: Scope, help: str) -> Setting[int]:
    """A byte size, read as bytes."""
    return Setting(
        key, lambda raw, name: parse_bytes(_scalar(raw, name), name), default, scope, help, format_bytes(default)
    )


def checked(setting: Setting[T], check: Callable[[T, str], None]) -> Setting[T]:
    """The same setting with a further check; `check(value, key)` raises IllegalArgumentError."""

    def parse(raw: RawValue, name: str) -> T:
        value = setting.parse(raw, name)
        check(value, name)
        return value

    return Setting(setting.key, parse, setting.default, setting.scope, setting.help, setting.default_text)


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, RawValue | None]:
    """A nested JSON or YAML object as flat raw settings: scalars become strings, null stays None.

    Raises IllegalArgumentError for an object inside a list.
    """
    flat: dict[str, RawValue | None] = {}
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, key + "."))
        elif isinstance(value, list):
            if any(isinstance(item, Mapping | list) for item in value):
                raise IllegalArgumentError(f"setting [{key}] must be a list of plain values")
            flat[key] = [_text(item) for item in value]
        else:
            flat[key] = None if value is None else _text(value)
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The opposite of `flatten`, as `_cluster/settings` answers without flat_settings.

    Where one key is both a value and a prefix of others (`a.b` and `a.b.c`) the longer one stays flat below `a`.
    """
    tree: dict[str, Any] = {}
    for key in sorted(flat):
        node, parts = tree, key.split(".")
        for depth, part in enumerate(parts[:-1]):
            below = node.setdefault(part, {})
            if not isinstance(below, dict):
                node[".".join(parts[depth:])] = flat[key]
                break
            node = below
        else:
            node[parts[-1]] = flat[key]
    return tree


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


__all__ = [
    "RawValue",
    "Scope",
    "Setting",
    "Settings",
    "SettingsRegistry",
    "boolean",
    "checked",
    "choice",
    "flatten",
    "integer",
    "nest",
    "optional_string",
    "size_bytes",
    "string",
    "strings",
    "time_s",
]
