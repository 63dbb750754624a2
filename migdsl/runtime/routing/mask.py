"""Turns values into keyed hashes, so that logs can say which differ without saying what they are."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Collection, Mapping
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
        return self._digest(spoken).hex()[:16]

    def number(self, value: int) -> int:
        """128 bits, as a number, of a number that a server's own hash of values makes: anybody could try values on that."""
        return int.from_bytes(self._digest(f"number:{value}".encode())[:16], "big")

    def _digest(self, spoken: bytes) -> bytes:
        return hmac.digest(self._secret, spoken, hashlib.sha256)

    def difference(self, old: object, new: object, columns: Collection[str] = ()) -> str:
        """Which parts of two values differ, as `name old-hash new-hash`; the whole where they have no parts in common.

        A mapping's own keys may be data (`{"ada": …}`): those among `columns` are shown, of others the hash.
        """
        before, after = self._parts(old, columns), self._parts(new, columns)
        if before is None or after is None:
            return f"value {self.of(old)} {self.of(new)}"
        names = [name for name in {**before, **after} if before.get(name, _ABSENT) != after.get(name, _ABSENT)]
        return "; ".join(f"{name} {self._part(before, name)} {self._part(after, name)}" for name in names) or "type"

    def _part(self, parts: Mapping[str, object], name: str) -> str:
        return self.of(parts[name]) if name in parts else "absent"

    def _parts(self, value: object, columns: Collection[str]) -> Mapping[str, object] | None:
        if isinstance(value, Mapping):
            return {self._named(name, columns): part for name, part in value.items()}
        if isinstance(value, tuple | list):
            return {f"[{number}]": part for number, part in enumerate(value)}
        return None

    def _named(self, name: object, columns: Collection[str]) -> str:
        return name if isinstance(name, str) and name in columns else self.of(name)


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
