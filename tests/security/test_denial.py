from __future__ import annotations

from hanse.security.denial import unauthorized, unauthorized_run_as

from .conftest import user


def test_who_and_what() -> None:
    joe = user("joe", "a", "b")
    assert unauthorized("x", joe, found=["b", "a"]).reason == (
        "action [x] is unauthorized for user [joe] with effective roles [a,b]"
    )
    key = user("joe", api_key={"id": "k1"})
    assert unauthorized("x", key, found=["a"], indices=["i"]).reason == (
        "action [x] is unauthorized for API key id [k1] of user [joe] on indices [i]"
    )
    acting = user("other", "r", run_by=joe)
    assert unauthorized("x", acting, found=["r"]).reason == (
        "action [x] is unauthorized for user [joe] run as [other] with effective roles [r]"
    )
    assert unauthorized_run_as("x", acting, found=["a"], missing=["b"]).reason == (
        "action [x] is unauthorized for user [joe] with effective roles [a] (assigned roles [b] were not found), "
        "because user [joe] is unauthorized to run as [other]"
    )
