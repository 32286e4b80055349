"""What clients are told about this build: the Elasticsearch version we are compatible with, and a hash of our own.

Tests: tests/rest/test_root.py.
"""

from __future__ import annotations

import hashlib

from hanse import __version__

BUILD_HASH = hashlib.sha1(f"hanse {__version__}".encode(), usedforsecurity=False).hexdigest()
BUILD_DATE = "2026-11-24T00:00:00.000Z"
LUCENE_VERSION = "10.3.1"
"""The Lucene of the Elasticsearch we are compatible with; tools only parse it."""
