"""A late revision that broke off leaves word that it has begun: nothing below it is taken back before it is.

Alembic notes a revision when all of it has run. One that was killed after its first transaction has changed the database, and
Alembic, asked to go back, begins with the revision below: constraints would stay that nobody knows of, and where contract had
dropped the old columns the new ones, which hold all there is, would follow.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from migdsl.dialect.names import literal
from migdsl.ops import names
from migdsl.ops.model import Gate, Group, Part, Step, TablePlan
from migdsl.semantics.model import PHASES, Change, CheckedModule, DropColumn, RetypeColumn
from migdsl.values import replace

LATE = ("enforce", "contract")
SUBJECT = "begun "  # what the ledger's snapshot calls the word, before the phase
LEDGER = "migdsl.snapshot"
FIRST_BACK = 99  # ways back run from the highest rank down
_NAMES = "check_names"


def noted(migration: str, steps: Iterable[Step]) -> list[Step]:
    """The same steps: the first transaction of enforce's and of contract's, by their ranks, leaves word of itself.

    One that is refused leaves none: it has changed nothing. In contract noting names is no beginning yet, since its way back
    computes what it would have dropped.
    """
    found = list(steps)
    for phase in LATE:
        own = [s for s in found if s.phase == phase and any(isinstance(part, Group) for part in s.up)]
        own = [s for s in own if phase == "enforce" or s.operation != _NAMES]
        if own:
            first = min(own, key=lambda s: s.rank)
            at = next(n for n, each in enumerate(found) if each is first)
            found[at] = replace(first, up=tuple(_leaving_word(migration, phase, first.up)))
    return found


def steps(migration: str, used: Collection[str]) -> Iterator[Step]:
    """On the way back: each revision asks first whether a later one has begun, and a late one takes its own word back last."""
    late = [phase for phase in LATE if phase in used]
    for n, phase in enumerate(PHASES):
        if phase in used and (above := [each for each in late if each in PHASES[n + 1 :]]):
            title = f"On the way back: refuse while {' or '.join(above)} has begun, and was not taken back"
            yield asked(phase, title, tuple(_taken_back(migration, each) for each in above))
    for phase in late:
        title = f"On the way back: {phase} is as if it had never begun"
        word = f"DELETE FROM {LEDGER}\n WHERE {_own(migration, phase)}"
        yield Step(phase, "forget_begun", title, None, rank=-1, down=(Group((), (word,)),))


def asked(phase: str, title: str, gates: tuple[Gate, ...]) -> Step:
    """The step that refuses a way back while a gate is unmet, before anything else happens."""
    return Step(phase, "gate", title, None, rank=FIRST_BACK, down=gates)


def gone(migration: str, columns: Iterable[tuple[str, str]]) -> str:
    """A condition: contract has begun, and has dropped one of the columns (table as SQL, and name); empty without any.

    One that somebody has dropped by hand takes no question away.
    """
    found = [f"(attrelid = to_regclass({literal(t)}) AND attname = {literal(c)})" for t, c in columns]
    if not found:
        return ""
    listed = "\n               OR ".join(found)
    return f"""EXISTS (SELECT FROM {LEDGER} WHERE {_own(migration, "contract")})
       AND (SELECT count(*) FROM pg_attribute
             WHERE NOT attisdropped AND ({listed})) < {len(found)}"""


def going(module: CheckedModule, plan: TablePlan) -> tuple[tuple[str, str], ...]:
    """The columns of a table that contract drops: its name as SQL, and theirs."""
    change = next((c for c in module.changes if c.table == plan.table), None)
    return tuple((names.table(plan.table), name) for name in _dropped(change)) if change is not None else ()


def _dropped(change: Change) -> Iterator[str]:
    for operation in change.operations:
        if isinstance(operation, DropColumn):
            yield operation.column.name
        elif isinstance(operation, RetypeColumn) and not operation.in_place:
            yield names.outgoing(operation.column.name)


def _own(migration: str, phase: str) -> str:
    return f"migration = {literal(migration)} AND revision = {literal(SUBJECT + phase)}"


def _leaving_word(migration: str, phase: str, parts: tuple[Part, ...]) -> Iterator[Part]:
    word = f"""INSERT INTO {LEDGER} (migration, revision, seq, sql)
VALUES ({literal(migration)}, {literal(SUBJECT + phase)}, 1, 'SELECT 1')
    ON CONFLICT (migration, revision, seq) DO NOTHING"""
    first = next(n for n, part in enumerate(parts) if isinstance(part, Group))
    for n, part in enumerate(parts):
        yield Group(part.tables, (*part.statements, word)) if n == first and isinstance(part, Group) else part


def _taken_back(migration: str, phase: str) -> Gate:
    said = f"{phase} of {migration} has begun and was not taken back: run its revision to the end (alembic upgrade), or mark it "
    said += "as run (alembic stamp), and downgrade from there"
    return Gate(
        f"begun_{phase}",
        f"{phase} has not begun",
        f"SELECT {literal(said)}\n WHERE EXISTS (SELECT FROM {LEDGER} WHERE {_own(migration, phase)})",
        needs=(LEDGER,),
    )
