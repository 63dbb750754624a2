"""What a revision says of an error: all of the server and of its own questions, and nothing that a row's values are in."""

from __future__ import annotations

import importlib.util
import re
from types import SimpleNamespace
from typing import Any

import pytest
from alembic.util import CommandError

from tests.integration.project import Project

NAME = "Xp1i"
TABLE = f"""
CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO people VALUES (1, '{NAME}'), (2, '{NAME}');
CREATE FUNCTION spoilt(name text, state text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$BEGIN
  IF state = 'dynamic' THEN EXECUTE 'SELECT ' || quote_ident(name); END IF;
  RAISE EXCEPTION 'bad name %', name USING ERRCODE = state, DETAIL = name, HINT = 'ask ' || name;
END$$;
CREATE FUNCTION inline_code_block(name text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN
  RAISE EXCEPTION 'bad name %', name USING ERRCODE = '55000';
END$$;
CREATE FUNCTION watched() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
  RAISE check_violation USING MESSAGE = 'phone of ' || NEW.name || ' is not valid', HINT = 'ask ' || NEW.name;
END$$;
CREATE TRIGGER watched BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION watched();
CREATE SCHEMA migdsl;
CREATE PROCEDURE migdsl.refuse() LANGUAGE plpgsql AS $$BEGIN
  RAISE EXCEPTION 'people is still used by: a view' USING ERRCODE = '55000', HINT = 'drop it first';
END$$;
"""
SPOILT = "SELECT spoilt(name, '{}') FROM people"
LOG = "what it says may hold a row's values; the server's log has it"
ROW = "a row's value stands in the way; it is not shown here"


@pytest.fixture(params=["psycopg", "psycopg2"])
def project(empty_project: Project, request: pytest.FixtureRequest) -> Project:
    """A table with a trigger and functions of somebody else, which quote what they are given."""
    pytest.importorskip(request.param)
    empty_project.driver = request.param
    empty_project.write(empty_project.source.read_text(encoding="utf-8"))
    with empty_project.connect() as connection:
        connection.execute(TABLE.encode())
    return empty_project


def refused(project: Project, *calls: str) -> str:
    """What is said where a revision, which has all that revisions run statements by, comes to these calls."""
    (path,) = project.versions.glob("*_contract.py")
    text = re.sub("(?m)^down_revision = .*$", "down_revision = None", path.read_text(encoding="utf-8"))
    for other in project.versions.glob("*.py"):
        other.unlink()
    path.write_text(text + "\n\ndef upgrade() -> None:\n    with alone():\n" + "".join(f"        {c}\n" for c in calls))
    with pytest.raises(CommandError) as error:
        project.upgrade()
    return str(error.value)


REFILL = """refill(None, ["id"], "SELECT max(id) FROM people", "SELECT 2",
               "UPDATE people SET name = name WHERE id > coalesce(:after, 0) AND id <= :upto")"""


@pytest.mark.parametrize(
    ("call", "state", "hint"),
    [
        (f"run({'UPDATE people SET name = name'!r})", "23514", rf"\S+ function watched\(\) line 2 at RAISE: {LOG}"),
        (REFILL, "23514", rf"\S+ function watched\(\) line 2 at RAISE: {LOG}"),
        ("atomic([], \"ALTER TABLE people ADD CHECK (spoilt(name, '42501'))\")", "42501", f".*at RAISE: {LOG}"),
        ("run(\"CREATE INDEX ON people (spoilt(name, '45000'))\")", "45000", f".*at RAISE: {LOG}"),
        ("run(\"CREATE INDEX CONCURRENTLY ON people (spoilt(name, '55000'))\")", "55000", f".*at RAISE: {LOG}"),
        (f"fetch({SPOILT.format('dynamic')!r})", "42703", LOG),
        (f"atomic([], {SPOILT.format('dynamic').replace('SELECT', 'PERFORM', 1)!r})", "42703", LOG),
        ("run('SELECT inline_code_block(name) FROM people')", "55000", f".*at RAISE: {LOG}"),
        # A word that PostgreSQL doesn't understand, and that no statement holds.
        ("""run("SELECT to_tsquery(name || ' & &') FROM people")""", "42601", ROW),
        ("run('SELECT name::int FROM people')", "22P02", ROW),
        # As other languages raise.
        *(
            (f"atomic([], {f'''RAISE '{NAME}' USING ERRCODE = '{state}' '''!r})", state, f".*at RAISE: {LOG}")
            for state in ("38000", "39000", "XX000", "P0001")
        ),
    ],
)
def test_what_a_row_is_quoted_in_is_withheld(project: Project, call: str, state: str, hint: str) -> None:
    said = refused(project, call)
    assert NAME not in said
    assert re.fullmatch(rf"users_email_contract: \w+ {state}\nhint: {hint}", said), said


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("""require(("a gate", "SELECT 'nobody watches'"))""", "not yet: nobody watches"),
        ("atomic([], 'CALL migdsl.refuse()')", "people is still used by: a view\nhint: drop it first"),
        (
            "run('CREATE UNIQUE INDEX people_name ON people (name)')",
            'could not create unique index "people_name"',
        ),
        (
            "atomic([], 'ALTER TABLE people ADD CONSTRAINT short CHECK (length(name) < 2)')",
            'check constraint "short" of relation "people" is violated by some row',
        ),
        ("atomic([], 'ALTER TABLE nobody ADD x int')", 'relation "nobody" does not exist'),
        ("atomic([], 'ALTER TABLE people ADD id int')", 'column "id" of relation "people" already exists'),
        ("atomic([], 'PERFORM zzz FROM people')", 'column "zzz" does not exist'),
        ("run('SELECT zzz FROM people')", 'column "zzz" does not exist'),
        ("run('SELEC 1')", 'syntax error at or near "SELEC"'),
        ("atomic([], 'SELEC 1')", 'syntax error at or near "SELEC"'),
    ],
)
def test_what_is_about_the_statement_is_told(project: Project, call: str, said: str) -> None:
    assert refused(project, call) == f"users_email_contract: {said}"


@pytest.mark.parametrize(
    ("within", "ours"),
    [
        ("PL/pgSQL function inline_code_block line 5 at RAISE", True),
        ("PL/pgSQL function migdsl.refuse_needed(jsonb,jsonb,boolean,boolean) line 5 at RAISE", True),
        ("PL/pgSQL-Funktion inline_code_block Zeile 5 bei RAISE", True),
        ("fonction PL/pgSQL migdsl.refuse_odd(jsonb), ligne 5 à RAISE", True),
        ('PL/pgSQL 함수 "inline_code_block" 의 5번째 RAISE', True),
        ("在RAISE的第5行的PL/pgSQL函数migdsl.refuse_odd(jsonb)", True),
        ("PL/pgSQL関数inline_code_blockの5行目 - RAISE", True),
        ("PL/pgSQL関数migdsl.refuse_odd(jsonb)の5行目 - RAISE", True),
        ("PL/pgSQL-Funktion spoilt(text,migdsl.odd) Zeile 5 bei RAISE", False),
        ("PL/pgSQL function my_migdsl.spoilt(text) line 5 at RAISE", False),
        ("PL/pgSQL function app.inline_code_blocks() line 5 at RAISE", False),
        (None, False),
    ],
)
def test_whose_code_it_is_is_seen_in_every_language(empty_project: Project, within: str | None, ours: bool) -> None:
    empty_project.write(empty_project.source.read_text(encoding="utf-8"))
    (path,) = empty_project.versions.glob("*_contract.py")
    spec = importlib.util.spec_from_file_location("revision", path)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    more = within and f'{within}\nSQL statement "CALL migdsl.f()"\nPL/pgSQL function inline_code_block line 9 at CALL'
    fields = {"statement_position": None, "internal_position": None, "internal_query": None}
    said = SimpleNamespace(source_function="exec_stmt_raise", context=more, **fields)
    assert (module.withheld("55000", said) == "") == ours
