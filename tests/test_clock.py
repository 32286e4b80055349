from datetime import UTC, datetime, timedelta

from hanse.clock import now_ms


def test_it_is_now() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    assert before <= datetime.fromtimestamp(now_ms() / 1000, UTC) <= datetime.now(UTC)
