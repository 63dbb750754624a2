"""The conditions of the late phases, as SQL over the ledger alone: each returns what is missing, or NULL."""

from __future__ import annotations

from migdsl.dialect.names import literal
from migdsl.ops.model import Gate

WINDOW_SECONDS = 86_400
_LOGGED_AHEAD = (
    32  # PostgreSQL's SEQ_LOG_VALS: what is replayed of a sequence stands so far ahead of what was given out
)
_REACHED = {"live": "('live', 'rampdown', 'complete')", "complete": "('complete')"}


def refusal(phase: str, asked: tuple[Gate, ...]) -> str:
    """The step that asks, as a title: the last is the most specific, and the exit criteria have all of them."""
    more = f", and {len(asked) - 1} more" if len(asked) > 1 else ""
    return f"Refuse {phase} until its conditions hold ({asked[-1].title}{more})"


def since_left(migration: str, alias: str) -> str:
    """That an event is of this attempt: what was read before the migration last left the ledger speaks of rows that are gone."""
    left = f"SELECT max(l.id) FROM migdsl.event AS l WHERE l.migration = {literal(migration)} AND l.kind = 'left'"
    return f"{alias}.id > coalesce(({left}), 0)"


def stage(migration: str, least: str) -> Gate:
    """Every tenant's deployed stage is at least `least` (live or complete)."""
    how = f"switched by {migration}: nobody's stage is before live" if least == "live" else f"complete in {migration}"
    return Gate(
        f"stage_{least}",
        f"everybody is {how}",
        _outside(migration, _REACHED[least], f"{least} for all is needed"),
    )


def unused(migration: str) -> Gate:
    """Nobody's deployed stage is beyond off: what is on the new side alone is about to go, with the columns or tables themselves.

    Where a killed way back is repeated the ledger may have gone.
    """
    needed = "off for all is needed: deploy the flag at off, and record it, before expand is taken back"
    title = f"nobody uses the new side of {migration}: everybody's stage is off"
    return Gate("stage_off", title, _outside(migration, "('off')", needed), needs=("migdsl.event",))


def _outside(migration: str, stages: str, needed: str) -> str:
    """Who stands at none of the stages by the newest record of all, and of those that were recorded apart since."""
    return f"""SELECT 'the deployed stage of ' || string_agg(subject || ' is ' || value, ', ' ORDER BY subject)
             || ', and {needed}'
  FROM (SELECT DISTINCT ON (subject) id, subject, value FROM migdsl.event
         WHERE migration = {literal(migration)} AND kind = 'stage' ORDER BY subject, id DESC) AS latest
 WHERE value NOT IN {stages}
   AND id >= (SELECT max(id) FROM migdsl.event
               WHERE migration = {literal(migration)} AND kind = 'stage' AND subject = 'all')"""


def backfilled(migration: str, backfill: str) -> Gate:
    """Every slice of the backfill has succeeded and no row was set aside; it was planned for all tenants, not for some."""
    own = f"migration = {literal(migration)} AND backfill = {literal(backfill)}"
    run = f"e.migration = {literal(migration)} AND e.kind = 'job' AND e.subject = {literal(backfill)} AND e.value = 'planned'"
    return Gate(
        f"backfilled_{backfill}",
        f"the backfill of {backfill} is done, and has set no row aside",
        f"""SELECT CASE WHEN NOT EXISTS (SELECT FROM migdsl.event AS e WHERE {run} AND {since_left(migration, 'e')})
            THEN 'the backfill {_inner(backfill)} has not been run' || CASE WHEN count(*) > 0 THEN ' for all tenants' ELSE '' END
            WHEN count(*) FILTER (WHERE state <> 'succeeded') > 0
            THEN 'the backfill {_inner(backfill)} is not done: ' || count(*) FILTER (WHERE state <> 'succeeded')
                 || ' of ' || count(*) || ' slices are left'
            ELSE (SELECT 'the backfill {_inner(backfill)} has set rows aside: ' || count(*)
                    FROM migdsl.quarantine WHERE {own} HAVING count(*) > 0) END
  FROM migdsl.slice WHERE {own}""",
    )


def listed(migration: str, entity: str, elsewhere: str | None = None, *, closed: bool = False) -> Gate:
    """The newest count of rows whose tenant is not in the list is 0.

    A list that is `elsewhere`, in another database, can't be asked from here: the count must be young; unless the side that is
    counted may be `closed` by then.
    """
    own = f"migration = {literal(migration)} AND kind = 'reading' AND subject = {literal('tenants_unlisted:' + entity)}"
    old = _held_against(entity, elsewhere) if elsewhere and not closed else ""
    of = f" of {elsewhere}" if elsewhere else ""
    return Gate(
        f"tenants_unlisted_{entity}",
        f"no row of {entity} belongs to a tenant that the list{of} leaves out",
        f"""SELECT CASE WHEN max(id) IS NULL THEN 'tenants_unlisted of {_inner(entity)} has not been counted'{old}
            ELSE (SELECT 'tenants_unlisted of {_inner(entity)} is ' || value || ', not 0'
                    FROM migdsl.event AS newest WHERE newest.id = max(event.id) AND value <> '0') END
  FROM migdsl.event WHERE {own} AND {since_left(migration, 'event')}""",
    )


def _held_against(entity: str, elsewhere: str) -> str:
    said = f"tenants_unlisted of {_inner(entity)} was held against the list of {_inner(elsewhere)}"
    return f"""
            WHEN max(at) <= clock_timestamp() - interval '{WINDOW_SECONDS} seconds'
            THEN '{said} more than {WINDOW_SECONDS // 3600} hours ago'"""


def clean(migration: str, entity: str, *, closed: bool = False) -> Gate:
    """Whole reconciliations were clean for a window since the switch: two readings or more, none bad.

    A reading speaks of all tenants that were listed then: one that came since needs no past, one that left holds nobody up.
    `closed`: there may be nothing to compare with by now, so that the newest reading is the last.
    """
    own = f"r.migration = {literal(migration)} AND r.kind = 'reading' AND r.subject = {literal('problems:' + entity)}"
    upto = f"(SELECT max(r.at) FROM migdsl.event AS r WHERE {own})" if closed else "clock_timestamp()"
    window = f"{upto} - interval '{WINDOW_SECONDS} seconds'"
    hours = WINDOW_SECONDS // 3600
    return Gate(
        f"reconciled_{entity}",
        f"reconciliation of {entity} found no difference and no violation for {hours} hours",
        f"""SELECT 'reconciliation of {_inner(entity)} lacks two clean readings {hours} hours apart since the switch,'
             || ' or has a bad one since'
 WHERE NOT (EXISTS (SELECT FROM migdsl.event AS r WHERE {own} AND r.value = '0' AND r.at > {window})
        AND EXISTS (SELECT FROM migdsl.event AS r WHERE {own} AND r.value = '0' AND r.at <= {window}
                       AND r.at >= {_switched(migration)})
        AND NOT EXISTS (SELECT FROM migdsl.event AS r WHERE {own} AND r.value <> '0'
                           AND r.at >= (SELECT max(r.at) FROM migdsl.event AS r
                                         WHERE {own} AND r.at <= {window})))""",
    )


def agreed(migration: str, entity: str) -> Gate:
    """The last two whole reconciliations found nothing, and the newest is not older than the window."""
    own = f"r.migration = {literal(migration)} AND r.kind = 'reading' AND r.subject = {literal('problems:' + entity)}"
    hours = WINDOW_SECONDS // 3600
    return Gate(
        f"agreed_{entity}",
        f"the last two reconciliations of {entity} found no difference and no violation",
        f"""SELECT 'the last two reconciliations of {_inner(entity)} must have found nothing, the newest within {hours} hours'
  FROM (SELECT r.value, r.at FROM migdsl.event AS r
         WHERE {own} AND {since_left(migration, 'r')} ORDER BY r.id DESC LIMIT 2) AS last
HAVING count(*) FILTER (WHERE last.value = '0') < 2
    OR max(last.at) < clock_timestamp() - interval '{WINDOW_SECONDS} seconds'""",
    )


def swapped(migration: str, seconds: int) -> Gate:
    """The columns were swapped that long ago, and stayed so."""
    own = f"e.migration = {literal(migration)} AND e.kind = 'swap' AND e.subject = 'columns'"
    return Gate(
        "swapped",
        f"{lasting(seconds)} have passed since the swap of {migration}",
        f"""SELECT CASE WHEN max(e.id) IS NULL OR (SELECT n.value FROM migdsl.event AS n WHERE n.id = max(e.id)) <> 'new'
            THEN 'the columns have not been swapped'
            WHEN max(e.at) > clock_timestamp() - interval '{seconds} seconds'
            THEN 'the soak of {lasting(seconds)} since the swap lasts until '
                 || to_char(max(e.at) + interval '{seconds} seconds', 'YYYY-MM-DD HH24:MI TZ') END
  FROM migdsl.event AS e WHERE {own}""",
    )


def soaked(migration: str, seconds: int) -> Gate:
    """All tenants have been live for the soak."""
    return Gate(
        "soak",
        f"{lasting(seconds)} have passed since everybody was live in {migration}",
        f"""SELECT CASE WHEN switched IS NULL THEN 'the migration has not been live for all'
            WHEN switched > clock_timestamp() - interval '{seconds} seconds'
            THEN 'the soak of {lasting(seconds)} lasts until '
                 || to_char(switched + interval '{seconds} seconds', 'YYYY-MM-DD HH24:MI TZ') END
  FROM (SELECT {_switched(migration)} AS switched) AS since""",
    )


def silent(migration: str, entity: str, counter: str, seconds: int, written: str) -> Gate:
    """The counter of old code's writes stands where it stood when the soak began; `written` is what old code writes.

    A standby that takes over, or a crash, moves it as well, and can't be told from writes: it isn't excused, but named.
    """
    own = f"migration = {literal(migration)} AND kind = 'reading' AND subject = {literal('old_writes:' + entity)}"
    last = lasting(seconds)
    return Gate(
        f"old_writes_{entity}",
        f"no old code has written {written} during the soak",
        f"""SELECT CASE WHEN count(*) = 0
            THEN 'old_writes of {_inner(entity)} was not read before the soak of {lasting(seconds)} began'
            WHEN (SELECT value FROM migdsl.event AS newest WHERE newest.id = max(event.id))
                 <> (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {counter})::text
            THEN 'old code still wrote {_inner(written)} within the last {last}' || coalesce((
                 SELECT ', or a failover or a crash of the server moved their counter (from ' || newest.value || ' to '
                        || counter.last_value || '); where no old code runs any more this holds {last} after the first'
                        || ' reconciliation since then'
                   FROM {counter} AS counter, migdsl.event AS newest
                  WHERE newest.id = max(event.id) AND counter.log_cnt = 0
                    AND counter.last_value - newest.value::bigint BETWEEN 1 AND {_LOGGED_AHEAD}), '') END
  FROM migdsl.event
 WHERE {own} AND at >= {_switched(migration)} AND at <= clock_timestamp() - interval '{seconds} seconds'""",
    )


def repaired(migration: str) -> Gate:
    """No second write that an application's router recorded as failed is still to be repaired.

    What it recorded before the migration last left the ledger is gone with the side that it was about.
    """
    own = f"r.migration = {literal(migration)} AND r.kind = 'repair'"
    return Gate(
        "repaired",
        f"no second write of {migration} that failed waits for its repair",
        f"""SELECT 'second writes that failed wait for their repair: ' || count(*)
  FROM migdsl.event AS r
 WHERE {own} AND {since_left(migration, 'r')}
   AND NOT EXISTS (SELECT FROM migdsl.event AS d
                    WHERE d.migration = r.migration AND d.kind = 'repaired' AND d.subject = r.subject
                      AND d.value = r.id::text)
HAVING count(*) > 0""",
    )


def _switched(migration: str) -> str:
    """Since when the stage of all has been live or later without a break."""
    own = f"e.migration = {literal(migration)} AND e.kind = 'stage' AND e.subject = 'all'"
    log = f"FROM migdsl.event AS e WHERE {own}"
    before = f"(SELECT max(e.id) {log} AND e.value NOT IN {_REACHED['live']})"
    return f"(SELECT min(e.at) {log} AND e.id > coalesce({before}, 0))"


def _inner(text: str) -> str:
    """A text inside an SQL string."""
    return text.replace("'", "''")


def lasting(seconds: int) -> str:
    """`86400` → `1 day`; in the largest unit that it is a number of."""
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds % length == 0 and seconds >= length:
            return f"{seconds // length} {unit if seconds != length else unit[:-1]}"
    return f"{seconds} seconds"
