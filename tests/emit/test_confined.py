"""Every SQL statement of every artifact that touches a tenant's table is confined to `:tenant_id`: proven over the files."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from migdsl.dialect.boundary import Boundary
from migdsl.dialect.sql import Statement, walk
from migdsl.dialect.tenancy import unconfined
from migdsl.emit import proof
from migdsl.emit.artifact import Artifact
from migdsl.workspace import compile_files
from tests.emit.statements import Found, of_alembic, of_markdown, of_python

ROOT = Path(__file__).parents[2]
# Written by hand and not taken from the compiler: schema, table → tenant column.
SOURCES = {
    "users": (ROOT / "examples/users.mig", {("public", "users"): "tenant_id"}),
    "everything": (
        Path(__file__).parent / "samples/everything.mig",
        {("shop", "order lines"): "org", ("shop", "customers"): "org"},
    ),
}


@pytest.fixture(scope="module", params=SOURCES)
def compiled(request) -> tuple[dict[str, Artifact], Boundary]:
    path, columns = SOURCES[request.param]
    found = compile_files({path.name: path.read_text(encoding="utf-8")}, path.name, through="contract")
    assert found.ok
    artifacts = {a.path: a for a in found.artifacts}
    # What the plan lists as shared, the ledger, and Alembic's own table.
    shared = {("public", "alembic_version")}
    for subject in (e["subject"] for e in exemptions(artifacts.values())):
        if re.fullmatch(r"\w+\.\w+", subject):
            schema, table = subject.split(".")
            shared.add((schema, table))
    return artifacts, Boundary(columns, frozenset(shared), frozenset(["migdsl"]))


def exemptions(artifacts: Iterable[Artifact]) -> list[dict[str, str]]:
    (plan,) = (a for a in artifacts if a.kind == "plan")
    found: list[dict[str, str]] = json.loads(plan.text)["guardrails"]["tenancy_exemptions"]
    return found


def collected(artifacts: Iterable[Artifact], boundary: Boundary) -> Iterator[Found]:
    for artifact in artifacts:
        if artifact.path.endswith(".py"):
            yield from of_python(artifact, [table for _, table in boundary.columns])
        elif artifact.path.endswith(".md"):
            yield from of_markdown(artifact)


def test_every_statement_is_confined_or_listed_in_the_plan(compiled, tmp_path):
    artifacts, boundary = compiled
    listed = {e["subject"] for e in exemptions(artifacts.values())}
    found = [*collected(artifacts.values(), boundary), *of_alembic(artifacts.values(), tmp_path / "alembic")]
    used = set()
    for each in found:
        harmless = tells_processes(each.statement) or calls_our_own(each.statement)
        if unconfined(each.statement, boundary) and not harmless:
            name = exemption(each.statement.text, listed)
            assert name in listed, f"{each.path}: {each.statement.text}"
            used.add(name)
    assert used == {subject for subject in listed if any(of in subject for of in ("list: ", "anti-join", "way back"))}
    touching = [f for f in found if any(f"{name}" in f.statement.text for _, name in boundary.columns)]
    assert len(touching) > 40  # else the collection sees nothing


def tells_processes(found: Statement) -> bool:
    """Who holds old transactions is asked of `pg_stat_activity`, whose other columns hold statements with values in them."""
    used = {
        tuple(f.get("String", {}).get("sval") for f in node["fields"])
        for kind, node in walk(found.tree)
        if kind == "ColumnRef"
    }
    relations = {node["relname"] for kind, node in walk(found.tree) if kind == "RangeVar"}
    return relations == {"pg_stat_activity"} and used <= {("pid",), ("xact_start",)}


def calls_our_own(found: Statement) -> bool:
    """A procedure of the ledger's schema with constants: what it does stands in its body, which is collected where it is made."""
    if found.kind != "CallStmt":
        return False
    call = found.tree["funccall"]
    constants = all("A_Const" in a or "A_Const" in a.get("TypeCast", {}).get("arg", {}) for a in call["args"])
    return call["funcname"][0]["String"]["sval"] == "migdsl" and constants


def exemption(sql: str, listed: set[str]) -> str:
    """Which line of the guardrails lets this statement be: word for word, but for white space."""
    listing = next(subject.removeprefix("list: ") for subject in listed if subject.startswith("list: "))
    text = " ".join(sql.split())
    if text == listing:
        return f"list: {listing}"
    # Which tenants have rows, or how many rows of nobody are left: of a way back. The user's expression is its own row's.
    table = r'(\S+|\S+"[^"]+") AS t'
    counts = r"SELECT '[^']*' \|\| count\(\*\) \|\| '[^']*'"
    left = counts + rf" FROM {table} WHERE t\.\w+ IS NULL AND (?!.*\bSELECT\b).* HAVING count\(\*\) > 0"
    asked = re.sub(r"^SELECT \( (.*) \)$", r"\1", text)  # as a gate assigns it
    back = re.fullmatch(rf"SELECT DISTINCT t\.\w+ FROM {table} ORDER BY 1", text) or re.fullmatch(left, asked)
    if back is not None:
        return f"{back[1]}: the way back".replace('"', "")
    match = re.search(r'FROM (\S+|\S+"[^"]+") AS t WHERE t\.(\w+) IS NULL\)', text)
    if match is None or text != " ".join(unlisted(match[1], match[2], listing).split()):
        return text
    return f"{match[1]}: one anti-join".replace('"', "")


def unlisted(table: str, tenant: str, listing: str) -> str:
    """How many rows belong to a tenant that the list leaves out, and nothing else: written by hand."""
    left_out = f"NOT EXISTS (SELECT FROM ( {listing} ) AS listed (tenant) WHERE listed.tenant ="
    return f"""
SELECT CASE WHEN EXISTS (
  SELECT FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    JOIN pg_catalog.pg_opclass AS o ON o.oid = i.indclass[0]
    JOIN pg_catalog.pg_am AS m ON m.oid = o.opcmethod
   WHERE i.indrelid = '{table}'::pg_catalog.regclass AND a.attname = '{tenant}'
     AND i.indisvalid AND i.indpred IS NULL AND i.indoption[0] IN (0, 3)
     AND m.amname = 'btree' AND o.opcdefault AND i.indcollation[0] = a.attcollation
) THEN (
  -- An index begins with the tenant: from each tenant to the next one, and only rows of those that aren't listed.
  WITH RECURSIVE migdsl_found (tenant) AS (
    (SELECT t.{tenant} FROM {table} AS t ORDER BY t.{tenant} LIMIT 1)
    UNION ALL
    SELECT (SELECT t.{tenant} FROM {table} AS t WHERE t.{tenant} > migdsl_found.tenant ORDER BY t.{tenant} LIMIT 1)
      FROM migdsl_found WHERE migdsl_found.tenant IS NOT NULL
  )
  SELECT coalesce(sum((SELECT count(*) FROM {table} AS t WHERE t.{tenant} = migdsl_found.tenant)), 0)
    FROM migdsl_found WHERE migdsl_found.tenant IS NOT NULL AND {left_out} migdsl_found.tenant)
) + (SELECT count(*) FROM {table} AS t WHERE t.{tenant} IS NULL)
ELSE ( SELECT count(*) FROM {table} AS t WHERE {left_out} t.{tenant}) ) END"""


def test_the_other_files_hold_no_sql(compiled):
    artifacts, boundary = compiled
    for artifact in artifacts.values():
        if artifact.path.endswith(".json") and artifact.kind != "plan":
            for _, table in boundary.columns:
                assert not re.search(rf"\b(from|update|into|table|join)\s+\S*{table}\b", artifact.text, re.IGNORECASE)


def mutants(artifact: Artifact) -> Iterator[tuple[str, Artifact]]:
    """The file without one predicate on a table. One over a subquery that has its own (`) AS t`) only says it again."""
    for match in re.finditer(r"(\w+)\.(tenant_id|org) = :tenant_id", artifact.text):
        before = artifact.text[: match.start()].rsplit('"""', 1)[-1]
        if re.search(rf"\) AS {match[1]}\b", before):
            continue
        text = artifact.text[: match.start()] + "TRUE" + artifact.text[match.end() :]
        yield f"{artifact.path}:{artifact.text.count(chr(10), 0, match.start()) + 1}", Artifact(
            artifact.path, text, artifact.kind
        )


def test_without_a_predicate_nothing_is_proven(compiled):
    artifacts, boundary = compiled
    known = {f.statement.text for f in collected(artifacts.values(), boundary) if unconfined(f.statement, boundary)}
    counts = dict.fromkeys(("backfill", "reconcile", "revision", "characterization"), 0)
    for artifact in artifacts.values():
        for place, mutant in mutants(artifact):
            new = [
                f
                for f in collected([mutant], boundary)
                if unconfined(f.statement, boundary) and f.statement.text not in known
            ]
            assert len(new) == 1, place
            with pytest.raises(proof.UnprovenError, match=re.escape(artifact.path)):
                proof.prove(mutant, ast.parse(mutant.text), boundary)
            counts[artifact.kind] += 1
    assert counts["backfill"] >= 5
    assert counts["reconcile"] >= 5
    assert counts["revision"] >= 3  # the way back's refill
    pinned = any(a.kind == "characterization" for a in artifacts.values())
    assert counts["characterization"] >= 6 if pinned else not counts["characterization"]


def test_the_compiler_proves_what_it_emits(monkeypatch):
    """A fault that leaves the tenant out never reaches a file."""
    path, _ = SOURCES["users"]
    files = {"users.mig": path.read_text(encoding="utf-8")}
    compile_files(files, "users.mig")
    from migdsl.ops.batches import Walk  # the compiler is loaded only once the first compile has run

    def without_the_tenant(_walk: Walk, *conditions: str) -> str:
        return "WHERE " + " AND ".join(conditions or ("TRUE",))

    monkeypatch.setattr(Walk, "confined", without_the_tenant)
    with pytest.raises(proof.UnprovenError, match="users"):
        compile_files(files, "users.mig")
