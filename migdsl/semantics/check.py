"""A syntax tree becomes a checked module and diagnostics: a tuple of passes, each of which needs those before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from migdsl.diagnostics import Diagnostic
from migdsl.semantics import changes, creation, header, relations, retypes, rollout, routes, tables
from migdsl.semantics.model import Change, CheckedModule, Rollout
from migdsl.semantics.problems import Problems
from migdsl.syntax import ast
from migdsl.syntax.parser import Parsed
from migdsl.values import replace

T = TypeVar("T", bound=ast.Declaration)


@dataclass(frozen=True, slots=True)
class _Work:
    """What the passes share: the declarations, and where to leave problems."""

    parsed: Parsed
    problems: Problems

    def all(self, kind: type[T]) -> list[T]:
        return [d for d in self.parsed.module.declarations if isinstance(d, kind)]


def check(parsed: Parsed) -> tuple[CheckedModule, tuple[Diagnostic, ...]]:
    """Resolve and check all of a parsed file. The module is to be used only where no diagnostic is an error."""
    work = _Work(parsed, Problems(parsed.broken))
    module = CheckedModule(
        path=parsed.module.path,
        header=None,
        databases=(),
        tenants=None,
        tables=(),
        changes=(),
        rollout=Rollout((), rollout.DEFAULT_STEPS, rollout.DEFAULT_EVERY, False),
        stages=(),
        switches=(),
        allows=(),
        phase_after=(),
    )
    for step in _PASSES:
        module = step(work, module)
    return module, tuple(work.problems.found)


def _header(work: _Work, module: CheckedModule) -> CheckedModule:
    found = work.all(ast.Migration)
    for extra in found[1:]:
        title = "one file compiles to one migration"
        more = [(found[0].name.span, "the first one")]
        work.problems.error(
            "MIG009", extra.name.span, title, "a second one", more=more, help="give it a file of its own"
        )
    allows = tuple(a for d in work.parsed.module.declarations for a in header.allowed_within(d))
    return replace(module, header=header.header(work.problems, found[0]) if found else None, allows=allows)


def _databases(work: _Work, module: CheckedModule) -> CheckedModule:
    found = work.all(ast.Database)
    _twice(work.problems, [d.name for d in found], "databases")
    return replace(module, databases=tuple(header.database(work.problems, d) for d in found))


def _tenants(work: _Work, module: CheckedModule) -> CheckedModule:
    found = work.all(ast.Tenants)
    for extra in found[1:]:
        header.again(work.problems, extra.span, found[0].span, "tenants", "the migration")
    if found:
        names = tuple(d.name for d in module.databases)
        return replace(module, tenants=header.tenants(work.problems, found[0], names))
    changed = [*(c.entity for c in work.all(ast.Change)), *(c.entity.name for c in work.all(ast.Create))]
    changed += [d.entity for d in work.all(ast.DropEntity)]
    if changed:
        title = "the file doesn't say what a tenant is"
        body = "Every batch, check and gate works tenant by tenant; without the boundary one query could touch everybody's rows."
        help_ = 'tenants { key tenant_id uuid; list `SELECT id FROM tenants ORDER BY id` }, or tenants none because "…"'
        work.problems.error("MIG301", changed[0].span, title, "is changed", body=body, help=help_)
    return module


def _tables(work: _Work, module: CheckedModule) -> CheckedModule:
    found = work.all(ast.Entity)
    _twice(work.problems, [e.name for e in found], "entities")
    databases = {d.name: d for d in module.databases}
    checked = tuple(tables.table(work.problems, e, databases, module.tenants) for e in found)
    pairs = list(zip(found, checked, strict=True))
    relations.check(work.problems, pairs, module.tenants)
    return replace(module, tables=tuple(routes.routed(pairs, {})))


def _changes(work: _Work, module: CheckedModule) -> CheckedModule:
    entities = {t.entity: t for t in reversed(module.tables)}  # of two with one name, the first
    databases = {d.name: d for d in module.databases}
    created = creation.created(work.problems, work.all(ast.Create), entities, databases, module.tenants)
    targets = {**{c.table.entity: c.table for c in created}, **entities}
    seen: dict[str, ast.Change] = {}
    found = []
    declared = {d.name for d in module.databases}
    for node in work.all(ast.Change):
        if node.entity.text in seen:
            first = seen[node.entity.text].entity.span
            header.again(work.problems, node.entity.span, first, f"change {node.entity.text}", "the migration")
            continue
        seen[node.entity.text] = node
        change = changes.change(work.problems, node, entities, targets)
        if change is not None:
            found.append(change)
            # An unknown database was reported; that its tables are elsewhere would be a guess.
            placed = [c for c in found if c.table.database in declared]
            if change in placed:
                _one_database(work.problems, placed[0], change)
    changed = {c.table.entity: c for c in found}
    dropped = creation.dropped(work.problems, work.all(ast.DropEntity), entities, changed)
    every = (*created, *found, *dropped)
    for change in every:
        if change.table.database in declared and change not in found:
            _one_database(work.problems, every[0], change)
    return replace(module, changes=retypes.follow(every, module.tables))


def _one_database(problems: Problems, first: Change, change: Change) -> None:
    if change.table.database != first.table.database:
        title = "changing tables of two databases at once is part of the language, and not of this release"
        more = [(first.table.span, f"is in `{first.table.database}`")]
        label = f"`{change.table.entity}` is in `{change.table.database}`"
        help_ = "write one migration a database"
        problems.error("MIG007", change.span, title, label, more=more, help=help_)


def _rollout(work: _Work, module: CheckedModule) -> CheckedModule:
    found = rollout.rollout(work.problems, work.all(ast.Cutover), module.tenants)
    name = module.header.name if module.header else None
    return replace(
        module,
        rollout=found,
        stages=rollout.stages(work.problems, work.all(ast.Flag), name, found.canary, module.tenants),
        switches=rollout.switches(work.problems, work.all(ast.BooleanFlag), found.canary, module.tenants),
    )


def _policy(work: _Work, module: CheckedModule) -> CheckedModule:
    if not any(_has_policy(d) for d in work.parsed.module.declarations):
        return module
    # Most files leave all of it to the defaults, and then need none of what reads it.
    from migdsl.semantics.policies import with_policy

    return with_policy(work.problems, module, work.parsed.module.declarations)


def _has_policy(node: ast.Declaration) -> bool:
    if isinstance(node, ast.Migration):
        return bool(node.slos) or any(s.key in _OF_POLICY for s in node.settings)
    return isinstance(node, _POLICIES) or (isinstance(node, ast.Cutover) and bool(node.aborts or node.settings))


def _twice(problems: Problems, names: list[ast.Name], what: str) -> None:
    seen: dict[str, ast.Name] = {}
    for name in names:
        if name.text in seen:
            more = [(seen[name.text].span, "the first one")]
            problems.error("MIG104", name.span, f"two {what} are called `{name.text}`", "the second one", more=more)
        seen.setdefault(name.text, name)


_OF_POLICY = frozenset(["prd", "start_on", "due", "dual_write"])
_POLICIES = (
    *(ast.Phase, ast.Rollback, ast.Backfill, ast.Validate, ast.Metric, ast.Alert),
    *(ast.Gate, ast.Accept, ast.Impact, ast.Output),
)
_PASSES = (_header, _databases, _tenants, _tables, _changes, _rollout, _policy)
