"""The labels of enums, as types spell them out and `enum … add` extends them, held against each other."""

from __future__ import annotations

from migdsl.diagnostics.suggest import did_you_mean
from migdsl.semantics.model import Table
from migdsl.semantics.problems import Problems, sql_name
from migdsl.syntax import ast


def check_type(problems: Problems, column: ast.Column) -> None:
    """A label stands in its enum once, and a default is one of them."""
    labels = [label.value for label in column.type.labels or ()]
    for at, label in enumerate(column.type.labels or ()):
        if label.value in labels[:at]:
            first = (column.type.labels or ())[labels.index(label.value)].span
            title = f"the enum `{column.type.name}` has the label `{label.value}` twice"
            problems.error(
                "MIG104", label.span, title, "the second one", more=[(first, "the first one")], help="leave one out"
            )
    for mark in column.marks:
        literal = mark.literal if mark.kind == "default" else None
        value = _string(literal) if literal is not None and labels else None
        if literal is not None and value is not None and value not in labels:
            title = f"the default of `{sql_name(column.name)}` is no label of `{column.type.name}`"
            problems.error("MIG106", literal.span, title, "not found", help=_meant(value, labels))


def check_added(problems: Problems, node: ast.Change, table: Table) -> None:
    """Labels that are added, each to those that the file says its type has, and to those that were added before it."""
    known: dict[str, list[str]] = {}
    for item in node.operations:
        column = table.column(sql_name(item.name)) if isinstance(item, ast.ExtendEnum) else None
        if not isinstance(item, ast.ExtendEnum) or column is None or not column.type.labels:
            continue
        labels = known.setdefault(column.type.base, list(column.type.labels))
        neighbour, type_ = item.neighbour, column.type.base
        if neighbour is not None and neighbour.value not in labels:
            title = f"there is no label `{neighbour.value}` in {type_}"
            problems.error("MIG106", neighbour.span, title, "not found", help=_meant(neighbour.value, labels))
        if item.label.value in labels:
            title = f"{type_} has the label `{item.label.value}` already"
            more = [(column.type_span, "has it")] if column.type_span is not None else []
            problems.error("MIG104", item.label.span, title, "nothing to add", more=more, help="leave this line out")
        labels.append(item.label.value)


def _string(literal: ast.Literal) -> str | None:
    """What a default says, where it is a string: as SQL spells it, in quotes."""
    text = literal.text
    quoted = literal.sql is None and len(text) > 1 and text.startswith("'") and text.endswith("'")
    return text[1:-1].replace("''", "'") if quoted else None


def _meant(value: str, labels: list[str]) -> str:
    near = did_you_mean(value, labels)
    return f'did you mean "{near}"?' if near else "there is: " + ", ".join(f'"{label}"' for label in labels[:12])
