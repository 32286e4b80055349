"""What Accept and Content-Type mean: JSON, NDJSON or YAML, plain or in Elasticsearch's versioned form.

Clients send `application/vnd.elasticsearch+json; compatible-with=9`; the answer's type is the same. Both headers must
name the same version, as in Elasticsearch. Tests: tests/rest/test_media_types.py.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from hanse.errors import MediaTypeHeaderError, StatusError

JSON = "application/json"
TEXT = "text/plain; charset=UTF-8"
_COMPATIBLE = ("8", "9")
_KINDS = {
    "application/json": "json",
    "application/*": "json",
    "application/x-ndjson": "ndjson",
    "application/yaml": "yaml",
    "text/plain": "text",
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "application/cbor": "cbor",
    "application/smile": "smile",
    "application/vnd.elasticsearch+json": "json",
    "application/vnd.elasticsearch+x-ndjson": "ndjson",
    "application/vnd.elasticsearch+yaml": "yaml",
    "text/vnd.elasticsearch+plain": "text",
    "text/vnd.elasticsearch+csv": "csv",
    "application/vnd.elasticsearch+cbor": "cbor",
}
_READABLE = ("json", "ndjson")
_MEDIA_TYPE = re.compile(r"^[\w.*+-]+/[\w.*+-]+$")


class MediaType(NamedTuple):
    """`kind` is "" for what we do not know; `version` the one asked for with compatible-with."""

    kind: str
    version: str


class Negotiated(NamedTuple):
    """`unsupported`: the Content-Type that a body must not have, None when it may."""

    answer: str
    """Content-Type of a JSON answer."""
    yaml: bool
    unsupported: str | None


@lru_cache(maxsize=256)
def negotiate(accept: str | None, content_type: str | None) -> Negotiated:
    """Raises MediaTypeHeaderError for headers that contradict each other or cannot be read."""
    wanted = _read("Accept", accept) if accept and "," not in accept and accept != "*/*" else None
    sent = _read("Content-Type", content_type) if content_type else None
    if wanted is not None and sent is not None and wanted.version != sent.version and accept and content_type:
        raise _refuse(
            "Accept, Content-Type",
            "A compatible version is required on both Content-Type and Accept headers if either one has requested a "
            f"compatible version and the compatible versions must match. Accept={accept}, Content-Type={content_type}",
        )
    readable = sent is not None and sent.kind in _READABLE
    unsupported = None if readable else (content_type or "")
    version = wanted.version if wanted is not None else ""
    kind = wanted.kind if wanted is not None else ""
    return Negotiated(_answer("yaml" if kind == "yaml" else "json", version), kind == "yaml", unsupported)


def _answer(kind: str, version: str) -> str:
    return f"application/vnd.elasticsearch+{kind};compatible-with={version}" if version else f"application/{kind}"


def yaml_type(answer: str) -> str:
    """The YAML sister of a JSON answer's type."""
    return answer.replace("json", "yaml")


def text_type(answer: str) -> str:
    """The type of a text answer (`_cat`) for a client that got `answer` for JSON."""
    version = answer.partition("compatible-with=")[2]
    return f"text/vnd.elasticsearch+plain;compatible-with={version}" if version else TEXT


def _read(header: str, text: str) -> MediaType:
    name, _, rest = text.partition(";")
    name = name.strip().lower()
    if not _MEDIA_TYPE.match(name):
        raise _refuse(header, f"invalid media-type value [{text}]")
    parameters = dict(_parameter(part) for part in rest.split(";") if part.strip())
    version = parameters.get("compatible-with", "")
    if "vnd.elasticsearch" in name and version not in ("", *_COMPATIBLE):
        raise _refuse(header, f"{header} version must be either version 9 or 8, but found {version}. {header}={text}")
    kind = _KINDS.get(name, "")
    return MediaType(kind, version if "vnd.elasticsearch" in name else "")


def _parameter(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().lower(), value.strip().strip('"')


def _refuse(headers: str, text: str) -> MediaTypeHeaderError:
    return MediaTypeHeaderError(f"Invalid media-type value on headers [{headers}]", caused_by=StatusError(text, 400))
