"""A PromQL expression becomes whether it yields a sample now, asked of a Prometheus over HTTP."""

from __future__ import annotations

import json
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

_SECONDS = 10
_LARGEST = 1 << 20


class Unanswered(Exception):  # noqa: N818 - it says what became of the question
    """Prometheus gave no answer; says why, without the URL, which may hold a password."""


def yields(base: str, expression: str) -> bool:
    """Whether the expression has a sample. `base` is Prometheus's own address (http or https). Raises Unanswered."""
    if not base.lower().startswith(("http://", "https://")):
        raise Unanswered("its address must begin with http:// or https://")
    address = f"{base.rstrip('/')}/api/v1/query?query={quote(expression, safe='')}"
    try:
        # Its scheme is http: no file is read.
        asked = Request(address, headers={"Accept": "application/json"})  # noqa: S310
        with urlopen(asked, timeout=_SECONDS) as answer:  # noqa: S310
            found = json.loads(answer.read(_LARGEST))
    except HTTPError as error:
        raise Unanswered(f"HTTP {error.code}") from None
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None)
        raise Unanswered(f"{type(error).__name__}{f': {reason}' if isinstance(reason, OSError) else ''}") from None
    data = found.get("data") if isinstance(found, dict) and found.get("status") == "success" else None
    if not isinstance(data, dict) or not isinstance(data.get("result"), list):
        raise Unanswered("its answer is none of a query")
    return bool(data["result"])
