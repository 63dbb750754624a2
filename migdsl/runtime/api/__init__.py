"""What an application imports from generated `api/` files: descriptions of APIs and the middleware that goes by them."""

from __future__ import annotations

from migdsl.runtime.api.meters import API_METRICS, text
from migdsl.runtime.api.middleware import ApiMiddleware
from migdsl.runtime.api.model import Api, Version

__all__ = ["API_METRICS", "Api", "ApiMiddleware", "Version", "main", "text"]


def main(apis: tuple[Api, ...]) -> int:
    """The command line of a generated file: `probe` and `dates`; 0 fine, 1 not as it should be, 2 usage, 3 no answer."""
    from migdsl.runtime.api.cli import run  # an application's server has no use for it

    return run(apis)
