"""The answer's bytes: compact JSON as it is; `pretty`, `filter_path` and YAML only for those who ask.

Tests: tests/rest/test_content.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from hanse.rest import media_types
from hanse.rest.filter_path import filtered
from hanse.rest.media_types import Negotiated
from hanse.rest.request import RestResponse


def rendered(response: RestResponse, parameters: Mapping[str, str], negotiated: Negotiated) -> tuple[bytes, str]:
    """Body and Content-Type."""
    if response.content_type:
        body = response.body or b""
        if response.content_type == media_types.TEXT and body:
            return body, media_types.text_type(negotiated.answer)
        return body, response.content_type
    body = response.rendered()
    if not parameters and not negotiated.yaml:
        return body, negotiated.answer
    return _shaped(body, parameters, negotiated)


def _shaped(body: bytes, parameters: Mapping[str, str], negotiated: Negotiated) -> tuple[bytes, str]:
    paths = parameters.get("filter_path")
    if paths:
        body = msgspec.json.encode(filtered(msgspec.json.decode(body), paths))
    if negotiated.yaml or parameters.get("format") == "yaml":
        return b"---\n" + yaml_text(msgspec.json.decode(body)).encode(), media_types.yaml_type(negotiated.answer)
    if parameters.get("pretty", "false") != "false":
        body = pretty_text(msgspec.json.decode(body)).encode() + b"\n"
    return body, negotiated.answer


def pretty_text(value: Any, indent: str = "") -> str:
    """Two spaces a level and ` : ` between name and value, as people and scripts know it."""
    inner = indent + "  "
    if isinstance(value, dict):
        if not value:
            return "{ }"
        members = [f"{inner}{_scalar(name)} : {pretty_text(member, inner)}" for name, member in value.items()]
        return "{\n" + ",\n".join(members) + f"\n{indent}}}"
    if isinstance(value, list):
        if not value:
            return "[ ]"
        return "[\n" + ",\n".join(inner + pretty_text(item, inner) for item in value) + f"\n{indent}]"
    return _scalar(value)


def yaml_text(value: Any, indent: str = "") -> str:
    """Block YAML of a JSON value; strings are written in JSON's quoting, which YAML reads."""
    if isinstance(value, dict) and value:
        return "".join(f"{indent}{_key(name)}:{_yaml_member(member, indent)}" for name, member in value.items())
    if isinstance(value, list) and value:
        return "".join(f"{indent}-{_yaml_member(item, indent)}" for item in value)
    return f"{indent}{_scalar(value)}\n"


def _yaml_member(value: Any, indent: str) -> str:
    if isinstance(value, dict | list) and value:
        return "\n" + yaml_text(value, indent + "  ")
    return f" {_scalar(value)}\n"


def _key(name: str) -> str:
    return name if name.isidentifier() and name.lower() not in _YAML_WORDS else _scalar(name)


_YAML_WORDS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")


def _scalar(value: Any) -> str:
    """A scalar or an empty collection as JSON; integers of any length."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return orjson.dumps(value).decode()
