"""What a file declares besides its steps becomes flat subjects with texts, so that two versions can be held together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from migdsl.dialect.canonical import canonical
from migdsl.dialect.sql import Expression, Statement
from migdsl.dialect.types import SqlType
from migdsl.plan.diff import Difference
from migdsl.planning.model import Planned
from migdsl.planning.words import duration, listed
from migdsl.semantics.api_model import Api, Version
from migdsl.semantics.model import Column, Constraint, Database, Header, Table
from migdsl.semantics.replacement import Replacement
from migdsl.source import Span
from migdsl.values import Value

SECTIONS = ("migration", "database", "tenants", "entities", "apis", "replacements", "rollout", "flags", "revisions")
Said = dict[str, str]


def differences(old: Planned, new: Planned) -> tuple[Difference, ...]:
    """Everything that is said differently, section by section, by subject."""
    return tuple(d for section in SECTIONS for d in _section(section, _SAID[section](old), _SAID[section](new)))


def _section(section: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Difference]:
    for subject in sorted({*before, *after}):
        was, is_ = before.get(subject), after.get(subject)
        if was != is_:
            yield Difference(section=section, subject=subject, before=was, after=is_)


def _migration(planned: Planned) -> Said:
    header = planned.module.header
    assert header is not None
    allowed = {f"allow {a.code}": a.reason for a in planned.module.allows}
    return _fields(header, but=("name", "allows")) | allowed | _asked(planned)


def _asked(planned: Planned) -> Said:
    """What ticket and integration plan say; a criterion by its id, where it has one."""
    ticket, integration = planned.module.ticket, planned.module.integration
    found: Said = {}
    for criterion in ticket.criteria if ticket is not None else ():
        found[f"criterion {criterion.id or criterion.text}"] = criterion.text
    for of in (ticket, integration):
        found |= {f"risk {text}": "expected" for text in (of.risks if of is not None else ())}
    for each in integration.systems if integration is not None else ():
        found[f"system {each.service}"] = f"{each.direction}: {listed(each.touchpoints)}"
    for contract in integration.contracts if integration is not None else ():
        found[f"contract {contract.name}"] = "; ".join(f"{name} {value}" for name, value in contract.details)
    return found


def _databases(planned: Planned) -> Said:
    found: Said = {}
    for database in planned.module.databases:
        found |= {f"{database.name} {name}": text for name, text in _fields(database, but=("name",)).items()}
    return found


def _apis(planned: Planned) -> Said:
    found: Said = {}
    for api in planned.module.apis:
        lists = ("versions", "routes", "deprecations", "sunsets", "graces")
        found |= {f"{api.name} {field}": text for field, text in _fields(api, but=("name", "whole", *lists)).items()}
        found |= {f"{api.name} version {v.name}": _version(v) for v in api.versions}
        found |= {f"{api.name} route {r.method} {r.path}": "declared" for r in api.routes}
        found |= {f"{api.name} deprecate {d.version}": d.date for d in api.deprecations}
        found |= {f"{api.name} sunset {s.version}": s.date for s in api.sunsets}
        found |= {f"{api.name} grace {tenant}": g.until for g in api.graces for tenant in g.tenants}
    return found


def _version(version: Version) -> str:
    return f"{version.at} replaces {version.replaces}" if version.replaces else version.at


def _replacements(planned: Planned) -> Said:
    found: Said = {}
    for each in planned.module.replacements:
        found |= {f"{each.name} {field}": text for field, text in _fields(each, but=("name",)).items()}
    return found


def _fields(value: Header | Database | Api | Replacement, but: tuple[str, ...]) -> Said:
    said = {name: _text(getattr(value, name)) for name in value.FIELDS if name not in but and "span" not in name}
    return {name.replace("_", " "): text for name, text in said.items() if text}


def _tenants(planned: Planned) -> Said:
    tenants = planned.module.tenants
    if tenants is None:
        return {}
    said = {"none because": tenants.none_because, "list": tenants.listing, "key": tenants.key, "type": tenants.type}
    said["in"] = tenants.database
    return {subject: _text(value) for subject, value in said.items() if value is not None}


def _entities(planned: Planned) -> Said:
    found: Said = {}
    for table in planned.module.tables:
        found |= _entity(table)
    return found


def _entity(table: Table) -> Said:
    name = table.entity
    found = {name: f"{table.database}.{table.schema}.{table.name}", f"{name} key": ", ".join(table.key)}
    found |= {f"{name}.{column.name}": _column(column) for column in table.columns}
    found |= {f"{name} legacy {column}": note for column, note in table.legacy}
    for fact in ("scope", "scope_reason", "rows", "sensitivity"):
        if getattr(table, fact) is not None:
            found[f"{name} {fact.replace('_', ' ')}"] = _text(getattr(table, fact))
    for constraint in table.constraints:
        subject = f"{name} {_constraint(constraint)}"
        found[subject] = _text(constraint)
    return found


def _column(column: Column) -> str:
    marks = [mark for mark in ("key", "tenant", "pii", "phi", "unique") if getattr(column, mark)]
    marks += [f"default {column.default}"] if column.default is not None else []
    marks += [f"identity {column.identity}"] if column.identity else []
    marks += [f"generated {_text(column.generated)}"] if column.generated else []
    return " ".join([column.type.sql + ("?" if column.nullable else ""), *marks])


def _constraint(constraint: Constraint) -> str:
    named = f" as {constraint.name}" if constraint.name else ""
    columns = constraint.columns or tuple(sorted(constraint.uses))
    kind = "unique index" if constraint.unique_index else constraint.kind
    return f"{kind} ({', '.join(columns)}){named}"


def _rollout(planned: Planned) -> Said:
    rollout = planned.module.rollout
    steps = listed(["canary" if s is None else f"{s:g}%" for s in rollout.steps])
    ramp = "by request" if rollout.by_request else f"{steps} every {duration(rollout.every_seconds)}"
    return {"ramp": ramp} | ({"canary": ", ".join(rollout.canary)} if rollout.canary else {})


def _flags(planned: Planned) -> Said:
    found: Said = {}
    for switch in planned.module.switches:
        scopes = [
            ", ".join(line.tenants) or (f"{line.percent}%" if line.percent else line.scope) for line in switch.lines
        ]
        found[switch.name] = "on for " + ("; ".join(scopes) or "nobody")
    return found


def _revisions(planned: Planned) -> Said:
    when = {True: "written now", False: "written later"}
    return {r.id: f"follows {r.after or 'nothing'}, in {r.path}, {when[r.released]}" for r in planned.revisions}


_SAID = {
    "migration": _migration,
    "database": _databases,
    "tenants": _tenants,
    "entities": _entities,
    "apis": _apis,
    "replacements": _replacements,
    "rollout": _rollout,
    "flags": _flags,
    "revisions": _revisions,
}


def _text(value: Any) -> str:
    """Any value of a module as text; where it stood in the file doesn't count."""
    if isinstance(value, Expression | Statement):
        return canonical(value.text)
    if isinstance(value, SqlType):
        return value.sql
    if isinstance(value, tuple | list):
        return ", ".join(_text(each) for each in value)
    if isinstance(value, frozenset):
        return ", ".join(sorted(map(_text, value)))
    if isinstance(value, Value):
        fields = ((name, getattr(value, name)) for name in value.FIELDS)
        said = [(name, _text(inner)) for name, inner in fields if not isinstance(inner, Span)]
        return "; ".join(f"{name} {text}" for name, text in said if text)
    return "" if value is None or value is False else str(value)
