"""The databases and walks of the operations' own tests."""

from __future__ import annotations

from tests.ops.conftest import common, common16, pg16, version, walk

__all__ = ["common", "common16", "pg16", "version", "walk"]
