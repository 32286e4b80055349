from __future__ import annotations

from hanse.cluster.uuids import new_uuid


def test_ids_can_stand_in_an_address() -> None:
    drawn = {new_uuid() for _ in range(100)}
    assert len(drawn) == 100
    assert all(len(one) == 22 and one.replace("-", "").replace("_", "").isalnum() for one in drawn)
