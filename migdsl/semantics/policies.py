"""All declarations beside tables and their changes become one checked policy."""

from __future__ import annotations

from migdsl.semantics import carrying, measured, outputs, phasing, promises, proving, watch
from migdsl.semantics.conditions import BUILT_IN, SERVED, SYNCED
from migdsl.semantics.header import again, once
from migdsl.semantics.invariants import Surroundings
from migdsl.semantics.model import CheckedModule
from migdsl.semantics.policy import Metric, Policy
from migdsl.semantics.problems import Problems
from migdsl.syntax import ast
from migdsl.values import replace


class Declared:
    """The declarations of a file, by kind."""

    def __init__(self, declarations: tuple[ast.Declaration, ...]) -> None:
        self.headers = [d for d in declarations if isinstance(d, ast.Migration)]
        self.cutovers = [d for d in declarations if isinstance(d, ast.Cutover)]
        self.phases = [d for d in declarations if isinstance(d, ast.Phase)]
        self.rollbacks = [d for d in declarations if isinstance(d, ast.Rollback)]
        self.backfills = [d for d in declarations if isinstance(d, ast.Backfill)]
        self.validates = [d for d in declarations if isinstance(d, ast.Validate)]
        self.metrics = [d for d in declarations if isinstance(d, ast.Metric)]
        self.alerts = [d for d in declarations if isinstance(d, ast.Alert)]
        self.gates = [d for d in declarations if isinstance(d, ast.Gate)]
        self.accepts = [d for d in declarations if isinstance(d, ast.Accept)]
        self.impacts = [d for d in declarations if isinstance(d, ast.Impact)]
        self.outputs = [d for d in declarations if isinstance(d, ast.Output)]


def with_policy(problems: Problems, module: CheckedModule, declarations: tuple[ast.Declaration, ...]) -> CheckedModule:
    """The module with what its file says beside tables and changes."""
    said = Declared(declarations)
    changes = {c.table.entity: c for c in module.changes}
    if any(b.usings for b in said.backfills):
        changes = dict(carrying.with_python(problems, said.backfills, changes))
        module = replace(module, changes=tuple(changes.values()))
    around = Surroundings((*module.tables, *(c.table for c in module.created)), changes)
    own = watch.metrics(problems, said.metrics)
    # What the generated middleware counts, and the sync job, is known where there is one.
    known = [*([SERVED] if module.apis else []), *(SYNCED if any(move.across for move in module.moves) else [])]
    metrics = {**{name: Metric(name, BUILT_IN[name], None) for name in known}, **own}
    aborts = tuple(a for c in said.cutovers[:1] for a in c.aborts)
    returns, return_steps, keep = phasing.way_back(problems, said.rollbacks, metrics)
    validations = proving.validations(problems, said.validates, changes, around)
    invariants = tuple(" ".join(i.text.value.split()) for v in said.validates for i in v.invariants)
    start = promises.start(problems, said.headers)
    _switches(problems, said.cutovers, module)
    found = Policy(
        metrics=tuple(own.values()),
        slos=watch.conditions(problems, tuple(s for h in said.headers[:1] for s in h.slos), metrics),
        aborts=watch.conditions(problems, aborts, metrics, alarms=True),
        returns=returns,
        return_steps=return_steps,
        keep_seconds=keep,
        alerts=watch.alerts(problems, said.alerts, metrics),
        gates=watch.gates(problems, said.gates, metrics),
        validations=validations,
        paces=proving.paces(problems, said.backfills, changes, around),
        notes=phasing.notes(problems, said.phases, metrics),
        accepted=promises.accepted(problems, said.accepts, metrics, invariants),
        impact=promises.impact(problems, said.impacts, module.header, module.services),
        paths=_paths(problems, said.outputs, module),
        prd=promises.prd(said.headers),
        start=start,
        dues=promises.dues(problems, said.headers, start),
        one_way=promises.one_way(problems, said.headers),
    )
    measured.check(problems, module, declarations)
    names = tuple(d.name for d in module.databases)
    return replace(module, policy=found, phase_after=phasing.phase_after(said.phases, problems, names))


def _switches(problems: Problems, nodes: list[ast.Cutover], module: CheckedModule) -> None:
    """`reads` and `writes`: what a table that is changed in place does anyway, and what it can't do."""
    for node in nodes[:1]:
        once(problems, node.settings, "cutover")
        for setting in node.settings:
            words = [w.text for w in setting.words]
            if setting.key == "reads":
                _reads(problems, setting, words, module)
            elif words[0] == "after" and not any(move.across for move in module.moves):
                title = "on one table reads and writes are switched at once, in this release"
                problems.error("MIG007", setting.span, title, "not supported yet", help="writes with reads")
            elif words[0] == "with" and any(move.across for move in module.moves):
                title = "in two databases reads and writes can't be switched in one moment"
                body = "A tenant's reads go to the new side with the flag; then its writers wait for a moment, while what they "
                body += "have written is carried over."
                problems.error(
                    "MIG453", setting.span, title, "one after the other", body=body, help="writes after reads"
                )
            elif words[0] not in ("with", "after"):
                across = any(move.across for move in module.moves)
                problems.unknown(
                    "MIG106", "order", words[0], setting.words[0].span, ("after",) if across else ("with",)
                )


def _reads(problems: Problems, setting: ast.Setting, words: list[str], module: CheckedModule) -> None:
    known = ("tenant", "request")
    for word in setting.words:
        if word.text not in known:
            problems.unknown("MIG106", "way to switch", word.text, word.span, known)
            return
    by = "request" if module.rollout.by_request else "tenant"
    if words != [by, by]:
        title = f"the ramp goes {by} by {by}"
        problems.error("MIG013", setting.span, title, "says otherwise", help=f"reads {by} by {by}")


def _paths(problems: Problems, nodes: list[ast.Output], module: CheckedModule) -> tuple[tuple[str, str], ...]:
    if not nodes:
        return ()
    header = module.header
    used = tuple({d.name: d for c in module.changes for d in module.databases if d.name == c.table.database}.values())
    default = outputs.DEFAULTS["migrations"] if len(used) < 2 else outputs.OF_SEVERAL
    where = outputs.Where(
        header.name if header else "migration",
        used[0].name if used else "database",
        tuple(c.table.entity for c in module.changes),
        tuple(t.entity for t in module.every),
        tuple((d.name, d.versions_path or default) for d in used) or (("database", default),),
    )
    for node in nodes[:1]:
        for item in node.paths:
            if item.kind.text == "migrations" and (own := [d for d in used if d.versions_path]):
                again(problems, item.span, own[0].span, "migrations", "the database")
    return outputs.paths(problems, nodes, where)
