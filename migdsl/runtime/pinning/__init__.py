"""What generated characterization tests import: what an old system's column holds is recorded once, and compared ever after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migdsl.runtime.pinning.jobs import Pin, PinJob

if TYPE_CHECKING:
    from migdsl.runtime.pinning.run import holds, main

__all__ = ["Pin", "PinJob", "holds", "main"]


def __getattr__(name: str) -> Any:
    if name not in ("holds", "main"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # A test that is only collected needs no driver.
    from migdsl.runtime.pinning import run

    return getattr(run, name)
