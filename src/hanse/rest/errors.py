"""Errors as REST shows them: the one place that turns a HanseError into status, headers and body.

An error that crossed a cluster border shows what the remote said; anything but a HanseError is a 500 with a random id
that stands in the log beside the traceback, and tells the client nothing else. Tests: tests/rest/test_errors.py.
"""

from __future__ import annotations

import secrets
from typing import Any

import structlog

from hanse.errors import HanseError, RemoteTransportError
from hanse.rest.request import Headers, RestResponse

log = structlog.get_logger(__name__)

CAUSE_DEPTH_MAX = 32


def unwrapped(error: HanseError) -> HanseError:
    """The error the remote cluster answered, where this is only its envelope."""
    while isinstance(error, RemoteTransportError) and error.caused_by is not None:
        error = error.caused_by
    return error


def error_object(error: HanseError, depth: int = 0) -> dict[str, Any]:
    """Type, reason, further members, causes and headers."""
    shown: dict[str, Any] = {"type": error.name, "reason": error.reason, **error.metadata}
    if error.caused_by is not None and depth < CAUSE_DEPTH_MAX:
        shown["caused_by"] = error_object(error.caused_by, depth + 1)
    if error.headers:
        shown["header"] = {name: values[0] if len(values) == 1 else values for name, values in error.headers.items()}
    return shown


def error_body(error: HanseError) -> dict[str, Any]:
    """`{"error": {"root_cause": [...], ...}, "status": n}`."""
    error = unwrapped(error)
    roots = [_root_object(unwrapped(root)) for root in error.root_causes]
    return {"error": {"root_cause": roots, **error_object(error)}, "status": error.status}


def _root_object(error: HanseError) -> dict[str, Any]:
    shown = error_object(error)
    shown.pop("caused_by", None)
    return shown


def item_error(error: HanseError) -> dict[str, Any]:
    """An error inside an answer (an item of `_bulk`, `_mget`): without root causes."""
    return error_object(unwrapped(error))


def error_response(error: HanseError) -> RestResponse:
    error = unwrapped(error)
    return RestResponse.json(error_body(error), status=error.status, headers=error.headers)


def unexpected_response(error: BaseException, uri_path: str) -> RestResponse:
    """Logs what happened under an id and answers a 500 that names only the id."""
    id = secrets.token_hex(8)
    log.error("request failed unexpectedly", id=id, path=uri_path, exc_info=error)
    return error_response(HanseError(f"internal error [{id}], the log of this node tells more"))


def simple_response(
    text: str, status: int, *, with_status: bool = True, headers: Headers | None = None
) -> RestResponse:
    """An error that is only a sentence: no such route, wrong method, wrong content type."""
    body: dict[str, Any] = {"error": text, "status": status} if with_status else {"error": text}
    return RestResponse.json(body, status=status, headers=headers)
