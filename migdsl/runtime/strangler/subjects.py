"""A request becomes whom the flag is asked about: a tenant from a header, or a client by a cookie of its own."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Final

from migdsl.runtime.strangler.model import Message, Scope

Subject = Callable[[Scope], object | None]
_FINE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DAYS_30: Final = 30 * 86_400


def header(name: str) -> Subject:
    """The value of a request header; None where it isn't sent, or is sent twice with two values."""
    wanted = name.lower().encode("latin-1")

    def subject(scope: Scope) -> str | None:
        found = {value for key, value in scope.get("headers", ()) if key.lower() == wanted}
        return found.pop().decode("latin-1") or None if len(found) == 1 else None

    return subject


class Cookie:
    """A random name for each client, so that it stays on its side from one request to the next. It says nothing of whom it
    belongs to, and is set with the first answer."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, scope: Scope) -> str | None:
        """The client's name, or None where it has none yet."""
        for key, value in scope.get("headers", ()):
            if key.lower() == b"cookie":
                for pair in value.decode("latin-1").split(";"):
                    name, _, given = pair.strip().partition("=")
                    if name == self.name and _FINE.fullmatch(given):
                        return str(given)
        return None

    def new(self) -> str:
        """A name for a client that has none."""
        return uuid.uuid4().hex

    def set(self, message: Message, given: str, scope: Scope) -> Message:
        """The beginning of an answer that hands the name over."""
        secure = "; Secure" if scope.get("scheme") in ("https", "wss") else ""
        text = f"{self.name}={given}; Path=/; Max-Age={_DAYS_30}; HttpOnly; SameSite=Lax{secure}"
        return {**message, "headers": [*message.get("headers", ()), (b"set-cookie", text.encode("latin-1"))]}
