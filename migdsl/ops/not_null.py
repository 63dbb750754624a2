"""A column becomes NOT NULL without a lock that lasts: CHECK NOT VALID, VALIDATE, SET NOT NULL, drop the CHECK."""

from __future__ import annotations

from migdsl.dialect.names import quote
from migdsl.ops import claims, names
from migdsl.ops.context import Context
from migdsl.ops.model import Alone, Cost, Group, Lock, Step

ADD_CHECK, VALIDATE, SET = 1, 2, 4  # ranks within a phase; unique indexes are built between


def steps(context: Context, column: str, phase: str) -> tuple[Step, ...]:
    """The steps that set NOT NULL in `phase`, and their ways back."""
    table = context.table
    check = quote(names.not_null_check(table, column))
    exclusive = ((context.sql, Lock.ACCESS_EXCLUSIVE),)
    alter = f"ALTER TABLE {context.sql}"
    name = quote(column)
    add = (
        f"{alter} DROP CONSTRAINT IF EXISTS {check}",
        f"{alter} ADD CONSTRAINT {check} CHECK ({name} IS NOT NULL) NOT VALID",
    )
    finish = f"{alter} ALTER COLUMN {name} SET NOT NULL", f"{alter} DROP CONSTRAINT IF EXISTS {check}"
    drop = f"{alter} DROP CONSTRAINT IF EXISTS {check}"
    undo = f"{alter} ALTER COLUMN {name} DROP NOT NULL", f"{alter} DROP CONSTRAINT IF EXISTS {check}"
    shown = f"{table.entity}.{column}"
    return (
        Step(
            phase,
            "add_check",
            f"Bind new writes: a CHECK, not yet validated, that {shown} is not NULL",
            table,
            Lock.ACCESS_EXCLUSIVE,
            rank=ADD_CHECK,
            up=(Group(exclusive, add),),
            makes=(claims.constraint(context, names.not_null_check(table, column)),),
        ),
        Step(
            phase,
            "validate_check",
            f"Prove that no row has a NULL in {shown}, while reads and writes go on",
            table,
            Lock.SHARE_UPDATE_EXCLUSIVE,
            Cost.SCAN,
            rank=VALIDATE,
            up=(Alone(f"{alter} VALIDATE CONSTRAINT {check}", Group(exclusive, (drop,))),),
        ),
        Step(
            phase,
            "set_not_null",
            f"Make {shown} NOT NULL; the proven CHECK spares the scan, and goes",
            table,
            Lock.ACCESS_EXCLUSIVE,
            rank=SET,
            up=(Group(exclusive, finish),),
            down=(Group(exclusive, undo),),
        ),
    )


def restore(context: Context, column: str, phase: str, title: str, rank: int) -> Step:
    """A step whose way back makes a column NOT NULL again, without a lock that lasts."""
    alter = f"ALTER TABLE {context.sql}"
    exclusive = ((context.sql, Lock.ACCESS_EXCLUSIVE),)
    check = quote(names.not_null_check(context.table, column))
    name = quote(column)
    add = (
        f"{alter} DROP CONSTRAINT IF EXISTS {check}",
        f"{alter} ADD CONSTRAINT {check} CHECK ({name} IS NOT NULL) NOT VALID",
    )
    finish = f"{alter} ALTER COLUMN {name} SET NOT NULL", f"{alter} DROP CONSTRAINT IF EXISTS {check}"
    validate = Alone(f"{alter} VALIDATE CONSTRAINT {check}", Group(exclusive, finish[1:]))
    down = Group(exclusive, add), validate, Group(exclusive, finish)
    # The linter's rule thinks of code that meets NULLs unprepared: here it was asked for, or the column goes away.
    drop = f"-- squawk-ignore ban-drop-not-null\n{alter} ALTER COLUMN {name} DROP NOT NULL"
    up = (Group(exclusive, (drop,)),)
    makes = (claims.constraint(context, names.not_null_check(context.table, column)),)
    lock = Lock.ACCESS_EXCLUSIVE
    return Step(phase, "drop_not_null", title, context.table, lock, rank=rank, up=up, down=down, makes=makes)
