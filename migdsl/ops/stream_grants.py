"""What people granted on a stream's fence and outbox becomes statements of the ledger, which the way back out of contract runs.

A module that writes both sides asks the fence as the application's own role. Contract drops both; made again without their
grants, each new process of the application would fail.
"""

from __future__ import annotations

from migdsl.dialect.names import literal
from migdsl.ops import memory
from migdsl.ops.context import Context
from migdsl.ops.stream_model import Moved, Side

_TO = (
    "TO %s%s', g.privilege_type, {of}, CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END, "
    "CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)"
)


def remember(moved: Moved, side: Side) -> str:
    """An INSERT that keeps the grants on the fence, and on the outbox and the sequence of its numbers."""
    outbox = literal(moved.outbox(side))
    parts = (
        f"""SELECT format('GRANT %s ON FUNCTION %s {_TO.format(of="p.oid::regprocedure")}
  FROM pg_proc AS p, aclexplode(p.proacl) AS g
 WHERE p.oid = to_regprocedure({literal(f"{moved.fence}(text, boolean)")}) AND g.grantee <> p.proowner""",
        f"""SELECT format('GRANT %s ON TABLE %s {_TO.format(of="c.oid::regclass")}
  FROM pg_class AS c, aclexplode(c.relacl) AS g
 WHERE c.oid = to_regclass({outbox}) AND g.grantee <> c.relowner""",
        f"""SELECT format('GRANT %s ON SEQUENCE %s {_TO.format(of="s.oid::regclass")}
  FROM pg_depend AS d JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S', aclexplode(s.relacl) AS g
 WHERE d.refobjid = to_regclass({outbox}) AND d.classid = 'pg_class'::regclass AND g.grantee <> s.relowner""",
    )
    granted = "\nUNION ALL\n".join(parts)
    return memory.in_full(f"""INSERT INTO migdsl.snapshot (migration, revision, seq, sql)
SELECT {literal(moved.migration)}, {literal(_subject(moved, side))}, row_number() OVER (ORDER BY sql COLLATE "C"), sql
  FROM (
{granted}
) AS granted (sql)
    ON CONFLICT (migration, revision, seq) DO NOTHING""")


def restore(context: Context, moved: Moved, side: Side) -> str:
    """Gives them again, when all stands there again."""
    return memory.restore(context, _subject(moved, side))


def _subject(moved: Moved, side: Side) -> str:
    return f"granted {moved.outbox(side)}"
