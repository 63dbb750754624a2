"""A syntax tree becomes a checked module and diagnostics: a tuple of passes, each of which needs those before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from migdsl.diagnostics import Diagnostic
from migdsl.semantics import changes, creation, header, newer, relations, retypes, rollout, routes, tables
from migdsl.semantics.model import Change, CheckedModule, Database, Rollout, Table
from migdsl.semantics.phrases import switches_nothing
from migdsl.semantics.problems import Problems
from migdsl.semantics.spreading import spread
from migdsl.syntax import ast
from migdsl.syntax.parser import Parsed
from migdsl.syntax.unit import Attached
from migdsl.values import replace

T = TypeVar("T", bound=ast.Declaration)


@dataclass(frozen=True, slots=True)
class _Work:
    """What the passes share: the declarations, and where to leave problems."""

    parsed: Parsed
    problems: Problems

    def all(self, kind: type[T]) -> list[T]:
        return [d for d in self.parsed.module.declarations if isinstance(d, kind)]


def check(parsed: Parsed, documents: tuple[Attached, ...] = ()) -> tuple[CheckedModule, tuple[Diagnostic, ...]]:
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
    if documents:
        # Most migrations come without: these read JSON by models, whose import takes longer than a check.
        from migdsl.semantics.tickets import with_documents

        module = with_documents(work.problems, module, documents)
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


def _services(work: _Work, module: CheckedModule) -> CheckedModule:
    nodes = work.all(ast.Database)
    if not work.all(ast.Service) and not any(node.services for node in nodes):
        return module
    from migdsl.semantics import replacing  # most files name none

    found = replacing.services(work.problems, work.all(ast.Service))
    owners = [replacing.owner_of(work.problems, node, found) for node in nodes]
    owned = tuple(replace(d, service=owner) for d, owner in zip(module.databases, owners, strict=True))
    return replace(module, services=found, databases=owned)


def _replacements(work: _Work, module: CheckedModule) -> CheckedModule:
    nodes = work.all(ast.Replace)
    if not nodes:
        return module
    from migdsl.semantics import replacing  # as above

    headers, alone = work.all(ast.Migration), not module.changes
    return replace(
        module, replacements=replacing.replacements(work.problems, nodes, module.services, headers, alone=alone)
    )


def _tenants(work: _Work, module: CheckedModule) -> CheckedModule:
    found = work.all(ast.Tenants)
    for extra in found[1:]:
        header.again(work.problems, extra.span, found[0].span, "tenants", "the migration")
    if found:
        names = tuple(d.name for d in module.databases)
        return replace(module, tenants=header.tenants(work.problems, found[0], names))
    changed = [*(c.entity for c in work.all(ast.Change)), *(c.entity.name for c in work.all(ast.Create))]
    changed += [*(d.entity for d in work.all(ast.DropEntity)), *(m.entity for m in work.all(ast.Move))]
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
    later = {node.entity.text: changes.coming(node) for node in reversed(work.all(ast.Change))}
    created = creation.created(work.problems, work.all(ast.Create), entities, databases, module.tenants, later)
    targets = {**{c.table.entity: c.table for c in created}, **entities}
    seen: dict[str, ast.Change] = {}
    found = []
    for node in work.all(ast.Change):
        if node.entity.text in seen:
            first = seen[node.entity.text].entity.span
            header.again(work.problems, node.entity.span, first, f"change {node.entity.text}", "the migration")
            continue
        seen[node.entity.text] = node
        change = changes.change(work.problems, node, entities, targets)
        if change is not None:
            found.append(change)
    changed = {c.table.entity: c for c in found}
    dropped = creation.dropped(work.problems, work.all(ast.DropEntity), entities, changed)
    every = _moves(work, entities, databases, (*created, *found, *dropped))
    return spread(replace(module, changes=retypes.follow(every, module.tables)))


def _moves(
    work: _Work, entities: dict[str, Table], databases: dict[str, Database], changes: tuple[Change, ...]
) -> tuple[Change, ...]:
    """The changes with those of tables whose rows go to another one."""
    nodes, syncs = work.all(ast.Move), work.all(ast.Sync)
    if not nodes and not syncs:
        return changes
    from migdsl.semantics import crossing, moving  # most files move none

    found = moving.moved(work.problems, nodes, syncs, moving.Surroundings(entities, databases, changes))
    return crossing.pointed_anew(found, changes)


def _rollout(work: _Work, module: CheckedModule) -> CheckedModule:
    cutovers, tenants = work.all(ast.Cutover), module.tenants
    if module.replacements:
        from migdsl.semantics import replacing  # as above

        cutovers, tenants = replacing.ramped(work.all(ast.Replace), cutovers, tenants)
    found = rollout.rollout(work.problems, cutovers, tenants, at_once=_at_once(module))
    name = module.header.name if module.header else None
    return replace(
        module,
        rollout=found,
        stages=rollout.stages(work.problems, work.all(ast.Flag), name, found.canary, module.tenants),
        switches=rollout.switches(work.problems, work.all(ast.BooleanFlag), found.canary, module.tenants),
    )


def _at_once(module: CheckedModule) -> bool:
    """Whether all that is switched is rows without tenants that go to another database, where all turn over in one moment."""
    if module.replacements or not module.moves:
        return False
    moves = [move.target for move in module.moves if move.across and not move.table.owned]
    return all(switches_nothing(change) for change in module.changes if change.table not in moves)


def _apis(work: _Work, module: CheckedModule) -> CheckedModule:
    found = work.all(ast.Api)
    if not found:
        return module
    from migdsl.semantics.apis import apis  # most files have none

    return replace(module, apis=apis(work.problems, found, module.tenants))


def _policy(work: _Work, module: CheckedModule) -> CheckedModule:
    if not any(_has_policy(d) for d in work.parsed.module.declarations):
        return module
    # Most files leave all of it to the defaults, and then need none of what reads it.
    from migdsl.semantics.policies import with_policy

    # What Python computes is only told now.
    return spread(with_policy(work.problems, module, work.parsed.module.declarations))


def _several(work: _Work, module: CheckedModule) -> CheckedModule:
    if len(module.databases) > 1 or module.phase_after:
        from migdsl.semantics.several import check as apart  # most files declare one database

        apart(work.problems, module)
    return module


def _newer(work: _Work, module: CheckedModule) -> CheckedModule:
    newer.check(work.problems, work.parsed.module.declarations, module)
    return module


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
_PASSES = (
    _header,
    _databases,
    _services,
    _tenants,
    _tables,
    _changes,
    _replacements,
    _rollout,
    _apis,
    _policy,
    _several,
    _newer,
)
