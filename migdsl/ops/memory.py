"""What an operation overwrites becomes rows of the ledger's snapshot, and on the way back statements again."""

from __future__ import annotations

from migdsl.dialect.names import dollar_tag, literal
from migdsl.ops.context import Context


def remember(context: Context, subject: str, statement: str, source: str) -> str:
    """Keeps what `statement` (an SQL expression over `source`) gives: the statement that restores what is there now.

    Run again after a kill it keeps what it kept first.
    """
    return f"""INSERT INTO migdsl.snapshot (migration, revision, seq, sql)
SELECT {literal(context.migration)}, {literal(subject)}, 1, {statement}
  FROM {source}
    ON CONFLICT (migration, revision, seq) DO NOTHING"""


def in_full(statement: str) -> str:
    """A statement that keeps what PostgreSQL spells, with the schema of each name: who goes back may have another search_path."""
    body = f"""
DECLARE
  path text := current_setting('search_path');
BEGIN
  PERFORM set_config('search_path', 'pg_catalog', true);
{statement};
  PERFORM set_config('search_path', path, true);
END"""
    tag = dollar_tag(body, "full")
    return f"DO {tag}{body}\n{tag}"


def restore(context: Context, subject: str) -> str:
    """Runs what was kept, once."""
    own = f"migration = {literal(context.migration)} AND revision = {literal(subject)}"
    body = f"""
DECLARE
  saved text;
BEGIN
  IF to_regclass('migdsl.snapshot') IS NULL THEN
    RETURN;  -- a killed downgrade is repeated: all of it was done, and the ledger has gone
  END IF;
  FOR saved IN SELECT sql FROM migdsl.snapshot WHERE {own} ORDER BY seq LOOP
    EXECUTE saved;
  END LOOP;
  DELETE FROM migdsl.snapshot WHERE {own};
END"""
    tag = dollar_tag(body, "restore")
    return f"DO {tag}{body}\n{tag}"
