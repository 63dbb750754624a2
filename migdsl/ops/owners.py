"""A moved table that has its tenant by way of another becomes a question to the database: does each row belong to one there?"""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import dollar_tag, literal, qualified
from migdsl.ops import names
from migdsl.ops.model import Group, Step
from migdsl.semantics.model import Table
from migdsl.semantics.phrases import placed


def lower(table: Table) -> Iterator[Step]:
    """The step that refuses where nothing keeps the table's rows from belonging to nobody: whose such a row is can't be told."""
    if table.via is None:
        return
    hop = table.via.hops[0]
    place, parent = literal(names.table(table)), literal(qualified(hop.schema, hop.name))
    body = f"""
BEGIN
  IF NOT EXISTS (SELECT FROM pg_constraint AS c
                  WHERE c.contype = 'f' AND c.convalidated
                    AND c.conrelid = {place}::regclass AND c.confrelid = {parent}::regclass
                    AND c.conkey = {_columns("c.conrelid", hop.column)} AND c.confkey = {_columns("c.confrelid", hop.key)}) THEN
    RAISE EXCEPTION 'no foreign key that holds for all rows leads from % of % to %', {literal(hop.column)}, {place}, {parent}
      USING ERRCODE = '55000', HINT = 'make it first: ADD CONSTRAINT ... FOREIGN KEY ... NOT VALID, then VALIDATE CONSTRAINT';
  END IF;
END"""
    tag = dollar_tag(body, "owned")
    title = f"Refuse where rows of {placed(table)} may belong to no {hop.entity}, as a foreign key is missing"
    yield Step("expand", "check_table", title, table, rank=0, up=(Group((), (f"DO {tag}{body}\n{tag}",)),))


def _columns(relation: str, column: str) -> str:
    return f"ARRAY[(SELECT a.attnum FROM pg_attribute AS a WHERE a.attrelid = {relation} AND a.attname = {literal(column)})]"
