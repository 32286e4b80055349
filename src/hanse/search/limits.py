"""The limits of searching that cluster settings give, judged when they are set and read when they bind.

They change while the cluster runs, so whoever needs them asks anew. Tests: tests/search/test_limits.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from hanse.errors import IllegalArgumentError
from hanse.settings.cluster_settings import (
    ALLOW_EXPENSIVE_QUERIES,
    DEFAULT_KEEP_ALIVE,
    MAX_BUCKETS,
    MAX_KEEP_ALIVE,
    MAX_OPEN_SCROLL,
)
from hanse.settings.registry import Settings
from hanse.settings.units import format_time


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """How many buckets an answer may hold, how long a context may idle (seconds), how many scrolls may be open.

    Without `allows_expensive` queries that may look at every term or document are refused.
    """

    max_buckets: int = MAX_BUCKETS.default
    keep_alive_max_s: float = MAX_KEEP_ALIVE.default
    scrolls_max: int = MAX_OPEN_SCROLL.default
    allows_expensive: bool = ALLOW_EXPENSIVE_QUERIES.default

    @classmethod
    def of(cls, settings: Settings) -> SearchLimits:
        return cls(
            settings.read(MAX_BUCKETS),
            settings.read(MAX_KEEP_ALIVE),
            settings.read(MAX_OPEN_SCROLL),
            settings.read(ALLOW_EXPENSIVE_QUERIES),
        )


def validate_search_limits(settings: Settings) -> None:
    """Raises IllegalArgumentError when a context that does not say how long it lives would live too long."""
    default_s, most_s = settings.read(DEFAULT_KEEP_ALIVE), settings.read(MAX_KEEP_ALIVE)
    if default_s > most_s:
        raise IllegalArgumentError(
            f"Default keep alive setting for request [{DEFAULT_KEEP_ALIVE.key}]({format_time(default_s)}) should be "
            f"smaller than max keep alive [{MAX_KEEP_ALIVE.key}]({format_time(most_s)})."
        )
