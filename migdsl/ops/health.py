"""A table's name and what the file says of pausing become the question that a running backfill asks: must I wait, and why?"""

from __future__ import annotations

from migdsl.dialect.names import literal
from migdsl.ops.conditions import hold
from migdsl.semantics.policy import Condition, comparisons

# Replicas that lag by more than this hold a backfill whose file doesn't say its own bound.
LAG_SECONDS = 10
# So many WAL files of 16 MB may wait for the archive: half a gigabyte.
WAITING_WAL = 32

_LAG = f"""SELECT 'replication lag is ' || round(max(r.lag)) || ' s'
          FROM (SELECT extract(epoch FROM coalesce(s.replay_lag, s.flush_lag, s.write_lag)) AS lag
                  FROM pg_catalog.pg_stat_replication AS s) AS r
        HAVING max(r.lag) > {LAG_SECONDS}"""
_ARCHIVING = """SELECT 'archiving WAL fails since ' || to_char(a.last_failed_time, 'YYYY-MM-DD HH24:MI:SS TZ')
          FROM pg_catalog.pg_stat_archiver AS a
         WHERE current_setting('archive_mode') <> 'off'
           AND a.last_failed_time > coalesce(a.last_archived_time, '-infinity')"""
# A WAL file's name is timeline, log and segment, eight hexadecimal digits each; a log has 4 GB.
_BACKLOG = f"""SELECT 'WAL files that wait to be archived: ' || w.waiting
          FROM (SELECT trunc(pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') / s.bytes)
                     - ('x' || substr(a.last_archived_wal, 9, 8))::bit(32)::bigint * (4294967296 / s.bytes)
                     - ('x' || substr(a.last_archived_wal, 17, 8))::bit(32)::bigint AS waiting
                  FROM pg_catalog.pg_stat_archiver AS a,
                       (SELECT pg_size_bytes(current_setting('wal_segment_size')) AS bytes) AS s
                 WHERE current_setting('archive_mode') <> 'off'
                   AND a.last_archived_wal ~ '^[0-9A-F]{{24}}$') AS w
         WHERE w.waiting > {WAITING_WAL}"""

# A replica that is away has no row in pg_stat_replication; its slot keeps for it all WAL that is written from then on. So much
# as the server keeps anyway costs no disk. What is lost (PostgreSQL has given it up) keeps nothing.
_SLOTS = """SELECT 'replication slots without a reader keep WAL: '
               || string_agg(k.slot_name || ' ' || pg_size_pretty(k.bytes), ', ' ORDER BY k.bytes DESC, k.slot_name)
          FROM (SELECT s.slot_name, pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn) AS bytes
                  FROM pg_catalog.pg_replication_slots AS s
                 WHERE NOT s.active AND s.wal_status <> 'lost'{but}) AS k
         WHERE k.bytes > pg_size_bytes(current_setting('max_wal_size'))"""


def question(table: str, said: Condition | None, ours: tuple[str, ...] = ()) -> str:
    """SQL that returns why a backfill of `table` (quoted, with its schema) must wait just now, or NULL; any reason counts.

    `said` is the file's own `pause when`, which is asked besides, and whose bound of replication_lag is the only one. `ours` are
    the slots of the migration's own sync jobs, which read them now and then: another transaction that stays open keeps their
    WAL, and whoever dropped one would lose keys.
    """
    own = hold(said) if said is not None else None
    used = {c.metric.name for c in comparisons(said)} if said is not None else set()
    reasons = [_ARCHIVING, _BACKLOG, _slots(ours), _vacuum(table), _locks(table)]
    if "replication_lag" not in used:
        reasons.insert(0, _LAG)
    if own is not None:
        reasons.insert(0, own.replace("\n", "\n        "))
    each = ",\n       ".join(f"({reason})" for reason in reasons)
    return f"""SELECT nullif(concat_ws('; ',
       {each}), '')"""


def _slots(ours: tuple[str, ...]) -> str:
    listed = ", ".join(map(literal, ours))
    return _SLOTS.format(but=f"\n                   AND s.slot_name NOT IN ({listed})" if ours else "")


def _vacuum(table: str) -> str:
    return f"""SELECT {literal(f"a VACUUM works on {table}: ")} || max(v.phase)
          FROM pg_catalog.pg_stat_progress_vacuum AS v
         WHERE v.relid = to_regclass({literal(table)})
        HAVING count(*) > 0"""


def _locks(table: str) -> str:
    # Other lanes wait for a row at times; they aren't whom it should make room for.
    return f"""SELECT {literal(f"sessions that wait for a lock on {table}: ")} || count(*)
          FROM pg_catalog.pg_locks AS l
         WHERE NOT l.granted
           AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
           AND l.relation = to_regclass({literal(table)})
           AND NOT EXISTS (SELECT FROM migdsl.slice AS s WHERE s.backend = l.pid)
        HAVING count(*) > 0"""
