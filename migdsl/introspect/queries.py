"""What is asked of the catalogue: a question each, for all tables at once. `{fresh}` stands for columns of newer servers."""

from __future__ import annotations

# Whatever the role's own settings are, SQL comes out in one spelling, with every name of a user's qualified.
BEGIN = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path = ''; SET LOCAL lock_timeout = '2s'; "
    "SET LOCAL statement_timeout = '60s'; SET LOCAL idle_in_transaction_session_timeout = '60s'; "
    "SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL timezone = 'UTC'; "
    "SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; SET LOCAL quote_all_identifiers = off; "
    "SET LOCAL standard_conforming_strings = on"
)

# What makes functions for itself, and is always rolled back.
ASK = BEGIN.replace("READ ONLY", "READ WRITE")

DATABASE = "SELECT current_database() AS name, current_setting('server_version_num')::int / 10000 AS version"

_USERS = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'"

RELATIONS = f"""
SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, c.reltuples::float8 AS rows,
       c.relpersistence = 'u' AS unlogged, c.relispartition AS partition, c.relrowsecurity AS secured,
       c.relforcerowsecurity AS forced, c.relreplident::text AS identity, array_to_string(c.reloptions, ', ') AS options,
       pg_get_partkeydef(c.oid) AS partitioned, c.reloftype::bigint AS typed, e.extname AS extension,
       ARRAY(SELECT i.inhparent::bigint FROM pg_inherits i WHERE i.inhrelid = c.oid ORDER BY i.inhseqno) AS parents
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e'
LEFT JOIN pg_extension e ON e.oid = d.refobjid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_USERS}
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"
"""

COLUMNS = f"""
SELECT a.attrelid::bigint AS relation, a.attnum::int AS number, a.attname AS name,
       format_type(a.atttypid, a.atttypmod) AS type, t.oid <> b.oid AS array, bn.nspname AS type_schema,
       b.typname AS type_name, b.typtype::text AS type_kind, a.attnotnull AS required, a.attidentity::text AS identity,
       a.attgenerated::text AS generated, pg_get_expr(d.adbin, d.adrelid, true) AS pretty,
       a.attislocal AS local,
       CASE WHEN a.attcollation NOT IN (t.typcollation, 0) THEN l.collname END AS collation,
       CASE WHEN b.typtype = 'd' THEN b.typnotnull ELSE false END AS domain_required,
       CASE WHEN b.typtype = 'e' THEN ARRAY(
           SELECT x.enumlabel FROM pg_enum x WHERE x.enumtypid = b.oid ORDER BY x.enumsortorder) END AS labels
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_type b ON b.oid = CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN t.typelem ELSE t.oid END
JOIN pg_namespace bn ON bn.oid = b.typnamespace
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE c.relkind IN ('r', 'p', 'f') AND {_USERS} AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
"""

SEQUENCES = """
SELECT d.refobjid::bigint AS relation, d.refobjsubid::int AS number, s.seqstart AS start, s.seqincrement AS increment,
       s.seqcycle AS cycle
FROM pg_sequence s
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid AND d.deptype = 'i'
                AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
"""

CONSTRAINTS = f"""
SELECT k.conrelid::bigint AS relation, k.conname AS name, k.contype::text AS kind, k.convalidated AS validated,
       k.condeferrable AS deferrable, k.condeferred AS deferred, k.conkey::int[] AS columns, k.confkey::int[] AS targets,
       k.confrelid::bigint AS target, k.confdeltype::text AS deleting, k.confupdtype::text AS updating,
       k.confmatchtype::text AS matching, k.connoinherit AS no_inherit, k.conislocal AS local,
       k.conindid::bigint AS index,
       ARRAY(SELECT o.oprname::text FROM unnest(k.conexclop) WITH ORDINALITY x (oid, at) JOIN pg_operator o ON o.oid = x.oid
             ORDER BY x.at) AS operators, pg_get_expr(k.conbin, k.conrelid, true) AS pretty,
       pg_get_constraintdef(k.oid, true) AS definition, {{fresh}}
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_USERS} AND k.contype IN ('p', 'u', 'c', 'f', 'x', 'n')
  AND (k.contype <> 'f' OR k.conparentid = 0)
ORDER BY k.conrelid, k.conname COLLATE "C"
"""
CONSTRAINTS_FRESH = (
    (15, "k.confdelsetcols::int[]", "set_columns", "NULL::int[]"),
    (18, "k.conenforced", "enforced", "true"),
)

INDEXES = f"""
SELECT i.indrelid::bigint AS relation, i.indexrelid::bigint AS oid, c.relname AS name, m.amname AS method,
       i.indisunique AS unique, i.indisvalid AS valid, i.indnkeyatts::int AS keys,
       pg_get_expr(i.indpred, i.indrelid, true) AS pretty,
       pg_get_indexdef(i.indexrelid) AS definition,
       EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')) AS constrained,
       ARRAY(SELECT i.indkey[p]::int FROM generate_series(0, i.indnatts - 1) p ORDER BY p) AS columns,
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, p + 1, true) FROM generate_series(0, i.indnatts - 1) p ORDER BY p) AS parts,
       EXISTS (
           SELECT FROM generate_series(0, i.indnkeyatts - 1) p
           LEFT JOIN pg_opclass o ON o.oid = i.indclass[p]
           LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[p] AND a.attnum > 0
           WHERE a.attnum > 0 AND i.indcollation[p] NOT IN (0, a.attcollation)
       ) AS collated,
       ARRAY(SELECT i.indoption[p]::int FROM generate_series(0, i.indnkeyatts - 1) p ORDER BY p) AS orders,
       ARRAY(SELECT CASE WHEN NOT o.opcdefault THEN o.opcname END FROM generate_series(0, i.indnkeyatts - 1) p
               LEFT JOIN pg_opclass o ON o.oid = i.indclass[p] ORDER BY p)::text[] AS classes,
       ARRAY(SELECT s.nspname FROM generate_series(0, i.indnkeyatts - 1) p
               LEFT JOIN pg_opclass o ON o.oid = i.indclass[p]
               LEFT JOIN pg_namespace s ON s.oid = o.opcnamespace ORDER BY p)::text[] AS class_schemas, {{fresh}}
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_class r ON r.oid = i.indrelid
JOIN pg_namespace n ON n.oid = r.relnamespace
JOIN pg_am m ON m.oid = c.relam
WHERE {_USERS}
ORDER BY i.indrelid, c.relname COLLATE "C"
"""
INDEXES_FRESH = ((15, "i.indnullsnotdistinct", "nulls_not_distinct", "false"),)

TRIGGERS = f"""
SELECT t.tgrelid::bigint AS relation, t.tgname AS name, t.tgtype::int AS bits, t.tgenabled::text AS enabled,
       pn.nspname || '.' || p.proname AS function, p.prosrc AS body,
       ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = t.tgrelid AND a.attnum = ANY (t.tgattr::int2[])
             ORDER BY a.attnum)::text[] AS columns
FROM pg_trigger t
JOIN pg_class c ON c.oid = t.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_proc p ON p.oid = t.tgfoid
JOIN pg_namespace pn ON pn.oid = p.pronamespace
WHERE NOT t.tgisinternal AND {_USERS}
ORDER BY t.tgrelid, t.tgname COLLATE "C"
"""

VIEWS = f"""
SELECT DISTINCT d.refobjid::bigint AS relation, vn.nspname AS schema, v.relname AS name
FROM pg_depend d
JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
JOIN pg_class v ON v.oid = r.ev_class
JOIN pg_namespace vn ON vn.oid = v.relnamespace
JOIN pg_class c ON c.oid = d.refobjid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE d.refclassid = 'pg_class'::regclass AND v.oid <> c.oid AND v.relkind IN ('v', 'm') AND {_USERS}
ORDER BY 1, 2, 3
"""

# What else stands on a table, each in words.
EXTRAS = f"""
SELECT o.relation::bigint AS relation, o.kind, o.name, o.words
FROM (
    SELECT p.polrelid AS relation, 'policy' AS kind, p.polname AS name,
           CASE p.polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update' WHEN 'd' THEN 'delete'
                         ELSE 'all' END AS words
    FROM pg_policy p
    UNION ALL
    SELECT r.ev_class, 'rule', r.rulename, '' FROM pg_rewrite r WHERE r.rulename <> '_RETURN'
    UNION ALL
    SELECT s.stxrelid, 'statistics', s.stxname, pg_get_statisticsobjdef(s.oid) FROM pg_statistic_ext s
) o
JOIN pg_class c ON c.oid = o.relation
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_USERS}
ORDER BY o.relation, o.kind, o.name COLLATE "C"
"""

TYPES = f"""
SELECT n.nspname AS schema, t.typname AS name, t.typtype::text AS kind,
       CASE t.typtype
           WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) || CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END
               || coalesce(' DEFAULT ' || t.typdefault, '')
               || coalesce((SELECT string_agg(' ' || pg_get_constraintdef(k.oid, true), '' ORDER BY k.conname COLLATE "C")
                            FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'), '')
           WHEN 'e' THEN (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
                          FROM pg_enum e WHERE e.enumtypid = t.oid)
           WHEN 'c' THEN (SELECT string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod), ', '
                                            ORDER BY a.attnum)
                          FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
           WHEN 'r' THEN (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = t.oid)
       END AS words
FROM pg_type t
JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE {_USERS} AND t.typtype IN ('d', 'e', 'c', 'r') AND (t.typtype <> 'c' OR c.relkind = 'c')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
ORDER BY n.nspname COLLATE "C", t.typname COLLATE "C"
"""


def fresh(query: str, version: int, columns: tuple[tuple[int, str, str, str], ...]) -> str:
    """The query with the columns that the server has, and what stands in for the others.

    Each of `columns` is the first version that has it, its SQL, its name in the result, and the SQL for older ones.
    """
    found = [f"{sql if version >= first else instead} AS {name}" for first, sql, name, instead in columns]
    return query.replace("{fresh}", ", ".join(found))
