"""How an unmapped field of a document is mapped: dynamic templates, then the rules for each JSON type.

Tests: tests/index/test_dynamic.py.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2

from hanse.errors import IllegalArgumentError, MapperParsingError
from hanse.index.mapping.dates import DateFormat

IGNORE_ABOVE = 256
DEFAULT_DATE_FORMATS = ("strict_date_optional_time", "yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||epoch_millis")
_MATCHED_TYPES = ("object", "string", "long", "double", "boolean", "date", "binary")
_DEFAULT_TYPES = {
    "object": "object",
    "string": "text",
    "long": "long",
    "double": "float",
    "boolean": "boolean",
    "date": "date",
    "binary": "binary",
}
_KEYS = frozenset(
    {"match", "unmatch", "path_match", "path_unmatch", "match_mapping_type", "unmatch_mapping_type"}
    | {"match_pattern", "mapping", "runtime"}
)
_NUMBER = re.compile(r"[+-]?(?:\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def check_templates(raw: Any) -> list[dict[str, Any]]:
    """Raises MapperParsingError for templates that cannot be read."""
    if not isinstance(raw, list):
        raise MapperParsingError("Dynamic template syntax error. An array of named objects is expected.")
    for entry in raw:
        if not isinstance(entry, dict) or len(entry) != 1:
            raise MapperParsingError("A dynamic template must be defined with a name")
        ((name, body),) = entry.items()
        if not isinstance(body, dict):
            raise MapperParsingError("Dynamic template syntax error. An array of named objects is expected.")
        for key in body:
            if key not in _KEYS:
                raise MapperParsingError(f"Illegal dynamic template parameter: [{key}]")
        if not isinstance(body.get("mapping", body.get("runtime")), dict):
            raise MapperParsingError(f"template [{name}] must have either mapping or runtime set")
        for kind in _texts(body.get("match_mapping_type")):
            if kind != "*" and kind not in _MATCHED_TYPES:
                possible = ", ".join(_MATCHED_TYPES)
                raise MapperParsingError(f"No field type matched on [{kind}], possible values are [{possible}]")
        if body.get("match_pattern", "simple") not in ("simple", "regex"):
            raise MapperParsingError(f"No matching pattern matched on [{body['match_pattern']}]")
        if body.get("match_pattern") == "regex":
            for pattern in (*_texts(body.get("match")), *_texts(body.get("unmatch"))):
                _regex(pattern)
    return list(raw)


@dataclass(frozen=True, slots=True)
class DynamicRules:
    """What the root of a mapping says about fields it does not name."""

    templates: Sequence[Mapping[str, Any]] = ()
    date_detection: bool = True
    numeric_detection: bool = False
    date_formats: tuple[str, ...] = DEFAULT_DATE_FORMATS

    @classmethod
    def of(cls, mappings: Mapping[str, Any]) -> DynamicRules:
        formats = mappings.get("dynamic_date_formats")
        return cls(
            mappings.get("dynamic_templates", ()),
            mappings.get("date_detection", True),
            mappings.get("numeric_detection", False),
            DEFAULT_DATE_FORMATS if formats is None else tuple(f for f in formats if f != "none"),
        )

    def definition(self, path: str, value: Any) -> dict[str, Any]:
        """The mapping of a new field (or object) whose first value is `value`."""
        name = path.rpartition(".")[2]
        matched, usual = self._type_of(value)
        for entry in self.templates:
            ((_, template),) = entry.items()
            if _applies(template, path, name, matched):
                return _from_template(template, name, matched)
        return usual

    def _type_of(self, value: Any) -> tuple[str, dict[str, Any]]:
        if isinstance(value, dict):
            return "object", {"type": "object"}
        if isinstance(value, bool):
            return "boolean", {"type": "boolean"}
        if isinstance(value, int):
            return "long", {"type": "long"}
        if isinstance(value, float):
            return "double", {"type": "float"}
        text = str(value)
        number = _NUMBER.fullmatch(text)
        if self.numeric_detection and number:
            return ("double", {"type": "float"}) if number[1] or number[2] else ("long", {"type": "long"})
        if self.date_detection and not number:
            pattern = self._date_format(text)
            if pattern is not None:
                plain = pattern == DEFAULT_DATE_FORMATS[0]
                return "date", {"type": "date"} if plain else {"type": "date", "format": pattern}
        keyword = {"type": "keyword", "ignore_above": IGNORE_ABOVE}
        return "string", {"type": "text", "fields": {"keyword": keyword}}

    def _date_format(self, text: str) -> str | None:
        # Most texts are no dates; those of the default formats begin with a digit or a sign.
        if self.date_formats == DEFAULT_DATE_FORMATS and not (text[:1].isdigit() or text[:1] in ("+", "-")):
            return None
        for pattern in self.date_formats:
            try:
                DateFormat.of(pattern).parse(text)
            except IllegalArgumentError:
                continue
            return pattern
        return None


def _applies(template: Mapping[str, Any], path: str, name: str, matched: str) -> bool:
    kinds = _texts(template.get("match_mapping_type"))
    if kinds and "*" not in kinds and matched not in kinds:
        return False
    if matched in _texts(template.get("unmatch_mapping_type")):
        return False
    if "match_mapping_type" not in template and matched == "object" and not _names_a_field(template):
        return False
    is_regex = template.get("match_pattern") == "regex"
    for key in ("match", "unmatch", "path_match", "path_unmatch"):
        patterns = _texts(template.get(key))
        subject = path if key.startswith("path") else name
        found = any(_matches(pattern, subject, is_regex and not key.startswith("path")) for pattern in patterns)
        if patterns and found == key.endswith("unmatch"):
            return False
    return True


def _names_a_field(template: Mapping[str, Any]) -> bool:
    return "match" in template or "path_match" in template


def _from_template(template: Mapping[str, Any], name: str, matched: str) -> dict[str, Any]:
    usual = _DEFAULT_TYPES[matched]
    made = _filled(copy.deepcopy(dict(template.get("mapping") or template.get("runtime") or {})), name, usual)
    made.setdefault("type", usual)
    return dict(made)


def _filled(value: Any, name: str, usual: str) -> Any:
    if isinstance(value, str):
        return value.replace("{name}", name).replace("{dynamic_type}", usual).replace("{dynamicType}", usual)
    if isinstance(value, dict):
        return {_filled(key, name, usual): _filled(item, name, usual) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, name, usual) for item in value]
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(str(item) for item in value)


def _matches(pattern: str, subject: str, is_regex: bool) -> bool:
    if is_regex:
        return _regex(pattern).fullmatch(subject) is not None
    return matches_simple(pattern, subject)


def matches_simple(pattern: str, text: str) -> bool:
    """`*` stands for any text; nothing else is special."""
    if "*" not in pattern:
        return pattern == text
    first, *middle, last = pattern.split("*")
    if not text.startswith(first) or len(text) < len(first) + len(last) or not text.endswith(last):
        return False
    place, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


@lru_cache(maxsize=256)
def _regex(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options=options)  # type: ignore[no-untyped-call]
    except re2.error as error:
        raise MapperParsingError(
            f"Pattern [{pattern}] of type [regex] is invalid. Cannot create dynamic template."
        ) from error
