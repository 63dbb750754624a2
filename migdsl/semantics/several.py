"""What speaks of one database of several is held to say which, and their revisions to stay apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from migdsl.semantics.header import again
from migdsl.semantics.model import AddConstraint, CheckedModule, Constraint, Database, Follows, Table
from migdsl.semantics.move_model import Move
from migdsl.semantics.outputs import DEFAULTS, OF_SEVERAL, Where, fill
from migdsl.semantics.problems import Problems, written


def check(problems: Problems, module: CheckedModule) -> None:
    """Report what could mean more databases than one."""
    databases = module.migrated
    _addressed(problems, module)
    _followed(problems, module, databases)
    _references(problems, module)
    if len(databases) < 2:
        return
    _listed(problems, module, databases)
    _listed_beside(problems, module)
    _apart(problems, module, databases)


def versions(module: CheckedModule, database: Database, *, several: bool) -> str:
    """The folder of a database's revisions: what `output` says, else the database itself, else the default."""
    said = dict(module.policy.paths).get("migrations") or database.versions_path
    return said or (OF_SEVERAL if several else DEFAULTS["migrations"])


def folder(module: CheckedModule, database: Database, *, several: bool) -> str:
    """The same with its placeholders filled."""
    name = module.header.name if module.header else "migration"
    values = Where(name, database.name, (), (), ()).values()
    return fill(versions(module, database, several=several), values)


def _addressed(problems: Problems, module: CheckedModule) -> None:
    """Two names of one database would have two chains and two sets of jobs meet in it."""
    seen: dict[str, Database] = {}
    for database in module.databases:
        first = seen.setdefault(database.url_env, database)
        if first.name == database.name:
            continue
        title = f"`{first.name}` and `{database.name}` have one address: {database.url_env}"
        body = "Whatever is done in the one would be done in the other: a table that moves between them would move onto itself."
        help_ = f"url env {environment(database.name)}; or, if they are one, let it be one `database` block"
        more = [(first.span, "the same variable")]
        problems.error("MIG113", database.span, title, "is the same database", body=body, more=more, help=help_)


def environment(name: str) -> str:
    """What the variable with a database's URL may be called."""
    return f"{re.sub(r'[^A-Za-z0-9]+', '_', name).strip('_').upper()}_URL"


def _followed(problems: Problems, module: CheckedModule, databases: tuple[str, ...]) -> None:
    """Revisions of other people are each of one database, and that one changes."""
    seen: dict[tuple[str, str], Follows] = {}
    for each in module.phase_after:
        if each.database is None and len(databases) > 1:
            title = f"the revision {each.revision} is in one database, and this migration changes {len(databases)}"
            help_ = f'phase {each.phase} {{ after "{each.revision}" in {databases[0]} }}'
            problems.error("MIG112", each.span, title, "in which?", help=help_)
        elif each.database is not None and databases and each.database not in databases:
            title = f"nothing changes in `{each.database}`: no revision of ours could follow another there"
            problems.error("MIG511", each.span, title, "has no revision", help=f"there is: {', '.join(databases)}")
        elif databases:
            place = (each.phase, each.database or databases[0])
            if place in seen:
                again(problems, each.span, seen[place].span, "after", f"phase {each.phase}")
            seen.setdefault(place, each)


def _references(problems: Problems, module: CheckedModule) -> None:
    """PostgreSQL has no foreign key that leads to another database."""
    tables = {table.entity: table for table in reversed(module.every)}
    added = [(c.table, o.constraint) for c in module.changes for o in c.operations if isinstance(o, AddConstraint)]
    added += [(o.table, c) for o in module.created if o.move is None for c in o.table.constraints]
    going = {id(move.table) for move in module.moves}
    # A new foreign key to a table that moves away has been told of; and what moves is, itself: its own may go along.
    new = [(t, c) for t, c in added if c.target is None or id(tables.get(c.target.entity)) not in going]
    there = [(t, c) for t in (*module.tables, *(m.target for m in module.moves)) for c in t.constraints]
    for table, found in (*there, *new):
        target = None if found.target is None or found.target.moved else found.target
        parent = tables.get(target.entity) if target is not None else None
        if parent is not None and table.database and parent.database and parent.database != table.database:
            title = f"`{table.entity}` is in `{table.database}`, and `{parent.entity}` in `{parent.database}`"
            more = [(parent.span, f"in `{parent.database}`")]
            help_ = "declare a plain column; what keeps the two in step is code, or a reconciliation of its own"
            move = next((move for move in module.moves if move.target is table), None)
            if move is not None:
                help_ = _instead(move, found, parent)
            problems.error("MIG452", found.span, title, "can't point there", more=more, help=help_)


def _instead(move: Move, found: Constraint, parent: Table) -> str:
    """What the target of a move may have in the place of a foreign key to what doesn't come along."""
    column = dict(move.copied).get(found.columns[0], found.columns[0])
    held = any(c.target is not None and c.target.entity == parent.entity for c in move.table.constraints)
    said = f': omit {written(column, folds=True)} -> {written(parent.entity)} because "…"' if held else ""
    copy = f"declare a copy of `{parent.entity}` in `{move.target.database}` as an entity, and point at that"
    return f"{copy}; or leave this line out, and the target does without{said}"


def _listed(problems: Problems, module: CheckedModule, databases: tuple[str, ...]) -> None:
    tenants = module.tenants
    if tenants is None or tenants.listing is None or tenants.database is not None or tenants.list_span is None:
        return
    if any(table.owned for table in _changed(module)):
        title = f"the list of tenants is in one database, and this migration changes {len(databases)}"
        body = "Jobs on the others read the list from there, and compare their rows with it."
        where = next(iter(_good(module)), databases[0])
        help_ = f"list in {where} `{' '.join(tenants.listing.text.split())}`"
        problems.error("MIG112", tenants.list_span, title, "in which?", body=body, help=help_)


def _listed_beside(problems: Problems, module: CheckedModule) -> None:
    """Who switches a tenant is connected to the two databases that its rows are in, and to no third."""
    tenants = module.tenants
    for move in (m for m in module.moves if m.across and m.table.owned):
        sides = (move.table.database, move.target.database)
        if (
            tenants is None
            or tenants.listing is None
            or tenants.list_span is None
            or tenants.database in (None, *sides)
        ):
            continue
        title = f"the list of tenants is in neither of the databases that `{move.table.entity}` moves between"
        body = "The job that carries its rows over, and turns tenants over one by one, has a connection to each of the two."
        more = [(move.span, f"from `{sides[0]}` to `{sides[1]}`")]
        help_ = _beside(module, move)
        problems.error("MIG112", tenants.list_span, title, "in a third one", body=body, more=more, help=help_)
        return


def _beside(module: CheckedModule, move: Move) -> str:
    """Where the list can be for all that moves; else what can't move in one migration."""
    for side in _good(module):
        return f"keep a copy of the list beside the rows, and say so: list in {side} `…`"
    entity = written(move.table.entity)
    return f"no database has a part in all that moves: move {entity} in a migration of its own, with a copy of the list beside it"


def _good(module: CheckedModule) -> tuple[str, ...]:
    """The databases that have a part in all moves between two."""
    crossing = [(m.table.database, m.target.database) for m in module.moves if m.across and m.table.owned]
    return tuple(side for side in (crossing[0] if crossing else ()) if all(side in sides for sides in crossing))


def _changed(module: CheckedModule) -> Iterator[Table]:
    yield from (change.table for change in module.changes if change.operations)


def _apart(problems: Problems, module: CheckedModule, databases: tuple[str, ...]) -> None:
    """Two chains in one folder would be two heads of one project."""
    seen: Mapping[str, Database] = {}
    for name in databases:
        database = module.database(name)
        where = folder(module, database, several=True).lower()
        if where in seen:
            title = f"the revisions of `{seen[where].name}` and `{name}` would be in one folder, `{where}`"
            body = "Each database has a chain of its own: in one folder Alembic would find two."
            more = [(seen[where].span, "here too")]
            help_ = f'migrations "{OF_SEVERAL}"'
            problems.error("MIG703", database.span, title, "the same folder", more=more, body=body, help=help_)
        seen = {**seen, where: database}
