"""REST of cross-cluster replication.

Tests: tests/rest/test_ccr.py, tests/journeys/.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hanse.replication import requests as actions
from hanse.replication.requests import AutoFollowPattern, ByFollower, Followers, OneIndex, PutFollow
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.transport.actions import Empty

_TIMEOUTS = ("master_timeout", "timeout")


def register(routes: Routes) -> None:
    add = routes.add
    add("PUT", "/{index}/_ccr/follow", follow)
    add("POST", "/{index}/_ccr/pause_follow", pause)
    add("POST", "/{index}/_ccr/resume_follow", resume)
    add("POST", "/{index}/_ccr/unfollow", unfollow)
    add("POST", "/{index}/_ccr/forget_follower", forget)
    add("GET", "/{index}/_ccr/info", info)
    add("GET", "/{index}/_ccr/stats", follow_stats)
    add("GET", "/_ccr/stats", stats)
    add("PUT", "/_ccr/auto_follow/{name}", put_pattern)
    add("GET", "/_ccr/auto_follow", get_patterns)
    add("GET", "/_ccr/auto_follow/{name}", get_patterns)
    add("DELETE", "/_ccr/auto_follow/{name}", delete_pattern)
    add("POST", "/_ccr/auto_follow/{name}/pause", _activate(active=False))
    add("POST", "/_ccr/auto_follow/{name}/resume", _activate(active=True))


async def follow(request: RestRequest) -> RestResponse:
    request.accept(*_TIMEOUTS)
    wait = request.text("wait_for_active_shards") or "0"
    body = request.json_object(required=True)
    answer = await request.run(actions.PUT_FOLLOW, PutFollow((request.path("index"),), body, wait))
    return RestResponse.json(msgspec.to_builtins(answer))


async def pause(request: RestRequest) -> RestResponse:
    request.accept(*_TIMEOUTS)
    await request.run(actions.PAUSE_FOLLOW, ByFollower(request.path("index")))
    return _acknowledged()


async def resume(request: RestRequest) -> RestResponse:
    request.accept(*_TIMEOUTS)
    await request.run(actions.RESUME_FOLLOW, ByFollower(request.path("index"), request.json_object()))
    return _acknowledged()


async def unfollow(request: RestRequest) -> RestResponse:
    request.accept(*_TIMEOUTS)
    await request.run(actions.UNFOLLOW, OneIndex((request.path("index"),)))
    return _acknowledged()


async def forget(request: RestRequest) -> RestResponse:
    request.accept(*_TIMEOUTS)
    body = request.json_object(required=True)
    return RestResponse.json(await request.run(actions.FORGET_FOLLOWER, OneIndex((request.path("index"),), body)))


async def info(request: RestRequest) -> RestResponse:
    request.accept(*_TIMEOUTS)
    return RestResponse.json(await request.run(actions.FOLLOW_INFO, Followers(request.names("index"))))


async def follow_stats(request: RestRequest) -> RestResponse:
    request.accept(*_TIMEOUTS)
    return RestResponse.json(await request.run(actions.FOLLOW_STATS, Followers(request.names("index"))))


async def stats(request: RestRequest) -> RestResponse:
    request.accept(*_TIMEOUTS)
    return RestResponse.json(await request.run(actions.STATS, Empty()))


async def put_pattern(request: RestRequest) -> RestResponse:
    request.accept(*_TIMEOUTS)
    body = request.json_object(required=True)
    await request.run(actions.PUT_AUTO_FOLLOW, AutoFollowPattern(request.path("name"), body))
    return _acknowledged()


async def get_patterns(request: RestRequest) -> RestResponse:
    request.accept(*_TIMEOUTS)
    name = request.path("name") if request.has_path("name") else ""
    return RestResponse.json(await request.run(actions.GET_AUTO_FOLLOW, AutoFollowPattern(name)))


async def delete_pattern(request: RestRequest) -> RestResponse:
    request.accept(*_TIMEOUTS)
    await request.run(actions.DELETE_AUTO_FOLLOW, AutoFollowPattern(request.path("name")))
    return _acknowledged()


def _activate(*, active: bool) -> Any:
    async def handler(request: RestRequest) -> RestResponse:
        request.accept(*_TIMEOUTS)
        await request.run(actions.ACTIVATE_AUTO_FOLLOW, AutoFollowPattern(request.path("name"), {"active": active}))
        return _acknowledged()

    return handler


def _acknowledged() -> RestResponse:
    return RestResponse.json({"acknowledged": True})
