"""The databases and walks of the operations' own tests."""

from __future__ import annotations

from tests.ops.conftest import database16, database18, pg16, version, walk

__all__ = ["database16", "database18", "pg16", "version", "walk"]
