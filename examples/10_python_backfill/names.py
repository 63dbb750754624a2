"""What the application and the backfill of search_key both call, so that they agree."""

import unicodedata
from collections.abc import Mapping, Sequence


def search_key(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """A key for each row's name: without accents, case and doubled blanks. `Zoë  LÖWE` becomes `zoe lowe`."""
    return [_key(str(row["name"])) for row in rows]


def _key(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.casefold())
    return " ".join("".join(c for c in letters if not unicodedata.combining(c)).split())
