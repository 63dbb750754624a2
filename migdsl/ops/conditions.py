"""Conditions become SQL: over the ledger for the gates of revisions, over the server's own views for a job's pauses.

A condition holds in SQL where it is known to hold: what was never measured doesn't.
"""

from __future__ import annotations

from collections.abc import Iterator

from migdsl.dialect.names import literal
from migdsl.ops.gates import since_left
from migdsl.ops.model import Gate
from migdsl.semantics.policy import Comparison, Condition, Held, Joined, comparisons, spoken
from migdsl.values import Value

READINGS = frozenset(
    "drift_rate rows_missing rows_extra rows_mismatched tenants_unlisted sync_lag dead_letters".split()
)
_OF_STREAMS = frozenset(["sync_lag", "dead_letters"])
_SLICES = frozenset(["backfill_progress", "backfill_errors"])


class Subjects(Value):
    """What a migration's metrics are measured of: entities that are reconciled, those that have tenants, backfills, and
    entities that are `carried` to another database. Of those `closed` nothing more is measured when it is asked."""

    migration: str
    entities: tuple[str, ...]
    owned: tuple[str, ...]
    backfills: tuple[str, ...]
    carried: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()

    def of(self, metric: str) -> tuple[str, ...]:
        """The subjects of a metric; a condition must hold for each."""
        if metric in _SLICES:
            return self.backfills
        if metric in _OF_STREAMS:
            return tuple(each for each in self.carried if each not in self.closed)
        return self.owned if metric == "tenants_unlisted" else self.entities

    def measured(self, condition: Condition) -> bool:
        """Whether anything that it compares is still measured: on how far a stream is behind there may be nobody to tell."""
        lag = [c for c in comparisons(condition) if c.metric.name == "sync_lag"]
        return len(lag) < len(comparisons(condition)) or not self.carried or bool(self.of("sync_lag"))


def split(condition: Condition) -> tuple[Condition | None, Condition | None]:
    """The part that the ledger knows, and the rest, which only a monitoring system does."""
    parts = condition.parts if isinstance(condition, Joined) and not condition.either else (condition,)
    return _all([p for p in parts if _known(p)]), _all([p for p in parts if not _known(p)])


def _all(parts: list[Condition]) -> Condition | None:
    if len(parts) < 2:
        return parts[0] if parts else None
    return Joined(False, tuple(parts))


def _known(condition: Condition) -> bool:
    if isinstance(condition, Held):
        # Of slices the ledger has the present state alone.
        return all(c.metric.promql is None and c.metric.name in READINGS for c in comparisons(condition))
    if isinstance(condition, Comparison):
        return condition.metric.promql is None and condition.metric.name in READINGS | _SLICES
    return all(_known(part) for part in condition.parts)


def gate(name: str, condition: Condition, subjects: Subjects) -> Gate:
    """A gate that is met while the condition, of which the ledger knows all, holds."""
    said = spoken(condition)
    values = [
        f"{text(f'{c.metric.name} of {subject} is ')} || {_shown(c, subject, subjects)}"
        for c in {(c.metric.name): c for c in comparisons(condition)}.values()
        for subject in subjects.of(c.metric.name)
    ]
    now = " || ', ' || ".join(values)
    return Gate(
        name,
        f"the condition {name} holds: {said}",
        f"""SELECT {text(f"{name}: {said} does not hold" + ("; " if now else ""))}{f" || {now}" if now else ""}
 WHERE NOT ({_holds(condition, subjects) or "TRUE"})""",
    )


def _shown(comparison: Comparison, subject: str, subjects: Subjects) -> str:
    value = _value(comparison.metric.name, subject, subjects)
    share = comparison.metric.unit == "ratio"
    printed = f"trim_scale(round({value} * 100, 6))::text || '%'" if share else f"trim_scale({value})::text"
    return f"coalesce({printed}, 'not measured')"


def _holds(condition: Condition, subjects: Subjects) -> str:
    """Whether a condition holds, as SQL that is never NULL; empty where nobody measures any of it any more."""
    if isinstance(condition, Joined):
        return _joined(condition, (_holds(part, subjects) for part in condition.parts))
    if isinstance(condition, Held):
        return _held(condition.condition, condition.seconds, subjects)
    tests = (
        f"coalesce({_value(condition.metric.name, subject, subjects)} {_compared(condition)}, FALSE)"
        for subject in subjects.of(condition.metric.name)
    )
    return "\n   AND ".join(tests)


def _joined(condition: Joined, parts: Iterator[str]) -> str:
    """What is measured of them: beside an `or`, what nobody measures any more opens no gate."""
    measured = [part for part in parts if part]
    word = "\n    OR " if condition.either else "\n   AND "
    return f"({word.join(measured)})" if measured else ""


def _held(condition: Condition, seconds: float, subjects: Subjects) -> str:
    """Times go to the comparisons; of an `or` one side must have held for all of it, which is the stricter reading."""
    if isinstance(condition, Held):
        return _held(condition.condition, condition.seconds + seconds, subjects)
    if isinstance(condition, Joined):
        return _joined(condition, (_held(part, seconds, subjects) for part in condition.parts))
    return "\n   AND ".join(
        _window(condition, seconds, subject, subjects) for subject in subjects.of(condition.metric.name)
    )


def _window(comparison: Comparison, seconds: float, subject: str, subjects: Subjects) -> str:
    """Each reading since then, and the one that stood when the time began: two at least."""
    own = _reading(comparison.metric.name, subject, subjects)
    last = (
        f"(SELECT max(r.at) FROM migdsl.event AS r WHERE {own})" if subject in subjects.closed else "clock_timestamp()"
    )
    since = f"{last} - interval '{seconds:g} seconds'"
    return f"""(SELECT count(*) >= 2 AND coalesce(bool_and(r.value::numeric {_compared(comparison)}), FALSE)
           FROM migdsl.event AS r
          WHERE {own}
            AND r.at >= (SELECT max(r.at) FROM migdsl.event AS r WHERE {own} AND r.at <= {since}))"""


def _compared(comparison: Comparison) -> str:
    return f"{'<>' if comparison.operator == '!=' else comparison.operator} {comparison.value}"


def _value(metric: str, subject: str, subjects: Subjects) -> str:
    """The newest value, NULL where there is none."""
    if metric not in _SLICES:
        own = _reading(metric, subject, subjects)
        return f"(SELECT r.value::numeric FROM migdsl.event AS r WHERE {own} ORDER BY r.id DESC LIMIT 1)"
    own = f"s.migration = {text(subjects.migration)} AND s.backfill = {text(subject)}"
    aside = f"""(SELECT count(*) FROM migdsl.quarantine AS q
                 WHERE q.migration = {text(subjects.migration)} AND q.backfill = {text(subject)})"""
    found = (
        f"(count(*) FILTER (WHERE s.state = 'failed') + {aside})::numeric"
        if metric == "backfill_errors"
        else f"CASE WHEN bool_and(s.state = 'succeeded') AND {aside} = 0 THEN 1.0\n"
        "             ELSE least(sum(s.rows_scanned) / greatest(sum(s.rows_planned), 1), 0.999999) END"
    )
    return f"(SELECT {found} FROM migdsl.slice AS s WHERE {own} HAVING count(*) > 0)"


def _reading(metric: str, subject: str, subjects: Subjects) -> str:
    of = text(f"{metric}:{subject}")
    own = f"r.migration = {text(subjects.migration)} AND r.kind = 'reading' AND r.subject = {of}"
    return f"{own} AND {since_left(subjects.migration, 'r')}"


def invariant(subjects: Subjects, entity: str, said: str) -> Gate:
    """The newest reconciliation of all tenants found nothing that breaks the invariant."""
    own = _reading("invariant", f"{entity}:{said}", subjects)
    return Gate(
        f"invariant_{entity}_{said}",
        f"no row of {entity} breaks the invariant: {said}",
        f"""SELECT CASE WHEN max(r.id) IS NULL THEN {text(f'"{said}" has not been asked of {entity}')}
            ELSE (SELECT {text(f'"{said}" is broken in {entity} ')} || newest.value || ' times'
                    FROM migdsl.event AS newest WHERE newest.id = max(r.id) AND newest.value <> '0') END
  FROM migdsl.event AS r WHERE {own}""",
    )


def text(value: str) -> str:
    """A text as SQL that may stand between the dollar quotes of a gate."""
    return literal(value).replace("$g", "$' || 'g") if "\\" not in value else literal(value).replace("$g", "$' || E'g")


# ------------------------------------------------------------------------------------------- pauses

# A role without pg_read_all_stats sees that there are replicas, and nothing of them: NULL, and so a reason to wait.
_HEALTH = {
    "replication_lag": """CASE WHEN bool_or(r.state IS NULL) THEN NULL
              ELSE coalesce(max(extract(epoch FROM coalesce(r.replay_lag, r.flush_lag, r.write_lag))), 0) END
          FROM pg_catalog.pg_stat_replication AS r""",
    "lock_wait": """coalesce(max(extract(epoch FROM clock_timestamp() - l.waitstart)), 0)
          FROM pg_catalog.pg_locks AS l
         WHERE NOT l.granted
           AND coalesce(l.database, 0) IN (0, (SELECT d.oid FROM pg_catalog.pg_database AS d
                                                WHERE d.datname = current_database()))""",
}
_HIDDEN = "'hidden from this role, which needs pg_read_all_stats'"


def hold(condition: Condition) -> str:
    """A question that answers why a job must wait, or NULL."""
    used = dict.fromkeys(c.metric.name for c in comparisons(condition))
    values = ",\n               ".join(f"(SELECT {_HEALTH[name]}) AS {name}" for name in used)
    now = " || ', ' || ".join(
        f"'{n} is ' || coalesce(trim_scale(round({n}, 1))::text || ' s', {_HIDDEN})" for n in used
    )
    return f"""SELECT CASE WHEN coalesce({_unhealthy(condition)}, TRUE)
            THEN {now} END
  FROM (SELECT {values}) AS health"""


def _unhealthy(condition: Condition) -> str:
    if isinstance(condition, Comparison):
        return f"{condition.metric.name} {_compared(condition)}"
    assert isinstance(condition, Joined)
    word = " OR " if condition.either else " AND "
    return "(" + word.join(_unhealthy(part) for part in condition.parts) + ")"
