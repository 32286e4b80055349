from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from hanse.errors import SettingsError
from hanse.security.authentication import HttpCredentials
from hanse.security.bootstrap import ensure_elastic_password

from .conftest import Cluster

Make = Callable[..., Cluster]


async def login(cluster: Cluster, password: str) -> str:
    header = "Basic " + base64.b64encode(f"elastic:{password}".encode()).decode()
    return (await cluster.gate.authenticate(HttpCredentials(header))).username


async def test_the_environment_gives_the_first_password(make_cluster: Make) -> None:
    cluster = make_cluster()
    assert await ensure_elastic_password(cluster.store, "first-password", "bcrypt4") is None
    assert await login(cluster, "first-password") == "elastic"
    assert await ensure_elastic_password(cluster.store, "second-password", "bcrypt4") is None
    assert await login(cluster, "first-password") == "elastic"


async def test_without_one_it_is_generated(make_cluster: Make) -> None:
    cluster = make_cluster()
    generated = await ensure_elastic_password(cluster.store, None, "bcrypt4")
    assert generated is not None
    assert len(generated) == 20
    assert await login(cluster, generated) == "elastic"
    assert await ensure_elastic_password(cluster.store, None, "bcrypt4") is None


async def test_a_bad_one_stops_the_start(make_cluster: Make) -> None:
    with pytest.raises(SettingsError, match=r"ELASTIC_PASSWORD .*cannot be used: passwords must be at least \[6\]"):
        await ensure_elastic_password(make_cluster().store, "short")
