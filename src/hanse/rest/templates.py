"""REST of index templates, component templates and legacy templates.

Tests: tests/rest/test_templates.py, tests/journeys/.
"""

from __future__ import annotations

from typing import Any

from hanse.index.administration import requests as actions
from hanse.index.administration.requests import ByName, PutTemplate
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.settings.registry import flatten
from hanse.transport.actions import Action


def register(routes: Routes) -> None:
    add = routes.add
    families = (
        (
            "/_index_template",
            actions.PUT_INDEX_TEMPLATE,
            actions.GET_INDEX_TEMPLATE,
            actions.DELETE_INDEX_TEMPLATE,
        ),
        (
            "/_component_template",
            actions.PUT_COMPONENT_TEMPLATE,
            actions.GET_COMPONENT_TEMPLATE,
            actions.DELETE_COMPONENT_TEMPLATE,
        ),
        ("/_template", actions.PUT_LEGACY_TEMPLATE, actions.GET_LEGACY_TEMPLATE, actions.DELETE_LEGACY_TEMPLATE),
    )
    for path, put_action, get_action, delete_action in families:
        add("PUT", f"{path}/{{name}}", _put(put_action))
        add("POST", f"{path}/{{name}}", _put(put_action))
        add("GET", path, _get(get_action))
        add("GET", f"{path}/{{name}}", _get(get_action))
        add("HEAD", f"{path}/{{name}}", _exists(get_action))
        add("DELETE", f"{path}/{{name}}", _delete(delete_action))
    add("POST", "/_index_template/_simulate_index/{name}", _simulate(actions.SIMULATE_INDEX_TEMPLATE))
    add("POST", "/_index_template/_simulate/{name}", _simulate(actions.SIMULATE_TEMPLATE))
    add("POST", "/_index_template/_simulate", _simulate(actions.SIMULATE_TEMPLATE))


def _put(action: Action[Any, Any]) -> Any:
    async def handler(request: RestRequest) -> RestResponse:
        request.accept("master_timeout", "timeout", "cause", "order")
        body = request.json_object(required=True)
        create = request.flag("create")
        await request.run(action, PutTemplate(request.path("name"), body, create))
        return RestResponse.json({"acknowledged": True})

    return handler


def _get(action: Action[Any, Any]) -> Any:
    async def handler(request: RestRequest) -> RestResponse:
        request.accept("master_timeout", "local", "include_defaults")
        flat = request.flag("flat_settings")
        answer = await request.run(action, ByName(_name(request)))
        return RestResponse.json(_flattened(answer) if flat else answer)

    return handler


def _flattened(value: Any) -> Any:
    """Every object under `settings` flat."""
    if isinstance(value, list):
        return [_flattened(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: flatten(item) if key == "settings" else _flattened(item) for key, item in value.items()}


def _exists(action: Action[Any, Any]) -> Any:
    async def handler(request: RestRequest) -> RestResponse:
        request.accept("master_timeout", "local", "flat_settings")
        answer = await request.run(action, ByName(_name(request)))
        found = answer.get("index_templates", answer.get("component_templates", answer))
        return RestResponse.empty(status=200 if found else 404)

    return handler


def _delete(action: Action[Any, Any]) -> Any:
    async def handler(request: RestRequest) -> RestResponse:
        request.accept("master_timeout", "timeout")
        await request.run(action, ByName(_name(request)))
        return RestResponse.json({"acknowledged": True})

    return handler


def _simulate(action: Action[Any, Any]) -> Any:
    async def handler(request: RestRequest) -> RestResponse:
        request.accept("master_timeout", "cause", "create", "include_defaults")
        return RestResponse.json(await request.run(action, PutTemplate(_name(request), request.json_object())))

    return handler


def _name(request: RestRequest) -> str:
    return request.path("name") if request.has_path("name") else ""
