"""The labels of enums, as types spell them out and `enum … add` extends them, held against each other."""

from __future__ import annotations

from migdsl.diagnostics.suggest import did_you_mean
from migdsl.dialect.names import qualified, quote
from migdsl.semantics.model import Table
from migdsl.semantics.problems import Problems, sql_name
from migdsl.semantics.scene import Scene
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


def is_extensible(scene: Scene, item: ast.ExtendEnum) -> bool:
    """Whether the name may be an enum's: that of a column with a type of one's own, or of such a type; else it is reported."""
    name, table, problems = sql_name(item.name), scene.table, scene.problems
    column = table.column(name)
    if column is not None and column.type.built_in:
        title = f"`{table.entity}.{name}` is no enum"
        help_ = "leave this line out: which values a column of another type may have, a check says"
        more = [(column.type_span, f"of type {column.type.sql}")] if column.type_span is not None else []
        problems.error("MIG102", item.name.span, title, "has no labels", more=more, help=help_)
        return False
    if column is not None or not all(t.complete for t in scene.entities.values()):
        return True
    own = {c.type.base for t in scene.entities.values() for c in t.columns if not c.type.built_in}
    if own & {quote(name), qualified(table.schema, name)}:
        return True
    enums = [c.name for c in table.columns if not c.type.built_in]
    problems.unknown("MIG102", "enum", name, item.name.span, enums, f"in `{table.entity}`")
    return False


def _string(literal: ast.Literal) -> str | None:
    """What a default says, where it is a string: as SQL spells it, in quotes."""
    text = literal.text
    quoted = literal.sql is None and len(text) > 1 and text.startswith("'") and text.endswith("'")
    return text[1:-1].replace("''", "'") if quoted else None


def _meant(value: str, labels: list[str]) -> str:
    near = did_you_mean(value, labels)
    return f'did you mean "{near}"?' if near else "there is: " + ", ".join(f'"{label}"' for label in labels[:12])
