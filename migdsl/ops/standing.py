"""What an entity says stands on its columns becomes JSON for the procedures that find it in the catalog, and call them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache

from migdsl.dialect.names import literal
from migdsl.ops import names
from migdsl.resources import read_resource
from migdsl.semantics.model import Constraint, Table
from migdsl.semantics.phrases import called
from migdsl.semantics.shapes import IndexShape

_SEPARATOR = re.compile(r"^-- ;$", re.MULTILINE)
_DELETES = {"CASCADE": "c", "SET NULL": "n", "SET DEFAULT": "d", "RESTRICT": "r"}
Said = Mapping[str, object]


@cache
def procedures() -> tuple[str, ...]:
    """The DDL of the procedures, which live beside the ledger and go with it."""
    found = _SEPARATOR.split(read_resource("templates", "alembic/catalog.sql"))
    return tuple(statement.strip().rstrip(";") for statement in found)


def said(table: Table, of: Constraint) -> Said:
    """A constraint or an index of a table: found by its columns, and by its name where the entity gives one."""
    name = {"name": of.name} if of.name is not None else {"usual": called(table, of)}
    kind = "unique index" if of.unique_index else of.kind
    return {"of": names.table(table), "kind": kind, "columns": sorted(of.uses), **name}


def said_whole(table: Table, of: Constraint) -> Said:
    """The same with what else a twin of it would be made from."""
    deletes = _DELETES.get(of.target.on_delete or "", "a") if of.target else "a"
    return {**said(table, of), "deletes": deletes, **(_traits(of.index) if of.index else {})}


def _traits(of: IndexShape) -> Said:
    """What there is to an index beside its columns, as far as it isn't plain."""
    found: dict[str, object] = {}
    if of.where is not None:
        found["partial"] = True
    if any(part.expression for part in of.parts):
        found["computed"] = True
    if any(part.bits for part in of.parts):
        found["order"] = " ".join(str(part.bits) for part in of.parts)
    if any(part.operators for part in of.parts):
        found["operators"] = [part.operators[-1] if part.operators else None for part in of.parts]
    return found


def call(procedure: str, *arguments: str | bool | Said | Iterable[Said]) -> str:
    """A CALL of one of the procedures."""
    return f"CALL migdsl.{procedure}({', '.join(map(_argument, arguments))})"


def jsonb(value: Said | Iterable[Said]) -> str:
    """What procedures of other modules are given."""
    return _argument(value)


def _argument(value: str | bool | Said | Iterable[Said]) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, str):
        return literal(value)
    known = value if isinstance(value, Mapping) else list(value)
    return f"{literal(json.dumps(known, ensure_ascii=False))}::jsonb"
