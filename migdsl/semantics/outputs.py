"""`output` becomes where each kind of file goes: patterns with placeholders, held to stay apart and inside."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType

from migdsl.semantics.header import again
from migdsl.semantics.problems import Problems
from migdsl.source import Span
from migdsl.syntax import ast
from migdsl.values import Value

# Kind → pattern where the file says nothing. `migrations` is a folder; in the others the last part is the file.
DEFAULTS: Mapping[str, str] = MappingProxyType(
    {
        "plan": "plan/{migration}.plan.json",
        "runbook": "docs/migrations/{migration}.md",
        "migrations": "migrations/versions",
        "backfills": "backfills/{migration}/{entity}.py",
        "reconcile": "reconcile/{migration}/{entity}.py",
        "sync": "sync/{migration}/{entity}.py",
        "cdc": "cdc/{migration}.{entity}.debezium.json",
        "dual_writes": "routing/{migration}/{entity}.py",
        "flags": "flags/{migration}.flagd.json",
        "alerts": "grafana/alerting/{migration}.json",
        "dashboard": "grafana/dashboards/{migration}.json",
        "rules": "prometheus/{migration}.rules.json",
        "rule_tests": "prometheus/{migration}.test.json",
        "api": "api/{migration}.py",
        "verify": "verify/{migration}.py",
        "routing": "routing/{migration}.py",
        "api_guide": "docs/api/{migration}.md",
    }
)
OF_SEVERAL = "migrations/{database}/versions"  # where several databases change
_OF_AN_ENTITY = frozenset(["backfills", "reconcile", "sync", "cdc", "dual_writes"])
_UNSAFE = re.compile(r"[^a-z0-9_]+")
_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class Where(Value):
    """What placeholders stand for: `changed` are the entities that get files, `entities` all that there are.

    `folders` are the databases, each with the folder of its revisions that its declaration says, or the default.
    """

    migration: str
    database: str
    changed: tuple[str, ...]
    entities: tuple[str, ...]
    folders: tuple[tuple[str, str], ...]

    def values(self, entity: str = "", database: str = "") -> Mapping[str, str]:
        """Placeholder → what it stands for."""
        found = {"migration": self.migration, "database": _slug(database or self.database) or "database"}
        return {**found, "entity": file_name(entity, self.entities)} if entity else found


def paths(problems: Problems, nodes: list[ast.Output], where: Where) -> tuple[tuple[str, str], ...]:
    """The patterns that the file says, by kind."""
    for extra in nodes[1:]:
        again(problems, extra.span, nodes[0].span, "output", "the migration")
    found: dict[str, str] = {}
    spans: dict[str, Span] = {}
    for item in (path for node in nodes[:1] for path in node.paths):
        kind = item.kind.text
        if kind not in DEFAULTS:
            problems.unknown("MIG106", "kind of file", kind, item.kind.span, DEFAULTS)
        elif kind in found:
            again(problems, item.span, spans[kind], kind, "the output")
        elif _fine(problems, item, len(where.changed)):
            found[kind] = item.pattern.value
        spans.setdefault(kind, item.span)
    _apart(problems, where, found, {kind: spans[kind] for kind in found})
    return tuple(found.items())


def _fine(problems: Problems, item: ast.OutputPath, entities: int) -> bool:
    kind, pattern = item.kind.text, item.pattern.value
    known = ("database", "migration", *(("entity",) if kind in _OF_AN_ENTITY else ()))
    unknown = [name for name in _PLACEHOLDER.findall(pattern) if name not in known]
    wrong = _wrong(kind, pattern)
    if unknown or set(_PLACEHOLDER.sub("", pattern)) & set("{}"):
        what = f"`{{{unknown[0]}}}`" if unknown else "a brace"
        help_ = f"there is: {', '.join('{' + name + '}' for name in known)}"
        problems.error("MIG709", item.pattern.span, f"{what} stands for nothing in this path", "unknown", help=help_)
    elif wrong:
        help_ = f'{kind} "{DEFAULTS[kind]}"'
        problems.error("MIG701", item.pattern.span, f"`{pattern}` is no path for this", wrong, help=help_)
    elif kind in _OF_AN_ENTITY and entities > 1 and "{entity}" not in pattern:
        title = f"all files of `{kind}` would have the same path"
        problems.error(
            "MIG703", item.pattern.span, title, f"{entities} tables change", help=f'{kind} "{DEFAULTS[kind]}"'
        )
    else:
        return True
    return False


def _wrong(kind: str, pattern: str) -> str:
    """Why a pattern gives no path below the output folder that can be written everywhere, or nothing."""
    if any(part in ("", ".", "..") for part in pattern.split("/")):
        return "leaves the output folder, or names no file"
    if not pattern.isprintable() or set(pattern) & set('\\:*?"<>|') or any(p[-1] in ". " for p in pattern.split("/")):
        return "can't be written everywhere"
    if pattern.split("/", maxsplit=1)[0] in (".git", ".migdsl"):
        return "belongs to something else"
    ending = DEFAULTS[kind].rsplit(".", 1)[-1] if kind != "migrations" else ""
    return f"must end with .{ending}" if ending and not pattern.endswith(f".{ending}") else ""


def _apart(problems: Problems, where: Where, found: Mapping[str, str], spans: Mapping[str, Span]) -> None:
    """No two files may have one path, and none but revisions lie where Alembic looks for revisions."""
    taken: dict[str, str] = {}
    versions = tuple(
        fill(found.get("migrations", folder), where.values(database=database)).lower() + "/"
        for database, folder in where.folders
    )
    for kind, path in _rendered(where, {**DEFAULTS, **found}):
        other = taken.setdefault(path.lower(), kind)
        inside = path.lower().startswith(versions)
        culprit = kind if kind in spans else other if other in spans else "migrations"
        if (other == kind and not inside) or culprit not in spans:
            continue
        title = f"`{path}` lies among the revisions" if inside else f"`{kind}` and `{other}` would be the same file"
        label = "Alembic would read it" if inside else "the same path"
        problems.error("MIG703", spans[culprit], title, label, help="give each kind a place of its own")
        return


def _rendered(where: Where, patterns: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for kind, pattern in patterns.items():
        if kind in _OF_AN_ENTITY:
            for entity in where.changed:
                yield kind, fill(pattern, where.values(entity))
        elif kind != "migrations":
            yield kind, fill(pattern, where.values())


def fill(pattern: str, values: Mapping[str, str]) -> str:
    """A pattern with its placeholders filled."""
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), pattern)


def file_name(entity: str, entities: tuple[str, ...]) -> str:
    """A file's name for an entity; with a digest where two entities, or none at all, would be left of their names."""
    name = _slug(entity)
    if name and _slugs(entities).count(name) == 1 and len(name) <= 60:
        return name
    return f"{name[:50]}_{hashlib.sha256(entity.encode()).hexdigest()[:8]}".lstrip("_")


@lru_cache(maxsize=8)
def _slugs(entities: tuple[str, ...]) -> tuple[str, ...]:
    # Each file of each entity asks for them.
    return tuple(_slug(each) for each in entities)


def _slug(entity: str) -> str:
    return _UNSAFE.sub("_", _BORDER.sub("_", entity).lower()).strip("_")
