"""`move` becomes a change that makes the target's table, with every column of the source accounted for, both ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from migdsl.dialect.sql import Expression
from migdsl.semantics import apart, belonging, crossing, sensitive, syncing, tables
from migdsl.semantics.accounted import account
from migdsl.semantics.expressions import expression
from migdsl.semantics.header import again
from migdsl.semantics.model import Back, Change, Column, CreateTable, Database, Source, Table
from migdsl.semantics.move_model import Move, Omitted
from migdsl.semantics.problems import Problems, sql_name, written
from migdsl.semantics.scene import Scene, just
from migdsl.semantics.standing import Standing, generated
from migdsl.source import Span
from migdsl.syntax import ast
from migdsl.values import Value, replace


class Surroundings(Value):
    """What else the file declares: entities, databases, and what becomes of other tables."""

    entities: Mapping[str, Table]
    databases: dict[str, Database]
    changes: tuple[Change, ...]

    @property
    def created(self) -> Iterator[tuple[Change, CreateTable]]:
        """The new tables."""
        return ((c, o) for c in self.changes for o in c.operations if isinstance(o, CreateTable))

    def change(self, entity: str) -> Change | None:
        """What else becomes of a table that is there."""
        made = [c for c, _ in self.created]
        return next((c for c in self.changes if c.table.entity == entity and c not in made), None)


class Draft(Value):
    """A move's columns, before what stands on them is known. `copied` gives a source's column the target's name."""

    node: ast.Move
    table: Table
    target: Table
    copied: Mapping[str, str]
    values: tuple[tuple[str, Expression], ...]
    places: tuple[tuple[str, Span], ...]
    backs: tuple[Back, ...]
    omitted: tuple[Omitted, ...]

    @property
    def across(self) -> bool:
        """Whether the rows go to another database."""
        return self.table.database != self.target.database


def moved(problems: Problems, nodes: list[ast.Move], syncs: list[ast.Sync], around: Surroundings) -> tuple[Change, ...]:
    """Each move as a change of its own."""
    drafts: dict[str, Draft] = {}
    for node in nodes:
        table = around.entities.get(node.entity.text)
        if table is None:
            problems.unknown("MIG101", "entity", node.entity.text, node.entity.span, around.entities)
        elif _alone(problems, node, table, drafts, around):
            drafts[table.entity] = _draft(problems, node, table, around)
    _one_place(problems, drafts, around)
    syncing.without_a_move(problems, syncs, drafts, around.entities)
    drafts = belonging.parents_first(drafts)
    found = tuple(_change(problems, draft, drafts, syncs, around) for draft in drafts.values())
    moves = tuple(o.move for c in found for o in c.operations if isinstance(o, CreateTable) and o.move is not None)
    if not problems.found:  # what is wrong comes first
        syncing.one_stream(problems, moves)
        crossing.one_direction(problems, moves)
    return found


def _alone(problems: Problems, node: ast.Move, table: Table, drafts: Mapping[str, Draft], around: Surroundings) -> bool:
    """Whether nothing else in the file claims the same rows."""
    name = table.entity
    other: tuple[Span, str, str] | None = None
    body = ""
    if name in drafts:
        other = (drafts[name].node.entity.span, f"the rows of `{name}` go to two tables", "moved here first")
        body = f"A row that new code writes to one of them would be half of one of `{name}`."
        help_ = apart.to_two(drafts[name], _draft(Problems(), node, table, around), around.entities)
    elif (changed := around.change(name)) is not None:
        other = (changed.span, f"`{name}` is changed and moved", "changed here")
        help_ = "say what it becomes in the `move`; or change it in a migration of its own, before"
    else:
        sources = ((c, s) for c, o in around.created for s in o.sources if s.table is table)
        for change, source in sources:
            other = (
                source.span,
                f"`{name}` moves while `{change.table.entity}` is filled from it",
                "filled from it here",
            )
        help_ = "do that in a migration of its own, once this one is finished"
    if other is not None:
        span, title, label = other
        problems.error("MIG451", node.entity.span, title, "moved here", body=body, more=[(span, label)], help=help_)
    return other is None


def _one_place(problems: Problems, drafts: Mapping[str, Draft], around: Surroundings) -> None:
    """Two sources in one table would meet in one key; a table that is there has rows of its own."""
    taken = {_place(t): t for t in (*around.entities.values(), *(c.table for c, _ in around.created))}
    for draft in drafts.values():
        twin = taken.setdefault(_place(draft.target), draft.target)
        if twin is draft.target or not draft.target.database:
            continue
        merged = any(twin is other.target for other in drafts.values())
        title = f"there is a table `{twin.name}` already"
        help_ = "rows move to a table that isn't there yet: give it another name"
        if twin is draft.table:
            help_ += f"; what becomes of its columns in place: change {written(twin.entity)} {{ … }}"
        if merged:
            title = f"the rows of `{twin.entity}` and of `{draft.table.entity}` would meet in one table"
            help_ = apart.to_one(twin, draft)
        more = [(twin.span, "moves there too" if merged else "declared here")]
        problems.error(
            "MIG451" if merged else "MIG104", draft.node.entity.span, title, "can't move there", more=more, help=help_
        )


def _place(table: Table) -> tuple[str, str, str]:
    return table.database, table.schema, table.name


def _draft(problems: Problems, node: ast.Move, table: Table, around: Surroundings) -> Draft:
    before = {c.name for c in table.columns} if table.complete else None
    columns: dict[str, Column] = {}
    places: dict[str, Span] = {}
    values: dict[str, Expression] = {}
    copied: dict[str, str] = {}
    for item in node.columns:
        name = item.column if isinstance(item, ast.Copied) else item.column.name
        column = sql_name(name)
        if column in places:
            again(problems, item.span, places[column], column, f"the target of `{table.entity}`")
            continue
        places[column] = item.span
        if isinstance(item, ast.Copied):
            source = _copied(problems, item, table, copied)
            if source is not None:
                copied[source.name] = column
                columns[column] = replace(source, name=column, span=item.column.span, unique=False)
                values[column] = just(source.name)
            continue
        found = expression(problems, item.sql, "from", before) if item.sql else None
        columns[column] = sensitive.marked(_own(problems, item, table), table, found)
        if found is not None:
            values[column] = found
    target = _target(problems, node, table, columns, copied, around)
    of = Draft(
        node, table, target, copied, tuple(values.items()), tuple(places.items()), (), _omitted(problems, node, table)
    )
    return replace(of, backs=tuple(_backs(problems, of, places)))


def _copied(problems: Problems, item: ast.Copied, table: Table, copied: Mapping[str, str]) -> Column | None:
    name = sql_name(item.source)
    source = table.column(name)
    if source is None:
        if table.complete:
            known = [c.name for c in table.columns]
            problems.unknown("MIG102", "column", name, item.source.span, known, f"in `{table.entity}`")
        return None
    if name in copied:
        title = f"`{table.entity}.{name}` is copied twice"
        body = "New code may write one of the two and not the other: which of them goes back could not be told."
        help_ = f"compute the second: {sql_name(item.column)} {source.type.sql} = `{name}`"
        problems.error("MIG451", item.span, title, f"is `{copied[name]}` already", body=body, help=help_)
        return None
    return source


def _own(problems: Problems, item: ast.Moved, table: Table) -> Column:
    """A column that the target has and the source has not, or in another form."""
    found = tables.column(problems, item.column)
    if found.key or found.tenant:
        what = "key" if found.key else "tenant"
        title = f"the {what} of the target is that of `{table.entity}`"
        body = (
            "Triggers, batches and reconciliation tell by the key which row is which, and by the tenant whose it is: "
        )
        body += "they are copied as they are."
        theirs = table.key[0] if found.key and table.key else table.tenant or "tenant_id"
        problems.error("MIG451", item.span, title, f"is marked `{what}`", body=body, help=f"{found.name} = {theirs}")
    return replace(found, key=False, tenant=False)


def _target(
    problems: Problems,
    node: ast.Move,
    table: Table,
    columns: Mapping[str, Column],
    copied: Mapping[str, str],
    around: Surroundings,
) -> Table:
    database, schema, name = tables.place(
        problems,
        ast.Entity(node.entity, node.table, (), node.span),
        around.databases,
        f"move {written(node.entity.text)} to",
    )
    back = {ours: theirs for theirs, ours in copied.items()}
    made = tuple(_made(problems, table, column, back.get(column.name), copied) for column in columns.values())
    if database != table.database:
        made = tuple(_abroad(problems, table, column, back.get(column.name)) for column in made)
    return replace(
        table,
        database=database,
        schema=schema,
        name=name,
        columns=made,
        key=tuple(copied[c] for c in table.key if c in copied),
        constraints=(),
        legacy=(),
        via=None,
        span=node.entity.span,
        whole=node.span,
    )


def _made(problems: Problems, table: Table, column: Column, source: str | None, copied: Mapping[str, str]) -> Column:
    """The target's column: what numbers rows is said apart, what is generated is generated there too."""
    if source is None:
        return column
    anew = generated(column.generated, copied) if column.generated is not None else None
    if column.generated is not None and anew is None:
        title = f"`{table.entity}.{source}` is generated from columns that the target hasn't"
        help_ = f"declare it anew: {column.name} {column.type.sql} generated `…`; or leave it out"
        problems.error("MIG450", column.span, title, "can't be copied", help=help_)
    type_ = type(column.type)(
        column.type.sql, column.type.base, column.type.array, column.type.known
    )  # no labels: it is there
    return replace(column, type=type_, identity=None, generated=anew)


def _abroad(problems: Problems, table: Table, column: Column, source: str | None) -> Column:
    """The target's column in another database, where no type and no sequence of this one is."""
    of = table.column(source) if source is not None else None
    if not column.type.built_in and column.type.known:
        title = f"the type {column.type.sql} of `{column.name}` is one of `{table.database}`'s own"
        help_ = f"say it with a type that both databases have: {column.name} text = `{source or column.name}::text`"
        if source is not None:
            help_ += f", and back {source} = `{column.name}::{column.type.sql}`"
        problems.error("MIG451", column.span, title, "the other database hasn't got it", help=help_)
    if of is not None and _numbers(of, across=True):
        return replace(column, identity="by default", default=None)
    return column


def _numbers(column: Column, across: bool) -> bool:
    """Whether a column gives out numbers that its copy has to give out as well."""
    # Within one database the new table may name a sequence as the old one does.
    named = "nextval(" in (column.default or "").lower()
    return column.identity is not None or column.type.serial or (across and named)


def _omitted(problems: Problems, node: ast.Move, table: Table) -> tuple[Omitted, ...]:
    found: list[Omitted] = []
    scene = Scene(problems, table, None, None, {})
    for item in node.omits:
        column = scene.existing(item.column)
        if column is not None:
            target = item.target.text if item.target else None
            found.append(Omitted(column.name, target, item.because.value, item.span))
    return tuple(found)


def _backs(problems: Problems, draft: Draft, places: Mapping[str, Span]) -> Iterator[Back]:
    """The ways home: of each copied column the same way, of the others as the file says."""
    table, target = draft.table, draft.target
    scene = Scene(problems, table, None, {c.name for c in target.columns} if table.complete else None, {})
    seen: dict[str, Span] = {}
    for theirs, ours in draft.copied.items():
        source = table.column(theirs)
        if source is not None and source.generated is None:
            seen[theirs] = places[ours]
            yield Back(theirs, just(ours), places[ours])
    for node in draft.node.backs:
        name = sql_name(node.column) if node.column else ""
        if name in draft.copied:
            title = f"`{table.entity}.{name}` is copied, and goes back as it is"
            more = [(seen.get(name, node.span), "goes both ways")]
            problems.error(
                "MIG013", node.span, title, "another way back", more=more, help="leave one of the two lines out"
            )
            continue
        if name in seen:
            again(problems, node.span, seen[name], f"the way back of {name}", f"`{table.entity}`")
            continue
        seen[name] = node.span
        found = scene.back(node)
        if found is not None:
            yield found
    account(problems, draft, seen)


def _change(
    problems: Problems, draft: Draft, drafts: Mapping[str, Draft], syncs: list[ast.Sync], around: Surroundings
) -> Change:
    table, node = draft.table, draft.node
    standing = Standing.of(problems, draft, drafts, around)
    target = replace(draft.target, constraints=(*standing.kept, *standing.own), via=belonging.led(draft, drafts))
    sources = {ours: table.column(theirs) for theirs, ours in draft.copied.items()}
    numbered = tuple((ours, c.name) for ours, c in sources.items() if c is not None and _numbers(c, draft.across))
    move = Move(
        table=table,
        target=target,
        copied=tuple((ours, theirs) for theirs, ours in draft.copied.items()),
        values=draft.values,
        backs=draft.backs,
        omitted=draft.omitted,
        numbered=numbered,
        kept=standing.kept,
        behind=standing.behind,
        children=crossing.children(problems, draft, drafts, around),
        sync=syncing.meant(problems, syncs, draft, drafts),
        soak_seconds=Scene(problems, table, None, None, {}).soak(node.after),
        across=draft.across,
        span=node.span,
    )
    crossing.way(problems, draft, drafts)
    # What is generated there is given no value, and what numbers rows gets its numbers from one place.
    given = tuple(
        (c, e) for c, e in draft.values if (found := target.column(c)) is not None and found.generated is None
    )
    source = Source(table, given, None, node.entity.span, draft.places)
    return Change(target, (CreateTable(target, (source,), node.entity.span, replace(move, values=given)),), node.span)
