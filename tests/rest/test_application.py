from __future__ import annotations

from pathlib import Path

import hanse.rest
from hanse.rest.application import FAMILIES, all_routes


def test_every_family_is_joined() -> None:
    folder = Path(hanse.rest.__file__).parent
    with_routes = {path.stem for path in folder.glob("*.py") if "\ndef register(routes: Routes)" in path.read_text()}
    assert {family.__name__.rpartition(".")[2] for family in FAMILIES} == with_routes


def test_a_search_may_be_cancelled_and_a_write_may_not() -> None:
    cancellable = {route.template for route in all_routes().all() if route.cancellable}
    assert "/{index}/_search" in cancellable
    assert not any(part in template for template in cancellable for part in ("_doc", "_bulk", "_update"))
