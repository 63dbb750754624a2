"""Revisions that a compile would write anew become an error where they have run for sure, a warning where they may have.

What counts is what a revision does to a database: the statements of its way up and its way back, whatever their order,
layout and comments. Locks, gates, the ledger's own DDL and how statements are run belong to migdsl and may change with it.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from migdsl.cli import manifest as manifests
from migdsl.cli.changes import MANIFEST, REVISION, Change, Comparison
from migdsl.cli.output import plural
from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.dialect.canonical import canonical
from migdsl.plan import DataMigrationPlan
from migdsl.semantics.model import STAGES, CheckedModule
from migdsl.source import Span

Statements = dict[str, Counter[str]]


def rewritten(
    root: str, comparison: Comparison, plan: DataMigrationPlan, module: CheckedModule, version: str
) -> tuple[Diagnostic, ...]:
    """A diagnostic for each phase whose revision on disk would do something else: MIG707 or MIG708."""
    known = {conflict.path for conflict in comparison.conflicts}
    phases = {step.artifact: phase for phase in plan.phases for step in phase.typed_steps if step.artifact}
    found = []
    for change in comparison.changes:
        if change.kind == REVISION and change.state == "changed" and change.path not in known:
            said = list(_differences(change))
            phase = phases.get(change.path)
            if said and phase is not None:
                body = "\n".join(f"  {each}" for each in said) + _written_by(root, comparison, version)
                refused = phase.passed
                found.append(
                    _refused(phase.id, change.path, body, module) if refused else _warned(phase.id, change.path, body)
                )
    return tuple(found)


def statements(text: str) -> Statements:
    """The statements of `upgrade` and `downgrade`, each with how often it is there. Raises SyntaxError, ValueError."""
    tree = ast.parse(text)
    functions = {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef)}
    names = ("upgrade", "downgrade")
    return {name: Counter(_of(functions[name])) if name in functions else Counter() for name in names}


def _of(function: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            for argument in node.args:
                # Lists are locks, tuples gates and keys, a starred name is the ledger: statements stand by themselves.
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield canonical(argument.value)


def _differences(change: Change) -> Iterator[str]:
    """What is different, in words; nothing where the two do the same."""
    assert change.before is not None
    assert change.after is not None
    try:
        before, after = (statements(data.decode("utf-8")) for data in (change.before, change.after))
    except (SyntaxError, ValueError):
        yield "what stands there is no revision"
        return
    for name, way in (("upgrade", "the way up"), ("downgrade", "the way back")):
        gone, new = before[name] - after[name], after[name] - before[name]
        if gone or new:
            yield f"{way}: {plural(gone.total(), 'statement')} would go, {new.total()} would be new"


def _refused(phase: str, path: str, said: str, module: CheckedModule) -> Diagnostic:
    stage, label = _line(module)
    title = f"{phase} has run, and `{path}` would do something else"
    body = f"The flag stands at {stage}, which rests on {phase}. A database never runs a revision twice.\n{said}"
    help_ = (
        "leave it as it was and put what is new into a migration of its own (migdsl diff OLD NEW shows the steps); "
        "where every database was downgraded below it, --force writes it anew"
    )
    return Diagnostic("MIG707", Severity.ERROR, title, label, body=body, help=help_)


def _warned(phase: str, path: str, said: str) -> Diagnostic:
    title = f"`{path}` was written before, and does something else now"
    body = f"A database that has run {phase} already keeps what it has.\n{said}"
    help_ = "nothing, while no database has run it; else downgrade below it first, and upgrade again"
    return Diagnostic("MIG708", Severity.WARNING, title, None, body=body, help=help_)


def _line(module: CheckedModule) -> tuple[str, Label | None]:
    """The stage that is farthest, and the line that says so."""
    farthest = max(module.stages, key=lambda line: STAGES.index(line.stage), default=None)
    if farthest is None:
        return "off", None
    place: Span | None = farthest.span
    return farthest.stage, Label(place, "stands here") if place is not None else None


def _written_by(root: str, comparison: Comparison, version: str) -> str:
    """A sentence where another version of migdsl wrote what is there: then the file may be innocent."""
    before = next((change.before for change in comparison.changes if change.kind == MANIFEST), None)
    try:
        other = manifests.decode(before or b"", root).compiler
    except ValueError:
        return ""
    if other == version:
        return ""
    return f"\nmigdsl {other} wrote it, and this is {version}: finish the migration with that one, or use --force."
