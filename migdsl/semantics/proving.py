"""`validate` and `backfill` become what is proven of an entity's data, and the pace at which rows are carried over."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from migdsl.semantics import carrying
from migdsl.semantics.conditions import pausing
from migdsl.semantics.expressions import expression
from migdsl.semantics.header import again, bad_number, once
from migdsl.semantics.invariants import Surroundings, columns_after, invariant
from migdsl.semantics.model import AddColumn, Change, RequireColumn, RetypeColumn
from migdsl.semantics.policy import Condition, Invariant, Pace, Sample, Validation
from migdsl.semantics.problems import Problems, sql_name
from migdsl.source import Span
from migdsl.syntax import ast, lexis

_MOST_ROWS = 100_000
_MOST_TRIES = 1_000
_LONGEST_BATCH = 10.0


class _Once:
    """Finds the change that a declaration is about, and declarations that say it a second time."""

    def __init__(self, problems: Problems, changes: Mapping[str, Change], entities: Collection[str], what: str) -> None:
        self._problems = problems
        self._changes = changes
        self._entities = entities
        self._what = what
        self._seen: dict[str, Span] = {}

    def change(self, entity: ast.Name) -> Change | None:
        name = entity.text
        if name in self._seen:
            again(self._problems, entity.span, self._seen[name], f"{self._what} {name}", "the migration")
            return None
        self._seen[name] = entity.span
        if name not in self._entities:
            self._problems.unknown("MIG101", "entity", name, entity.span, self._entities)
        elif name not in self._changes and name not in self._problems.broken:
            title = f"`{name}` is not changed by this migration"
            help_ = f"say it of what changes: {', '.join(sorted(self._changes))}" if self._changes else ""
            self._problems.error("MIG101", entity.span, title, f"there is nothing to {self._what}", help=help_)
        return self._changes.get(name)


def validations(
    problems: Problems, nodes: list[ast.Validate], changes: Mapping[str, Change], around: Surroundings
) -> tuple[Validation, ...]:
    """What is to be proven, entity by entity."""
    texts: dict[str, Span] = {}
    finder = _Once(problems, changes, around.entities, "validate")
    pairs = ((node, finder.change(node.entity)) for node in nodes)
    return tuple(_validation(problems, node, change, around, texts) for node, change in pairs if change is not None)


def _validation(
    problems: Problems, node: ast.Validate, change: Change, around: Surroundings, texts: dict[str, Span]
) -> Validation:
    once(problems, node.settings, "validation")
    for extra in node.samples[1:]:
        again(problems, extra.span, node.samples[0].span, "sample", "the validation")
    samples = [_sample(problems, s, columns_after(change)) for s in node.samples[:1]]
    found = tuple(_invariants(problems, node, change, around, texts))
    return Validation(change.table.entity, samples[0] if samples else None, found)


def _invariants(
    problems: Problems, node: ast.Validate, change: Change, around: Surroundings, texts: dict[str, Span]
) -> Iterator[Invariant]:
    for item in node.invariants:
        said = " ".join(item.text.value.split())
        if said in texts:
            more = [(texts[said], "the first one")]
            title = f"two invariants are called `{said}`"
            problems.error("MIG104", item.text.span, title, "the second one", more=more)
        texts.setdefault(said, item.text.span)
        statement = invariant(problems, item, change, around)
        if statement is not None:
            yield Invariant(change.table.entity, said, statement, item.span)


def _sample(problems: Problems, node: ast.Sample, after: Collection[str] | None) -> Sample:
    for extra in node.shares[1:]:
        again(problems, extra.span, node.shares[0].span, "a share", "the sample")
    tops = []
    for top in node.tops:
        count = lexis.count(top.count.raw)
        if not count:
            bad_number(problems, top.count, "number of rows", "100")
        if expression(problems, top.by, "back", after) is not None and count:
            tops.append((count, " ".join(top.by.text.split())))
    for number in node.shares[:1]:
        if lexis.percent(number.raw) is None:
            bad_number(problems, number, "percentage from 0% to 100%", "1%")
    return Sample(node.shares[0].raw if node.shares else None, tuple(tops))


def paces(
    problems: Problems, nodes: list[ast.Backfill], changes: Mapping[str, Change], around: Surroundings
) -> tuple[Pace, ...]:
    """How rows are carried over, entity by entity."""
    finder = _Once(problems, changes, around.entities, "backfill")
    pairs = ((node, finder.change(node.entity)) for node in nodes)
    return tuple(_pace(problems, node, change, changes) for node, change in pairs if change is not None)


def _pace(problems: Problems, node: ast.Backfill, change: Change, changes: Mapping[str, Change]) -> Pace:
    if node.column is not None:
        _one_pass(problems, node.column, change, python=bool(node.usings))
    for kind in ("batch", "throttle", "workers", "errors", "backfill_engine"):
        once(problems, tuple(s for s in node.settings if s.key.startswith(kind)), "backfill")
    for several in (node.pauses, node.retries):
        for extra in several[1:]:
            what = "retry" if isinstance(extra, ast.Retry) else "pause"
            again(problems, extra.span, several[0].span, what, "the backfill")
    numbers = {s.key: s.numbers[0] for s in node.settings if s.numbers}
    attempts, first, longest = _retry(problems, node.retries[0]) if node.retries else (None, None, None)
    target = _seconds(
        problems, numbers.get("batch_time"), "duration, or a number of `rows`", "500 rows, or 20ms", _LONGEST_BATCH
    )
    return Pace(
        change.table.entity,
        _count(problems, numbers.get("batch_rows"), _MOST_ROWS),
        target * 1000 if target else None,
        _share(problems, numbers.get("throttle_share")),
        _count(problems, numbers.get("throttle_rate"), 10**9),
        _pause(problems, node.pauses),
        attempts,
        first,
        longest,
        node.entity.span,
        carrying.workers(problems, numbers.get("workers")),
        carrying.budget(problems, numbers.get("errors")),
        carrying.order(problems, node.orders, change, changes),
        carrying.engine(problems, node.settings),
    )


def _one_pass(problems: Problems, column: ast.Name, change: Change, *, python: bool) -> None:
    """All columns of a table are filled in one pass; `python`: by a function, and why not has been said."""
    name = sql_name(column)
    added = [o for o in change.operations if isinstance(o, AddColumn | RequireColumn) and o.filled]
    filled = [o.column.name for o in added]
    filled += [o.column.name for o in change.operations if isinstance(o, RetypeColumn)]
    if name not in filled and python:
        return
    if name not in filled:
        where = f"that is filled in `{change.table.entity}`"
        problems.unknown("MIG102", "column", name, column.span, filled, where)
    elif len(filled) > 1:
        title = f"all columns of `{change.table.entity}` are filled in one pass, in this release"
        help_ = f"say it of the table: backfill {change.table.entity} {{ … }}"
        if python:
            help_ = f"give `{name}`, which Python computes, a migration of its own"
        problems.error("MIG007", column.span, title, "one of several", help=help_)


def _pause(problems: Problems, nodes: tuple[ast.When, ...]) -> Condition | None:
    return pausing(problems, nodes[0].condition) if nodes else None


def _retry(problems: Problems, node: ast.Retry) -> tuple[int | None, float | None, float | None]:
    attempts = lexis.count(node.attempts.raw)
    if attempts is None or attempts > _MOST_TRIES:
        bad_number(problems, node.attempts, f"number up to {_MOST_TRIES}", "5")
    first = _seconds(problems, node.first, "duration", "1s", 3600)
    longest = _seconds(problems, node.longest, "duration", "60s", 3600)
    if first and longest and node.longest is not None and first > longest:
        title = "the longest pause is shorter than the first"
        problems.error("MIG008", node.longest.span, title, "the pause grows up to this", help="backoff 1s..60s")
    return attempts, first, longest


def _seconds(problems: Problems, number: ast.Number | None, what: str, example: str, most: float) -> float | None:
    if number is None:
        return None
    found = lexis.seconds(number.raw)
    if not found or found > most:
        bad_number(problems, number, what if not found else f"duration up to {most:g}s", example)
        return None
    return found


def _count(problems: Problems, number: ast.Number | None, most: int) -> int | None:
    found = lexis.count(number.raw) if number else None
    if number is not None and (not found or found > most):
        bad_number(problems, number, f"number of rows from 1 to {most:,}", "500")
    return found


def _share(problems: Problems, number: ast.Number | None) -> float | None:
    found = lexis.percent(number.raw) if number else None
    if number is not None and not found:
        bad_number(problems, number, "share of the time from 1% to 100%", "50%")
    return round(found / 100, 6) if found else None
