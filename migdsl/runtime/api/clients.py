"""Whatever a request says of its sender becomes one of a few names that may stand in a metric: no address, number or key."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Final

from migdsl.runtime.api.requests import OTHER, Scope, values

UNKNOWN: Final = "unknown"
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]{0,39}")
# What looks like a number of somebody, an address or a key is none of a piece of software.
_NUMBERS: Final = re.compile(r"\d{5,}|[0-9a-fA-F]{12,}|\d+\.\d+\.\d+\.\d+")
_PRODUCT: Final = re.compile(r"\s*([^\s/()]+)")

Of = Callable[[Scope], object | None]


def software(scope: Scope) -> str | None:
    """The first product of User-Agent, without its version: `orders-sdk/2.1 (Linux)` → `orders-sdk`."""
    found = _PRODUCT.match("".join(values(scope, "user-agent")[:1]))
    return found[1] if found else None


def header(name: str) -> Of:
    """What a header says."""
    lower = name.lower()
    return lambda scope: next(iter(values(scope, lower)), None)


def resolver(of: str | Of) -> Of:
    """A header's name, or a function of the ASGI scope, as such a function."""
    return header(of) if isinstance(of, str) else of


class Clients:
    """Names for a metric's label: the first `most` that come, then `other`; any thread may ask."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._names: set[str] = set()
        self._lock = threading.Lock()

    def name(self, said: object | None) -> str:
        """The label; what looks like a number, a key or an address is `other`. A person's name can't be told from a program's."""
        if said is None or said == "":
            return UNKNOWN
        text = str(said)
        if _NAME.fullmatch(text) is None or _NUMBERS.search(text):
            return OTHER
        with self._lock:
            if text in self._names:
                return text
            if len(self._names) >= self._most:
                return OTHER
            self._names.add(text)
            return text
