"""Revisions become proof that they ask their gates themselves, all of them, and build their indexes as the plan does."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from migdsl.executor.chain import Chain, Failed
from migdsl.ops.model import BuildIndex, Gate
from migdsl.planning.model import Planned
from migdsl.rehearsal.model import Log, Stuck
from migdsl.rehearsal.troupe import quiet

_GATED = "its gates stand at the beginning of `upgrade`, and ask the ledger"


def waits(log: Log, planned: Planned, chain: Chain, phase: str, at: str) -> None:
    """A phase's revision, where it has gates, run by Alembic now, at a stage of the flag. Raises Stuck where it runs."""
    revision = next((r for r in planned.revisions if r.phase == phase), None)
    asks = any(isinstance(part, Gate) for step in planned.lowered.phase(phase) for part in step.up)
    if revision is None or not asks:
        return
    try:
        with quiet():
            chain.upgrade(revision.id)
    except Failed as failure:
        if failure.gate:
            log.saw("gates", f"{phase} at {at}: {failure.why[:160]}")
        else:
            log.against("gates", f"{phase} failed before its gates held: {failure.why}", revision.path, _GATED)
        return
    log.against("gates", f"{phase} ran at {at}, before its gates held", revision.path, _GATED)
    raise Stuck


def asking(log: Log, planned: Planned, texts: Mapping[str, str]) -> None:
    """Each condition of the plan is asked as the plan has it: while we play, the first that refuses hides the others."""
    for revision in planned.revisions:
        text = texts.get(revision.path)
        if text is None:
            continue
        ways = {"upgrade": [s.up for s in revision.steps], "downgrade": [s.down for s in revision.steps]}
        for name, parts in ways.items():
            asked = _asked(text, name)
            gates = [part for each in parts for part in each if isinstance(part, Gate)]
            for gate in (g for g in gates if _words(g.unmet) not in asked):
                what = f"{name} of {revision.phase} doesn't ask whether {gate.title}, or not as the plan does"
                log.against("gates", what, revision.path, "whoever runs Alembic alone is asked nothing else")


def patient(log: Log, planned: Planned, texts: Mapping[str, str]) -> None:
    """Each index is built CONCURRENTLY: of a few hundred rows it is there in no time, and writers of millions wait for it."""
    for revision in planned.revisions:
        said = _strings(_tree(texts[revision.path])) if revision.path in texts else frozenset()
        built = (part for step in revision.steps for part in step.up if isinstance(part, BuildIndex))
        for part in (p for p in built if said and _words(p.create) not in said):
            what = f"the index {part.name} isn't built as the plan builds it"
            way = "without CONCURRENTLY all writers of the table wait until it is there: on real data for as long as a scan takes"
            log.against("blocked", what, revision.path, way)


def _asked(text: str, name: str) -> frozenset[str]:
    """What `require` is given in a function of a revision."""
    functions = [n for n in _tree(text).body if isinstance(n, ast.FunctionDef) and n.name == name]
    calls = (n for f in functions for n in ast.walk(f) if isinstance(n, ast.Call))
    required = (call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "require")
    return frozenset().union(*map(_strings, required))


def _tree(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError:
        return ast.Module([], [])  # which Alembic will say


def _strings(node: ast.AST) -> frozenset[str]:
    """The texts in a piece of Python, as it means them: not as they are quoted there."""
    found = (each.value for each in ast.walk(node) if isinstance(each, ast.Constant))
    return frozenset(_words(value) for value in found if isinstance(value, str))


def _words(sql: str) -> str:
    return " ".join(sql.split())
