"""`migration`, `database` and `tenants` become their checked forms."""

from __future__ import annotations

import re

from migdsl.diagnostics import fixes
from migdsl.dialect.names import is_system_schema
from migdsl.semantics.expressions import select
from migdsl.semantics.model import PHASES, Allowed, Database, Header, Tenants
from migdsl.semantics.problems import Problems, sql_name
from migdsl.semantics.types import column_type
from migdsl.source import Span
from migdsl.syntax import ast, lexis

TYPES = (
    "service_extraction service_migration database_migration schema_change backfill dual_write cdc api_migration "
    "architecture_migration infrastructure_migration dependency_migration"
).split()
OLDEST, NEWEST = 14, 18
_LEDGER = "migdsl"
_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]*@|password=", re.IGNORECASE)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def header(problems: Problems, node: ast.Migration) -> Header:
    """The migration's header."""
    once(problems, node.settings, "migration", repeatable=("assume", "risk", "due"))
    _file_name(problems, node.name)
    downtime, seconds, window = _downtime(problems, node)
    return Header(
        name=node.name.text,
        span=node.name.span,
        ticket=_text(node.settings, "ticket"),
        title=_text(node.settings, "title"),
        kind=_word(problems, node.settings, "migration_type", "migration type", TYPES),
        downtime=downtime,
        downtime_seconds=seconds,
        window=window,
        owner=_text(node.settings, "owner"),
        assumptions=tuple(s.texts[0].value for s in node.settings if s.key == "assume"),
        risks=tuple(s.texts[0].value for s in node.settings if s.key == "risk"),
        through=_word(problems, node.settings, "through", "phase", PHASES),
        allows=allowed(node.allows),
        title_span=next((s.span for s in node.settings if s.key == "title"), None),
        ticket_span=next((s.span for s in node.settings if s.key == "ticket"), None),
        ticket_file=_text(node.settings, "ticket_file"),
    )


def _file_name(problems: Problems, name: ast.Name) -> None:
    """The name becomes part of paths, tables, revisions and flags."""
    if _IDENTIFIER.fullmatch(name.text) is None:
        title = f"`{name.text}` can't name a migration"
        help_ = (
            "use 1 to 63 letters, digits and underscores, a letter first: files, flags and revisions are named after it"
        )
        near = re.sub(r"[^A-Za-z0-9]+", "_", name.text).strip("_")
        fits = _IDENTIFIER.fullmatch(near)
        fix = fixes.replacing(name.span, near, f"it is called `{near}`", safe=False) if fits else None
        problems.error("MIG008", name.span, title, "not a file's name everywhere", help=help_, fix=fix)


def _downtime(problems: Problems, node: ast.Migration) -> tuple[str, float | None, str | None]:
    for setting in node.settings:
        if setting.key == "downtime_window":
            length = lexis.seconds(setting.numbers[0].raw)
            if length is None:
                bad_number(problems, setting.numbers[0], "duration", "5m")
            return "window", length, setting.texts[0].value if setting.texts else None
        if setting.key == "downtime" and setting.words[0].text == "allowed":
            return "allowed", None, None
        if setting.key == "downtime" and setting.words[0].text != "none":
            word = setting.words[0]
            problems.unknown("MIG106", "downtime policy", word.text, word.span, ["none", "allowed", "window"])
    return "none", 0.0, None


def database(problems: Problems, node: ast.Database) -> Database:
    """A database's declaration."""
    once(problems, node.settings, "database")
    settings = {s.key: s for s in node.settings}
    migrations = settings.get("migrations")
    texts = [t.value for t in migrations.texts] if migrations else []
    if migrations:
        _folder(problems, migrations.texts[0])
    url = settings.get("url_env")
    if node.schema is not None:
        free_schema(problems, node.schema)
    return Database(
        name=node.name.text,
        version=_version(problems, settings.get("engine")),
        url_env=url.words[0].text if url else _no_url(problems, settings.get("url_literal")),
        schema=sql_name(node.schema) if node.schema else "public",
        versions_path=texts[0] if texts else None,
        after=texts[1] if len(texts) > 1 else None,
        span=node.name.span,
    )


def free_schema(problems: Problems, name: ast.Name) -> None:
    """Report a schema that PostgreSQL keeps for itself, or that the ledger is in."""
    schema = sql_name(name)
    if schema == _LEDGER or is_system_schema(schema):
        whose = "the ledger's: expand makes it, and prepare takes it away again"
        whose = whose if schema == _LEDGER else "PostgreSQL's own: nobody else may have a table there"
        title = f"no table of yours can be in the schema `{schema}`"
        problems.error("MIG114", name.span, title, f"is {whose}", help="name a schema of your own, such as public")


def _folder(problems: Problems, path: ast.Text) -> None:
    """Where revisions go: a folder below the output root, on whatever system it is compiled."""
    parts = path.value.split("/")
    if any(part in ("", ".", "..") for part in parts) or not path.value.isprintable() or set(path.value) & set("\\:"):
        title = f"`{path.value}` is no folder below the output folder"
        body = "What is compiled stays below the folder that it is compiled into."
        label = "leaves it, or can't be written everywhere"
        near = "/".join(part for part in re.split(r"[/\\]", path.value) if part not in ("", "."))
        inside = near.isprintable() and near and not path.value.startswith(("/", "\\")) and not set(near) & set('":')
        fix = None
        if inside and ".." not in near.split("/"):
            fix = fixes.replacing(path.span, f'"{near}"', f"it is written `{near}`", safe="\\" not in path.value)
        problems.error("MIG701", path.span, title, label, body=body, help='migrations "db/versions"', fix=fix)


def _no_url(problems: Problems, literal: ast.Setting | None) -> str:
    if literal is not None:
        secret = _PASSWORD.search(literal.texts[0].value) is not None
        title = "a password stands in the file" if secret else "a database's URL comes from the environment"
        body = "This file is committed, reviewed and copied; whoever reads it could use the password." if secret else ""
        line = "url env DATABASE_URL"
        fix = fixes.replacing(literal.span, line, "the environment has the URL, as DATABASE_URL", safe=False)
        problems.error("MIG311", literal.span, title, "a literal URL", body=body, help=line, fix=fix)
    return "DATABASE_URL"


def _version(problems: Problems, engine: ast.Setting | None) -> int:
    if engine is None:
        return OLDEST
    name = engine.words[0]
    if name.text not in ("postgresql", "postgres"):
        problems.unknown("MIG206", "engine", name.text, name.span, ["postgresql"])
        return OLDEST
    if not engine.numbers:
        return OLDEST
    version = lexis.count(engine.numbers[0].raw)
    if version is None or not OLDEST <= version <= NEWEST:
        title = f"PostgreSQL {engine.numbers[0].raw} is not supported"
        help_ = f"migdsl knows PostgreSQL {OLDEST} to {NEWEST}"
        problems.error("MIG206", engine.numbers[0].span, title, "not a known version", help=help_)
        return OLDEST
    return version


def tenants(problems: Problems, node: ast.Tenants, databases: tuple[str, ...]) -> Tenants:
    """The tenant boundary."""
    if node.none_because:
        return Tenants(None, None, None, node.none_because.value, node.span)
    for parts, what in ((node.keys, "key"), (node.lists, "list")):
        if not parts:
            help_ = "key tenant_id uuid" if what == "key" else "list `SELECT id FROM tenants ORDER BY id`"
            problems.error("MIG301", _head(node), f"the tenant boundary has no `{what}`", "add it here", help=help_)
        elif len(parts) > 1:
            again(problems, parts[1].span, parts[0].span, what, "the tenant boundary", same=False)
    for item in node.lists:
        if item.database and item.database.text not in databases:
            problems.unknown("MIG103", "database", item.database.text, item.database.span, databases)
    key = node.keys[0] if node.keys else None
    where = node.lists[0].database if node.lists else None
    return Tenants(
        sql_name(key.name) if key else None,
        column_type(problems, key.type) if key else None,
        select(problems, node.lists[0].sql) if node.lists else None,
        None,
        key.span if key else _head(node),
        where.text if where is not None and where.text in databases else None,
        node.lists[0].span if node.lists else None,
    )


def _head(node: ast.Tenants) -> Span:
    """The word `tenants`."""
    return Span(node.span.path, node.span.start, node.span.start + len("tenants"))


def allowed(nodes: tuple[ast.Allow, ...], within: Span | None = None) -> tuple[Allowed, ...]:
    """The rules that a block lifts; `within` is the operation that this is said of, None for the whole file."""
    return tuple(Allowed(n.code.text, n.reason.value, n.span, within) for n in nodes)


def allowed_within(node: ast.Declaration) -> tuple[Allowed, ...]:
    """All rules that a declaration lifts, its operations included."""
    found = allowed(getattr(node, "allows", ()))
    if isinstance(node, ast.Entity):
        found += allowed(tuple(item for item in node.items if isinstance(item, ast.Allow)))
    if isinstance(node, ast.Change):
        found += tuple(
            a for operation in node.operations for a in allowed(getattr(operation, "allows", ()), operation.span)
        )
    return found


def once(problems: Problems, settings: tuple[ast.Setting, ...], where: str, repeatable: tuple[str, ...] = ()) -> None:
    """Report settings that stand twice."""
    seen: dict[str, ast.Setting] = {}
    for setting in settings:
        # A ticket may be named besides the file that it stands in: that both are the same is asked elsewhere.
        key = setting.key if setting.key == "ticket_file" else setting.key.split("_")[0]
        if key in repeatable:
            continue
        if key in seen:
            first = seen[key]
            again(
                problems,
                setting.span,
                first.span,
                key.replace("_", " "),
                f"the {where}",
                same=_said(first) == _said(setting),
            )
        seen.setdefault(key, setting)


def _said(setting: ast.Setting) -> tuple[object, ...]:
    """What a setting says, wherever it stands."""
    words, texts = tuple(w.text for w in setting.words), tuple(t.value for t in setting.texts)
    return setting.key, words, texts, tuple(n.raw for n in setting.numbers)


def again(problems: Problems, span: Span, first: Span, what: str, where: str, *, same: bool | None = None) -> None:
    """Report something that may stand once and stands twice; `same`: the second one is a line that says the same."""
    title = f"`{what}` is said twice of {where}"
    goes = "the second one goes, which says the same" if same else "the second one goes, and the first one stays"
    fix = None if same is None else fixes.removing(span, goes, safe=same)
    problems.error("MIG013", span, title, "again", more=[(first, "first said here")], help="keep one of them", fix=fix)


def bad_number(problems: Problems, number: ast.Number, what: str, example: str) -> None:
    """Report a number of the wrong kind."""
    title, label = f"`{number.raw}` is no {what}", f"a {what} is expected"
    meant = lexis.respelt(number.raw, example)
    meant = meant if meant != number.raw else None
    fix = fixes.replacing(number.span, meant, f"`{number.raw}` becomes `{meant}`", safe=True) if meant else None
    near = f"{number.raw}%" if lexis.percent(example) and lexis.percent(f"{number.raw}%") else None
    problems.error("MIG008", number.span, title, label, help=f"for example {meant or near or example}", fix=fix)


def _text(settings: tuple[ast.Setting, ...], key: str) -> str | None:
    return next((s.texts[0].value for s in settings if s.key == key), None)


def _word(
    problems: Problems, settings: tuple[ast.Setting, ...], key: str, what: str, known: tuple[str, ...] | list[str]
) -> str | None:
    for setting in settings:
        if setting.key == key:
            word = setting.words[0]
            if word.text in known:
                return word.text
            problems.unknown("MIG106", what, word.text, word.span, known)
    return None
