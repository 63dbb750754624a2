"""Generated files become the SQL in them: of Python, of PL/pgSQL, of Markdown, and what Alembic prints."""

from __future__ import annotations

import ast
import ctypes
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from postgast.native import lib

from migdsl.dialect import pgquery
from migdsl.dialect.pgquery import SqlError
from migdsl.dialect.sql import Statement, statement
from migdsl.emit.artifact import Artifact

_QUERY = re.compile(r'\{"PLpgSQL_expr":\{"query":("(?:[^"\\]|\\.)*")(?:,"parseMode":(\d))?')
_SQL_WORDS = re.compile(r"\b(select|insert|update|delete|merge|truncate|copy|table|join|from)\b", re.IGNORECASE)
_ENV = """
from alembic import context
context.configure(url="postgresql://nobody@nowhere/none")
with context.begin_transaction():
    context.run_migrations()
"""


@dataclass(frozen=True)
class Found:
    """A statement and the file that it stands in."""

    path: str
    statement: Statement


def of_python(artifact: Artifact, tables: Iterable[str]) -> Iterator[Found]:
    """Every text in a Python file that is SQL. One that only looks so must not speak of one of the tables."""
    tables = tuple(tables)
    tree = ast.parse(artifact.text)
    blocks = [n.body[0] for n in ast.walk(tree) if isinstance(n, ast.Module | ast.FunctionDef)]
    docstrings = [b.value for b in blocks if isinstance(b, ast.Expr)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
            text = node.value.replace("\\:", ":")
            try:
                yield from (Found(artifact.path, s) for s in statements(text))
            except SqlError:
                assert not _SQL_WORDS.search(text) or not any(t in text for t in tables), f"{artifact.path}: {text}"


def of_markdown(artifact: Artifact) -> Iterator[Found]:
    """Every block of SQL in a Markdown file."""
    for block in re.findall(r"^```sql\n(.*?)^```$", artifact.text, re.DOTALL | re.MULTILINE):
        yield from (Found(artifact.path, s) for s in statements(block))


def of_alembic(artifacts: Iterable[Artifact], folder: Path) -> Iterator[Found]:
    """What `alembic --sql` prints for the whole chain, up and down."""
    versions = folder / "versions"
    versions.mkdir(parents=True)
    revisions = [a for a in artifacts if a.kind == "revision"]
    for artifact in revisions:
        (versions / Path(artifact.path).name).write_text(artifact.text, encoding="utf-8")
    (folder / "env.py").write_text(_ENV, encoding="utf-8")
    last = revision_ids(revisions)[-1]
    for run, chain in ((command.upgrade, f"base:{last}"), (command.downgrade, f"{last}:base")):
        output = io.StringIO()
        config = Config(output_buffer=output, stdout=io.StringIO())
        config.set_main_option("script_location", str(folder))
        config.set_main_option("version_locations", str(versions))
        config.set_main_option("path_separator", "newline")
        run(config, chain, sql=True)
        assert "DROP" in output.getvalue()
        yield from (Found(f"alembic {run.__name__} {chain}", s) for s in statements(output.getvalue()))


def revision_ids(revisions: Iterable[Artifact]) -> list[str]:
    """The ids, first to last."""
    after = {}
    for artifact in revisions:
        ids = dict(re.findall(r'^(revision|down_revision) = (?:"(\w+)"|None)$', artifact.text, re.MULTILINE))
        after[ids["down_revision"]] = ids["revision"]
    chain: list[str] = []
    while (following := after.get(chain[-1] if chain else "")) is not None:
        chain.append(following)
    assert len(chain) == len(after)
    return chain


def statements(text: str) -> Iterator[Statement]:
    """The statements of a text, and those in the bodies of its DO blocks and functions."""
    try:
        found = [statement(text)]
    except SqlError:
        raw = text.encode()
        found = []
        for part in pgquery.parse(text):
            start = part.get("stmt_location", 0)
            found.append(statement(raw[start : start + part.get("stmt_len", len(raw))].decode()))
    for one in found:
        if one.kind in ("DoStmt", "CreateFunctionStmt"):
            yield from body(one.text)
        else:
            yield one


def body(text: str) -> Iterator[Statement]:
    """The statements and expressions of a PL/pgSQL body. What it would run as a text can't be seen: it is named."""
    result = lib.pg_query_parse_plpgsql(text.encode())
    try:
        assert not result.error, ctypes.string_at(result.error.contents.message)
        raw = result.plpgsql_funcs.decode()  # not always JSON: the library forgets some braces
    finally:
        lib.pg_query_free_plpgsql_parse_result(result)
    assert len(_QUERY.findall(raw)) == raw.count('"PLpgSQL_expr"') > 0
    dynamic = re.findall(r'"PLpgSQL_stmt_dyn\w+":\{[^{]*"query":\{"PLpgSQL_expr":\{"query":("(?:[^"\\]|\\.)*")', raw)
    # DDL that the upgrade remembered, or that is made from the catalog's own names.
    assert {json.loads(d) for d in dynamic} <= {"saved", "ddl"}, dynamic
    for query, mode in _QUERY.findall(raw):
        sql = json.loads(query)
        yield statement(sql if mode in ("", "0") else f"SELECT {sql.split(':=', 1)[-1]}")
