"""A finished migration becomes its files' new texts: the entities as the tables are now, and the file that is history."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from migdsl.folding import columns, constraints, moving, operations, sensitive, tables
from migdsl.folding.schema import Schema, Unfoldable, schema
from migdsl.folding.text import Edit, edited, inserted, removed, with_notes
from migdsl.semantics.model import STAGES, CheckedModule, RetypeColumn
from migdsl.source import SourceFile, Span
from migdsl.syntax import ast
from migdsl.syntax.unit import Unit
from migdsl.values import Value


class Finishing(Value):
    """What is to be finished: a unit without errors, on which day, and where entities of the main file go.

    `into` is the unit of that file, or None where no file was named; `into_name` is its name, there or not.
    """

    unit: Unit
    module: CheckedModule
    day: str
    into: Unit | None
    into_name: str | None
    force: bool

    @property
    def main(self) -> str:
        return self.unit.parsed.module.path


def stages_left(module: CheckedModule) -> str | None:
    """The stage that keeps a migration from being finished: everybody must be complete."""
    stages = {line.stage for line in module.stages} | (
        set() if any(line.scope == "all" for line in module.stages) else {"off"}
    )
    return None if stages == {"complete"} else min(stages - {"complete"}, key=STAGES.index)


def finish(what: Finishing) -> Mapping[str, str]:
    """The new texts, by path, of all files that change. Raises Unfoldable."""
    declared = what.unit.parsed.module.declarations
    before = schema(what.unit.sources, declared, what.module)
    after = before
    for change in (d for d in declared if isinstance(d, ast.Change)):
        after = operations.drops(after, change, force=what.force)
    for node in declared:
        after = _after(what, before, after, node)
    for changed in what.module.changes:
        for operation in changed.operations:
            if isinstance(operation, RetypeColumn) and operation.follows is not None:
                after = columns.follow(after, changed.table.entity, operation)
    after = constraints.brought(after)
    touched = {
        name for name in {*before.sheets, *after.sheets} if before.sheets.get(name) is not after.sheets.get(name)
    }
    texts = dict(_shared(what, before, after, touched))
    own = [name for name, sheet in before.sheets.items() if sheet.path == what.main]
    if touched & set(own) or _created(what, before, after):
        texts |= _moved(what, before, after, own, texts)
    return texts | {what.main: _closed(what)}


def _after(what: Finishing, before: Schema, after: Schema, node: ast.Declaration) -> Schema:
    """What one declaration makes of the entities."""
    if isinstance(node, ast.Change):
        return sensitive.marked(operations.change(after, node, force=what.force), node)
    if isinstance(node, ast.Create):
        return sensitive.marked(tables.create(after, node, _home(what, before, node)), node)
    if isinstance(node, ast.DropEntity):
        return tables.drop_entity(after, node)
    return sensitive.marked(moving.move(after, node), node) if isinstance(node, ast.Move) else after


def _home(what: Finishing, before: Schema, node: ast.Create) -> str:
    """The file that a new entity goes to: the one named, else that of the entity before it in the unit."""
    if what.into_name is not None:
        return what.into_name
    shared = [sheet.path for sheet in before.sheets.values() if sheet.path != what.main]
    if not shared:
        raise _homeless(what, node.entity.name)
    return shared[-1]


def _homeless(what: Finishing, name: ast.Name) -> Unfoldable:
    title = f"`{name.text}` stands in the migration's own file, which is about to become history"
    help_ = f"migdsl finish {what.main} --into {posixpath.join(posixpath.dirname(what.main), 'schema.mig')}"
    return Unfoldable(title, name.span, "has to go to a file that others can use", help_)


def _shared(what: Finishing, before: Schema, after: Schema, touched: set[str]) -> Iterator[tuple[str, str]]:
    """The files that are used, with their entities as they are now."""
    edits: dict[str, list[Edit]] = {}
    places = {d.name.text: d.span for d in what.unit.parsed.module.declarations if isinstance(d, ast.Entity)}
    for name in sorted(touched):
        old, new = before.sheets.get(name), after.sheets.get(name)
        if old is None and new is not None and new.path in what.unit.sources:
            source = what.unit.sources[new.path]
            edits.setdefault(new.path, []).append((len(source.text), len(source.text), _appended(source, new.text)))
        elif old is not None and old.path != what.main:
            span, text = places[name], what.unit.sources[old.path].text
            edit = (span.start, span.end, new.text) if new else removed(text, span.start, span.end)
            edits.setdefault(old.path, []).append(edit)
    for path, found in edits.items():
        yield path, edited(what.unit.sources[path].text, found)


def _appended(source: SourceFile, declaration: str) -> str:
    end = "\r\n" if "\r\n" in source.text else "\n"
    return ("" if source.text.endswith("\n") or not source.text else end) + end + declaration + end


def _moved(
    what: Finishing, before: Schema, after: Schema, own: list[str], texts: Mapping[str, str]
) -> Mapping[str, str]:
    """The declarations of the main file, with its entities as they are now, in the file that was named for them."""
    if what.into_name is None:
        changed = next(name for name in own if after.sheets.get(name) is not before.sheets[name])
        node = next(d for d in _entities(what) if d.name.text == changed)
        raise _homeless(what, node.name)
    known = what.into.parsed.module.declarations if what.into else ()
    there = {d.name.text: d.name.span for d in known if isinstance(d, ast.Entity)}
    for node in _entities(what):
        if node.name.text in there:
            title = f"`{node.name.text}` is declared in {what.into_name} already"
            raise Unfoldable(title, node.name.span, "so it can't go there", "keep one of the two")
    text = texts.get(what.into_name) or (what.into.sources[what.into_name].text if what.into else _uses(what))
    pieces = [text.rstrip("\n")] if text.strip() else []
    pieces += [piece for node in _declaring(what, known) if (piece := _piece(what, node, after))]
    pieces += [after.sheets[name].text for name in _created(what, before, after)]
    return {what.into_name: "\n\n".join(pieces) + "\n"}


def _created(what: Finishing, before: Schema, after: Schema) -> list[str]:
    """New entities that no file of the unit has a place for."""
    new = (name for name in after.sheets if name not in before.sheets)
    return [name for name in new if after.sheets[name].path not in what.unit.sources]


def _entities(what: Finishing) -> list[ast.Entity]:
    """Those of the main file."""
    found = what.unit.parsed.module.declarations
    return [d for d in found if isinstance(d, ast.Entity) and d.span.path == what.main]


def _declaring(what: Finishing, known: tuple[ast.Declaration, ...]) -> Iterator[ast.Declaration]:
    """What the main file declares and the other one doesn't know yet."""
    databases = {d.name.text for d in known if isinstance(d, ast.Database)}
    tenants = any(isinstance(d, ast.Tenants) for d in known)
    services = {d.name.text for d in known if isinstance(d, ast.Service)}
    owners = {
        name.text for d in what.unit.parsed.module.declarations if isinstance(d, ast.Database) for name in d.services
    }
    for node in what.unit.parsed.module.declarations:
        if node.span.path != what.main:
            continue
        wanted = isinstance(node, ast.Database) and node.name.text not in databases
        wanted = wanted or (isinstance(node, ast.Tenants) and not tenants)
        wanted = wanted or (isinstance(node, ast.Service) and node.name.text in owners - services)
        if wanted or isinstance(node, ast.Entity):
            yield node


def _piece(what: Finishing, node: ast.Declaration, after: Schema) -> str:
    """A declaration with the comments above it; nothing where it is an entity that went away."""
    text = what.unit.sources[what.main].text
    notes = text[with_notes(text, node.span.start) : node.span.start]
    if isinstance(node, ast.Entity):
        sheet = after.sheets.get(node.name.text)
        return notes + sheet.text if sheet else ""
    return notes + text[node.span.start : node.span.end]


def _uses(what: Finishing) -> str:
    """What the main file uses, as a file elsewhere says it."""
    assert what.into_name is not None
    folder = posixpath.dirname(what.into_name) or "."
    documents = {each.source.path for each in what.unit.documents}
    shared = [name for name in what.unit.sources if name != what.main and name not in documents]
    return "".join(f'use "{posixpath.relpath(name, folder)}"\n' for name in shared)


def _closed(what: Finishing) -> str:
    """The migration's own file with the day on which it was finished."""
    text = what.unit.sources[what.main].text
    found = what.unit.parsed.module.declarations
    span: Span = next(d.span for d in found if isinstance(d, ast.Migration))
    at, end, line = inserted(text, span.start, span.end, f"finished {what.day}")
    return edited(text, [(at, end, line)])
