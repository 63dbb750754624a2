"""Turns values into keyed hashes, so that logs can say which differ without saying what they are."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Final

Key = str | int | tuple[object, ...]


class Mask:
    """Hashes under one secret: equal values have equal hashes. Without a secret of yours each process makes its own."""

    def __init__(self, secret: bytes | None = None) -> None:
        self._secret = secret or secrets.token_bytes(32)

    def of(self, value: object) -> str:
        """16 hexadecimal digits, or `null`."""
        if value is None:
            return "null"
        spoken = f"{type(value).__name__}:{value!r}".encode("utf-8", "surrogatepass")
        return hmac.new(self._secret, spoken, hashlib.sha256).hexdigest()[:16]

    def difference(self, old: object, new: object) -> str:
        """Which parts of two values differ, as `name old-hash new-hash`; the whole where they have no parts in common."""
        before, after = self._parts(old), self._parts(new)
        if before is None or after is None:
            return f"value {self.of(old)} {self.of(new)}"
        names = [name for name in {**before, **after} if before.get(name, _ABSENT) != after.get(name, _ABSENT)]
        return "; ".join(f"{name} {self._part(before, name)} {self._part(after, name)}" for name in names) or "type"

    def _part(self, parts: Mapping[str, object], name: str) -> str:
        return self.of(parts[name]) if name in parts else "absent"

    def _parts(self, value: object) -> Mapping[str, object] | None:
        if isinstance(value, Mapping):
            return {self._column(name): part for name, part in value.items()}
        if isinstance(value, tuple | list):
            return {f"[{number}]": part for number, part in enumerate(value)}
        return None

    def _column(self, name: object) -> str:
        # A mapping's own keys may be data (`{"a@b.c": …}`): only names that could be columns are shown.
        return name if isinstance(name, str) and name.isidentifier() else self.of(name)


_ABSENT: Final = object()


def lock_name(migration: str, tenant: str, key: str) -> str:
    """The name of the lock that the writers of one row take; `key` is its text."""
    return f"{migration} {tenant} {key}"


def key_text(key: Key | None) -> str:
    """A row's key as a JSON array of text, as the ledger has them; `[]` where none was given."""
    parts = () if key is None else key if isinstance(key, tuple) else (key,)
    return json.dumps([_plain(part) for part in parts], ensure_ascii=False)


def _plain(part: object) -> str:
    if isinstance(part, datetime | date):
        return part.isoformat()
    return format(part, "f") if isinstance(part, Decimal) else str(part)
