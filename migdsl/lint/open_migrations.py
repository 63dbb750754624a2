"""MIG430: migrations that are open at the same time become what two of them want of one and the same thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.ops import names
from migdsl.semantics import model
from migdsl.semantics.model import CheckedModule, Table
from migdsl.source import Span
from migdsl.values import Value

# How much a migration wants of a thing: two of them get along as long as both together don't want more than _MOST.
_READS, _CHANGES, _TAKES = 1, 2, 3
_MOST = 3


class _Claim(Value):
    """What a migration wants: `thing` says of what, in all files alike, `shown` says it to people."""

    thing: tuple[str, ...]
    shown: str
    strength: int
    span: Span
    migration: str


def overlapping(modules: Sequence[CheckedModule]) -> Iterator[Diagnostic]:
    """One diagnostic for each thing that two migrations can't both have; it shows both places."""
    earlier: dict[tuple[str, ...], list[_Claim]] = {}
    for module in modules:
        mine = _strongest(module)
        for claim in mine:
            for other in earlier.get(claim.thing, ()):
                # Two files of one migration are told of where they would write the same files.
                if claim.strength + other.strength > _MOST and claim.migration != other.migration:
                    yield _diagnostic(claim, other)
        for claim in mine:
            earlier.setdefault(claim.thing, []).append(claim)


def _strongest(module: CheckedModule) -> list[_Claim]:
    """Each thing once, with the strongest claim on it."""
    found: dict[tuple[str, ...], _Claim] = {}
    for claim in _claims(module):
        known = found.get(claim.thing)
        if known is None or known.strength < claim.strength:
            found[claim.thing] = claim
    return list(found.values())


def _claims(module: CheckedModule) -> Iterator[_Claim]:
    assert module.header is not None
    for change in module.changes:
        for operation in change.operations:
            for table, kind, name, strength in _wanted(change.table, operation):
                thing, shown = _thing(table, kind, name)
                yield _Claim(thing, shown, strength, operation.span, module.header.name)


def _thing(table: Table, kind: str, name: str) -> tuple[tuple[str, ...], str]:
    """What a claim is on: the same in all files, and as people call it."""
    schema = (table.database, table.schema)
    if kind == "column":
        return (*schema, table.name, kind, name), f"`{table.entity}.{name}`"
    if kind in ("table", "name"):  # a constraint's name; one a schema
        shown = f"the table `{table.schema}.{name}`" if kind == "table" else f"the name `{name}`"
        return (*schema, kind, name), shown
    if kind == "type":
        return (table.database, kind, name), f"the type `{name}`"
    return (*schema, table.name, kind), f"the {kind} of `{table.entity}`"


_Wanted = Iterator[tuple[str, str, int]]


def _wanted(table: Table, operation: model.Operation) -> Iterator[tuple[Table, str, str, int]]:
    """Table, kind, name and strength of all that an operation wants; of an unknown kind, the column that it speaks of."""
    yield table, "table", table.name, _OF_THE_TABLE.get(type(operation), _READS)
    if isinstance(operation, model.CreateTable):
        for source in operation.sources:
            strength = _READS if operation.move is None else _TAKES
            yield source.table, "table", source.table.name, strength
            names = {name for _, value in source.values for name in value.names()}
            yield from ((source.table, "column", name, _READS) for name in sorted(names))
    rule = _RULES.get(type(operation))
    if rule is not None:
        yield from ((table, *claim) for claim in rule(table, operation))
    elif isinstance(column := getattr(operation, "column", None), model.Column):
        yield table, "column", column.name, _CHANGES


def _add(table: Table, operation: model.AddColumn) -> _Wanted:
    yield "column", operation.column.name, _CHANGES
    for name in sorted(operation.source.names()) if operation.source else ():
        yield "column", name, _READS
    for name in operation.python.inputs if operation.python else ():
        yield "column", name, _READS
    for back in operation.backs:
        yield "column", back.column, _CHANGES
    for unique in operation.uniques:
        yield "name", unique.name or names.unique(table, unique.columns), _CHANGES
        for column in unique.columns:
            yield "column", column, _READS


def _taken(_: Table, operation: model.DropColumn | model.RetypeColumn) -> _Wanted:
    yield "column", operation.column.name, _TAKES


def _constraint(table: Table, operation: model.AddConstraint | model.DropConstraint) -> _Wanted:
    constraint = operation.constraint
    name = constraint.name or (names.unique(table, constraint.columns) if constraint.kind == "unique" else None)
    if name is not None:
        yield "name", name, _CHANGES
    if constraint.kind == "key":
        yield "key", "", _CHANGES
    for column in sorted(constraint.uses):
        yield "column", column, _READS


def _enum(_: Table, operation: model.ExtendEnum) -> _Wanted:
    yield "type", operation.type, _CHANGES


def _rename(_: Table, operation: model.RenameTable) -> _Wanted:
    yield "table", operation.to, _CHANGES


def _comment(_: Table, operation: model.Comment) -> _Wanted:
    yield f"comment on `{operation.column}`" if operation.column else "comment", "", _CHANGES


def _replica(*_: object) -> _Wanted:
    yield "replica identity", "", _CHANGES


_OF_THE_TABLE = {model.CreateTable: _CHANGES, model.DropTable: _TAKES, model.RenameTable: _TAKES}
_RULES: Mapping[type, Callable[[Table, Any], _Wanted]] = {
    model.AddColumn: _add,
    model.DropColumn: _taken,
    model.RetypeColumn: _taken,
    model.AddConstraint: _constraint,
    model.DropConstraint: _constraint,
    model.ExtendEnum: _enum,
    model.RenameTable: _rename,
    model.Comment: _comment,
    model.ReplicaIdentity: _replica,
}


def _diagnostic(claim: _Claim, other: _Claim) -> Diagnostic:
    return Diagnostic(
        "MIG430",
        Severity.ERROR,
        f"{claim.shown} is changed by two migrations that are open",
        Label(claim.span, f"{_WORDS[claim.strength]} by `{claim.migration}`"),
        (Label(other.span, f"and {_WORDS[other.strength]} by `{other.migration}`"),),
        body="Each was planned as if the other weren't there: both would write it, or one takes what the other needs.",
        help="finish one before the other begins (`migdsl finish`), or make them one migration",
    )


_WORDS = {_READS: "needed", _CHANGES: "changed", _TAKES: "taken away or replaced"}
