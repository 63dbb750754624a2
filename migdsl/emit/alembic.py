"""Revisions become Alembic files: plain Alembic that imports nothing of ours, and prints readable SQL when offline."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import groupby

from migdsl.dialect.names import literal
from migdsl.dialect.sql import parameters
from migdsl.emit.artifact import Artifact
from migdsl.emit.context import EmitContext
from migdsl.emit.python import block, docstring, formatted, names, quoted
from migdsl.emit.templates import render
from migdsl.ops.model import Alone, BuildIndex, Gate, Group, Lock, Part, Refill, Replay, Step
from migdsl.planning.model import Revision
from migdsl.resources import read_resource

_SEPARATOR = re.compile(r"^-- ;$", re.MULTILINE)
# What SQLAlchemy's `text` would read as a parameter, or as an escape of one.
_COLON = re.compile(r"(?<![:\w\\]):(?=\w+(?!:))|\\:(?=[\w$]*(?![:\w$]))")


def emit(context: EmitContext) -> Iterator[Artifact]:
    """The revisions that are released."""
    for revision in context.planned.revisions:
        if revision.released:
            yield Artifact(revision.path, _text(context, revision), "revision")


def _text(context: EmitContext, revision: Revision) -> str:
    up = [(step.title, part) for step in revision.steps for part in step.up]
    down = [(_undo(step), part) for step in reversed(revision.steps) for part in step.down]
    kinds = {type(part) for _, part in (*up, *down)}
    view: dict[str, object] = {
        "marker": context.marker,
        "docstring": docstring(_docstring(context, revision)),
        "revision": quoted(revision.id),
        "down_revision": quoted(revision.after) if revision.after else "None",
        "ledger": list(_ledger(revision)),
        "upgrade": _calls(up),
        "downgrade": list(_calls(down)),
        "uses": {
            "gate": Gate in kinds,
            "needs": any(isinstance(part, Gate) and (part.needs or part.gone) for _, part in (*up, *down)),
            "index": BuildIndex in kinds,
            "statement": Alone in kinds,
            "refill": Refill in kinds,
            "replay": Replay in kinds,
        },
    }
    if not view["downgrade"]:
        view["downgrade"] = ["        pass"]
    # The runner holds no names of the user's: it stands in the template as black leaves it, and black is slow.
    return formatted(render("alembic/revision.py.j2", view)) + "\n\n" + render("alembic/runner.py.j2", view)


def _undo(step: Step) -> str:
    return step.title if step.title.startswith("On the way back") else f"Back: {step.title[0].lower()}{step.title[1:]}"


def _docstring(context: EmitContext, revision: Revision) -> str:
    lines = [f"{context.planned.plan.migration}: {revision.phase}", ""]
    for step in revision.steps:
        if not step.up:
            continue
        cost = step.cost.value + (f", {step.lock.value}" if step.lock is not Lock.NONE else "")
        lines.append(f"- {step.title} [{cost}]")
    wanted = list(dict.fromkeys(s.precondition for s in revision.steps if s.precondition))
    if wanted:
        lines += ["", "Before it runs:", *(f"- {text}" for text in wanted)]
    return "\n".join(lines)


def _ledger(revision: Revision) -> Iterator[str]:
    """The ledger's DDL, for the revision that makes it."""
    if any(step.operation == "create_ledger" for step in revision.steps):
        yield from (block(statement) for statement in _ledger_statements())


@cache
def _ledger_statements() -> tuple[str, ...]:
    statements = _SEPARATOR.split(read_resource("templates", "alembic/ledger.sql"))
    return tuple(statement.strip().rstrip(";") for statement in statements)


def _calls(parts: list[tuple[str, Part]]) -> Iterator[str]:
    """One call a part; neighbours that can share a transaction do, so that a table is locked once."""
    for kind, run in groupby(parts, key=lambda item: _kind(item[1])):
        items = list(run)
        if kind in ("locked", "unlocked"):
            yield _group([(title, part) for title, part in items if isinstance(part, Group)])
        elif kind == "gate":
            conditions = [part for _, part in items if isinstance(part, Gate)]
            pairs = [f"({', '.join([quoted(c.title), block(c.unmet), *_there(c)])})" for c in conditions]
            yield _call("require", items[0][0], *pairs)
        else:
            yield from (_single(title, part) for title, part in items)


def _there(gate: Gate) -> Iterator[str]:
    there = [f"to_regclass({literal(table)}) IS NOT NULL" for table in gate.needs]
    if gate.gone:
        there.append(f"NOT ({gate.gone})")
    if there:
        yield block(f"SELECT {' AND '.join(there)}") if gate.gone else quoted(" AND ".join(there))


def _kind(part: Part) -> str:
    if isinstance(part, Group):
        return "locked" if part.tables else "unlocked"
    return "gate" if isinstance(part, Gate) else "single"


def _group(items: list[tuple[str, Group]]) -> str:
    strongest: dict[str, Lock] = {}
    for _, group in items:
        for table, lock in group.tables:
            if table not in strongest or lock.strength > strongest[table].strength:
                strongest[table] = lock
    locks = [quoted(f"LOCK TABLE {table} IN {lock.value} MODE") for table, lock in strongest.items()]
    title = "\n".join(dict.fromkeys(title for title, _ in items))
    statements = [block(statement) for _, group in items for statement in group.statements]
    return _call("atomic", title, f"[{', '.join(locks)}]", *statements)


def _locks(group: Group | Replay) -> str:
    return f"[{', '.join(quoted(f'LOCK TABLE {table} IN {lock.value} MODE') for table, lock in group.tables)}]"


def _single(title: str, part: Part) -> str:
    if isinstance(part, BuildIndex):
        arguments = quoted(part.schema), quoted(part.name), block(part.create), block(part.drop)
        return _call("build_index", title, *arguments, *_when(part))
    if isinstance(part, Alone):
        undo = [_locks(part.undo), *map(block, part.undo.statements)] if part.undo else []
        return _call("by_itself", title, block(part.statement), *undo, *_when(part))
    if isinstance(part, Replay):
        return _call("replay", title, quoted(part.migration), quoted(part.subject), _locks(part))
    assert isinstance(part, Refill)
    tenants = block(part.tenants) if part.tenants else "None"
    statements = [block(_escaped(sql)) for sql in (part.upper, part.bound, part.batch)]
    return _call("refill", title, tenants, names(part.key), *statements)


def _when(part: BuildIndex | Alone) -> list[str]:
    return [f"when={block(part.when)}"] if part.when else []


def _escaped(sql: str) -> str:
    """SQLAlchemy takes every `:word` for a parameter, and `\\:` for a colon; in the user's strings they are neither."""
    ours = {parameter.start for parameter in parameters(sql)}
    pieces, at = [], 0
    for match in _COLON.finditer(sql):
        pieces += [sql[at : match.start()], "" if match.end() - 1 in ours else "\\"]
        at = match.start()
    return "".join([*pieces, sql[at:]])


def _call(function: str, comment: str, *arguments: str) -> str:
    lines = [f"        # {line}" for line in comment.splitlines() if line]
    inner = "".join(f"{argument},\n" for argument in arguments)
    return "\n".join([*lines, f"        {function}(\n{inner})"])
