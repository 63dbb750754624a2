"""Schemas that a trigger with its owner's rights finds names in become a question: may anybody else put something there?

An operator that fits an expression's types better than PostgreSQL's own is taken before it, wherever on the path it stands:
who makes one would have it run, with the next write, as the role that runs the revisions.
"""

from __future__ import annotations

from migdsl.dialect.names import dollar_tag, literal, quote
from migdsl.ops import names
from migdsl.ops.model import Group, Step
from migdsl.semantics.model import Table

_ALWAYS = "public"  # extensions, and functions of one's own, are usually there: an expression may need them


def search_path(*tables: Table) -> str:
    """What a trigger between these tables, and whoever proves its expressions, finds names in."""
    return ", ".join(dict.fromkeys(["pg_catalog", *(quote(t.schema) for t in tables), _ALWAYS, "pg_temp"]))


def lower(source: Table, target: Table, trigger: str) -> Step:
    """The step that refuses where others may create in these schemas; `trigger` is what people call it.

    Superusers, a schema's owner and the owner of the source may: what they put on a table runs as whoever writes to it, anyway.
    """
    schemas = tuple(dict.fromkeys([source.schema, target.schema, _ALWAYS]))
    title = f"Refuse where others may create functions or operators in {' or '.join(schemas)}, where {trigger} finds names: "
    title += "it runs with its owner's rights"
    return Step("expand", "check_table", title, source, rank=0, up=(Group((), (_refuse(source, schemas),)),))


def _refuse(source: Table, schemas: tuple[str, ...]) -> str:
    table, listed = literal(names.table(source)), ", ".join(map(literal, schemas))
    body = f"""
DECLARE
  others text;
  way text;
BEGIN
  SELECT string_agg(format('%s in %s %s', g.who, lower(g.kind), g.name), ', ' ORDER BY g.kind, g.name, g.who),
         string_agg(format('REVOKE CREATE ON %s %s FROM %s', g.kind, g.name, g.who), '; ' ORDER BY g.kind, g.name, g.who)
    INTO others, way
    FROM (SELECT DISTINCT p.kind, p.name, CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END AS who
            FROM (SELECT 'SCHEMA' AS kind, quote_ident(n.nspname) AS name, n.nspowner AS owner,
                         coalesce(n.nspacl, acldefault('n', n.nspowner)) AS acl
                    FROM pg_namespace AS n WHERE n.nspname IN ({listed})
                   UNION ALL
                  -- Where {_ALWAYS} isn't there, who may make it may put something there.
                  SELECT 'DATABASE', quote_ident(d.datname), d.datdba, coalesce(d.datacl, acldefault('d', d.datdba))
                    FROM pg_database AS d
                   WHERE d.datname = current_database() AND to_regnamespace({literal(_ALWAYS)}) IS NULL) AS p
           CROSS JOIN LATERAL aclexplode(p.acl) AS x
           WHERE x.privilege_type = 'CREATE' AND x.grantee <> p.owner
             AND NOT EXISTS (SELECT FROM pg_roles AS r JOIN pg_class AS c ON c.oid = {table}::regclass
                              WHERE r.oid = x.grantee AND (r.rolsuper OR pg_has_role(r.oid, c.relowner, 'MEMBER')))) AS g;
  IF others IS NOT NULL THEN
    RAISE EXCEPTION 'others may create where the trigger of % finds functions and operators: %', {table}, others
      USING ERRCODE = '55000', HINT = 'the trigger runs with the rights of the role that runs the revisions, and would run what '
        'they put there: ' || way;
  END IF;
END"""
    tag = dollar_tag(body, "closed")
    return f"DO {tag}{body}\n{tag}"
