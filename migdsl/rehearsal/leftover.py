"""A database behind the last phase becomes what was left undone there: rules that were never validated, numbers that end."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from migdsl.ops import names
from migdsl.rehearsal.model import Log
from migdsl.rehearsal.stage import Stage
from migdsl.semantics.model import Table

_OTHERS = "n.nspname NOT IN ('pg_catalog', 'information_schema', 'migdsl')"
# An old int's sequence under a bigint is the very outage that the column was made wider for.
_UNDONE = f"""
SELECT format('%I of %s was never validated', c.conname, c.conrelid::regclass)
  FROM pg_catalog.pg_constraint AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.connamespace
 WHERE NOT c.convalidated AND {_OTHERS}
UNION ALL
SELECT format('the index %s is invalid', i.indexrelid::regclass)
  FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS r ON r.oid = i.indexrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = r.relnamespace
 WHERE NOT i.indisvalid AND {_OTHERS}
UNION ALL
SELECT format('the numbers of %s.%I end at %s', d.refobjid::regclass, a.attname, s.seqmax)
  FROM pg_catalog.pg_sequence AS s
  JOIN pg_catalog.pg_depend AS d ON d.objid = s.seqrelid AND d.classid = 'pg_class'::regclass
   AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
 WHERE a.atttypid = 'int8'::regtype AND s.seqmax BETWEEN 1 AND 2147483647
UNION ALL
SELECT format('the trigger %I of %s is still there', t.tgname, t.tgrelid::regclass)
  FROM pg_catalog.pg_trigger AS t
 WHERE NOT t.tgisinternal AND t.tgname LIKE '~migdsl%'
 ORDER BY 1"""


_COLUMNS = b"""
SELECT attname FROM pg_catalog.pg_attribute
 WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attname <> ALL ($2::text[]) ORDER BY attnum"""


def undone(stage: Stage, tables: Sequence[Table], log: Log) -> None:
    """Of tables that the rehearsal has made itself: what the dump of somebody's own has besides isn't the migration's.

    `tables` are those that there are to be.
    """
    with stage.connect() as connection, psycopg.RawCursor(connection) as cursor:
        found = [str(what) for (what,) in cursor.execute(_UNDONE.encode()).fetchall()]
        for table in tables:
            name, declared = names.table(table), [column.name for column in table.columns]
            rows = cursor.execute(_COLUMNS, [name, declared]).fetchall()
            found += [f"the column {column} of {name} is still there" for (column,) in rows]
    for what in found:
        log.against("catalog_target", what, "", "the last revisions must end what those before them began")
