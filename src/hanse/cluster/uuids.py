"""Names that nobody else draws: of clusters, nodes and indices.

Tests: tests/cluster/test_uuids.py.
"""

from __future__ import annotations

import base64
import secrets


def new_uuid() -> str:
    """22 URL-safe characters, as Elasticsearch's look."""
    return base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
