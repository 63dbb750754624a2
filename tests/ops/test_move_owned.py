"""Rows that have their tenant by way of another one, which moves along or stays: what either side writes is on both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.conftest import MAJORS
from tests.ops.conftest import emptied
from tests.ops.owned import DDL, TEXT
from tests.ops.support import T1, T2, Connection, Migration, all_rows, lowered, mig

ROWS = f"""
INSERT INTO accounts VALUES (1, '{T1}'), (2, '{T2}');
INSERT INTO projects VALUES (1, 1, 'a'), (2, 2, 'b');
INSERT INTO tasks VALUES (1, 1, 't', 90);
INSERT INTO steps VALUES (1, 1, 's')"""
BOTH = (
    "SELECT no, project_id, title, minutes FROM tasks ORDER BY 1",
    "SELECT number, plan_id, title, (hours * 60)::integer FROM work.jobs ORDER BY 1",
)


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database."""
    return emptied(request, MAJORS[0])


@pytest.fixture
def work(expanded: Callable[..., Migration]) -> Migration:
    found = expanded(TEXT, DDL)
    run(found, ROWS)
    return found


def run(migration: Migration, *statements: str) -> None:
    """One transaction."""
    with migration.connection.transaction():
        for statement in statements:
            migration.connection.execute(statement.encode())


def both(migration: Migration) -> list:
    """The tasks, the same on both sides."""
    here, there = (all_rows(migration.connection, query) for query in BOTH)
    assert here == there
    return here


def counted(migration: Migration) -> list[int]:
    """Writes of old code, of projects, tasks and steps."""
    query = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {}"
    counters = (plan.counter for plan in migration.lowered.tables)
    return [all_rows(migration.connection, query.format(name))[0][0] for name in counters if name]


WRITES: tuple[tuple[str, list[tuple[object, ...]]], ...] = (
    ("UPDATE tasks SET minutes = 30", [(1, 1, "t", 30)]),
    ("UPDATE work.jobs SET hours = 2", [(1, 1, "t", 120)]),
    # Another owner, of another tenant too
    ("UPDATE tasks SET project_id = 2, title = 'x'", [(1, 2, "x", 90)]),
    ("UPDATE work.jobs SET plan_id = 2, title = 'x'", [(1, 2, "x", 90)]),
    ("DELETE FROM steps; UPDATE tasks SET no = 7", [(7, 1, "t", 90)]),
    # What goes with its owner, and what is there again
    ("DELETE FROM projects", []),
    ("DELETE FROM work.plans", []),
    ("DELETE FROM accounts", []),
    ("DELETE FROM steps; DELETE FROM tasks; INSERT INTO tasks VALUES (1, 2, 'u', 60)", [(1, 2, "u", 60)]),
    ("TRUNCATE tasks, steps, notes", []),
)


def test_what_one_side_writes_is_on_the_other(work: Migration):
    for statement, found in WRITES:
        with work.connection.transaction(force_rollback=True):
            run(work, statement)
            assert both(work) == found, statement
            steps = all_rows(work.connection, "SELECT task_no, name FROM steps")
            assert all_rows(work.connection, 'SELECT job, lower(title) FROM "select"') == steps, statement


def test_what_goes_with_its_owner_is_not_old_codes(work: Migration):
    """Whoever takes it away: contract would wait for new code."""
    work.up("enforce")
    before = counted(work)
    run(work, "DELETE FROM work.plans WHERE ident = 1")
    run(work, "DELETE FROM accounts WHERE id = 2")
    assert all_rows(work.connection, "SELECT count(*) FROM projects") == [(0,)]
    assert counted(work) == before
    run(
        work,
        "INSERT INTO projects VALUES (3, 1, 'c'); INSERT INTO tasks VALUES (3, 3, 't', 1); INSERT INTO steps VALUES (3, 1, 's')",
    )
    before = counted(work)
    run(work, "DELETE FROM projects WHERE id = 3")
    assert counted(work) == [before[0] + 1, *before[1:]]


def test_nobody_elses_row_is_meant(work: Migration):
    """Where the two sides tell apart whose a row is, a write of one tenant's code doesn't reach the other's."""
    off, on = (f"ALTER TABLE work.jobs {word} TRIGGER USER" for word in ("DISABLE", "ENABLE"))
    run(work, off, "UPDATE work.jobs SET plan_id = 2", on)
    run(work, "UPDATE tasks SET title = 'mine'")
    assert all_rows(work.connection, "SELECT plan_id, title FROM work.jobs") == [(2, "t")]
    run(work, "DELETE FROM tasks")
    assert all_rows(work.connection, "SELECT plan_id, title FROM work.jobs") == [(2, "t")]


def test_a_serial_gives_both_sides_numbers(work: Migration):
    for turn in range(2):
        run(
            work,
            (
                f"INSERT INTO projects (account_id, name) VALUES (1, 'old {turn}')"
                if turn
                else "SELECT setval('projects_id_seq', 9)"
            ),
        )
        run(work, f"INSERT INTO work.plans (account_id, name) VALUES (1, 'new {turn}')")
    assert all_rows(work.connection, "SELECT id, name FROM projects WHERE id > 2 ORDER BY 1") == [
        (10, "new 0"), (11, "old 1"), (12, "new 1"),
    ]  # fmt: skip


@contextmanager
def roles(migration: Migration, *called: str) -> Iterator[None]:
    """Roles that are there as long as the block lasts."""
    listed = ", ".join(called)
    run(migration, f"DROP ROLE IF EXISTS {listed}", *(f"CREATE ROLE {name}" for name in called))
    try:
        yield
    finally:
        run(migration, f"DROP OWNED BY {listed} CASCADE", f"DROP ROLE {listed}")


def owned(migration: Migration, sequence: str) -> list:
    """Whose a sequence is, and whose the table of its column."""
    return all_rows(
        migration.connection,
        f"""SELECT s.relowner::regrole::text, t.relowner::regrole::text FROM pg_class AS s
              JOIN pg_depend AS d ON d.objid = s.oid AND d.deptype = 'a' JOIN pg_class AS t ON t.oid = d.refobjid
             WHERE s.oid = '{sequence}'::regclass""",
    )


def test_the_sequence_goes_along_and_comes_back(work: Migration):
    """Into another schema, from one owner to another, and with the right to ask it: of the table, and of some columns."""
    with roles(work, "migdsl_clerk", "migdsl_part", "migdsl_owner"):
        run(work, "GRANT USAGE ON SCHEMA work TO migdsl_clerk, migdsl_part")
        run(work, "GRANT INSERT, SELECT ON work.plans TO migdsl_clerk")
        run(work, "GRANT INSERT (account_id, name) ON work.plans TO migdsl_part")
        run(work, "GRANT USAGE, CREATE ON SCHEMA public TO migdsl_owner", "ALTER TABLE projects OWNER TO migdsl_owner")
        for phase in ("enforce", "contract"):
            work.up(phase)
        insert = "INSERT INTO work.plans (account_id, name) VALUES (1, '{}')"
        run(work, "SELECT setval('work.projects_id_seq', 40)", "SET LOCAL ROLE migdsl_clerk", insert.format("alone"))
        run(work, "SET LOCAL ROLE migdsl_part", insert.format("part"))
        assert all_rows(work.connection, "SELECT pg_get_serial_sequence('work.plans', 'ident')") == [
            ("work.projects_id_seq",)
        ]
        work.down("contract")
        run(work, "SET LOCAL ROLE migdsl_clerk", insert.format("back"))
        run(work, "INSERT INTO projects (account_id, name) VALUES (1, 'old')")
        assert all_rows(work.connection, "SELECT ident, name FROM work.plans WHERE ident > 2 ORDER BY 1") == [
            (41, "alone"), (42, "part"), (43, "back"), (44, "old"),
        ]  # fmt: skip
        assert all_rows(work.connection, "SELECT pg_get_serial_sequence('projects', 'id')") == [
            ("public.projects_id_seq",)
        ]
        assert owned(work, "projects_id_seq") == [("migdsl_owner", "migdsl_owner")]


def test_a_sequence_of_another_schema_belongs_to_nobody_meanwhile(expanded: Callable[..., Migration]):
    """What the file names keeps its name."""
    thing = "entity Thing in app.things { id bigint key default `nextval('numbers')`; tenant_id uuid tenant }"
    table = "CREATE TABLE things (id bigint DEFAULT nextval('numbers') PRIMARY KEY, tenant_id uuid NOT NULL)"
    ddl = f"CREATE SEQUENCE numbers; {table}; ALTER SEQUENCE numbers OWNED BY things.id"
    found = expanded(mig(thing, "move Thing to app.work.things { id = id; tenant_id = tenant_id }"), ddl)
    for phase in ("enforce", "contract"):
        found.up(phase)
    run(found, f"INSERT INTO work.things (tenant_id) VALUES ('{T1}')")
    assert all_rows(found.connection, "SELECT id, pg_get_serial_sequence('work.things', 'id') FROM work.things") == [
        (1, None)
    ]
    found.down("contract")
    run(found, f"INSERT INTO things (tenant_id) VALUES ('{T1}')")
    assert all_rows(found.connection, "SELECT pg_get_serial_sequence('things', 'id'), max(id) FROM work.things") == [
        ("public.numbers", 2),
    ]  # fmt: skip


ODD = """
entity Odd in app."100%s of $over$ 'it'" { "no %I" serial key; "by %L" bigserial; tenant_id uuid tenant }"""
ODD_MOVE = """
move Odd to app."50%."."%s of it" { "%1$s" = "no %I"; "{0}" = "by %L"; tenant_id = tenant_id }"""
ODD_DDL = """
CREATE TABLE "100%s of $over$ 'it'" ("no %I" serial PRIMARY KEY, "by %L" bigserial, tenant_id uuid NOT NULL)"""


def test_odd_names_keep_their_numbers(expanded: Callable[..., Migration]):
    """What format() would read otherwise, above all."""
    found = expanded(mig(ODD, ODD_MOVE), ODD_DDL)
    insert = f'INSERT INTO "50%."."%s of it" (tenant_id) VALUES (\'{T1}\')'
    run(found, insert)
    for phase in ("enforce", "contract"):
        found.up(phase)
    run(found, insert)
    found.down("contract")
    run(found, insert)
    rows = all_rows(found.connection, 'SELECT "%1$s", "{0}" FROM "50%."."%s of it" ORDER BY 1')
    assert rows == [(1, 1), (2, 2), (3, 3)]


REFUSED = (
    ("bigserial key", "", "no sequence belongs to the column id of public.things, which is declared to be numbered"),
    (
        "bigserial key",
        "GENERATED ALWAYS AS IDENTITY",
        "the column id of public.things is an identity, and declared as a",
    ),
    ("bigint key identity", "DEFAULT nextval('numbers')", "no sequence belongs to the column id"),
    ("bigint key", "DEFAULT nextval('numbers')", "a sequence gives out id of public.things, and nothing would"),
    ("bigint key", "GENERATED BY DEFAULT AS IDENTITY", "a sequence gives out id of public.things"),
)


def test_numbers_that_the_new_table_would_lack_are_refused(connection: Connection, expanded: Callable[..., Migration]):
    for column, default, told in REFUSED:
        thing = f"entity Thing in app.things {{ id {column}; tenant_id uuid tenant }}"
        text = mig(thing, "move Thing to app.others { id = id; tenant_id = tenant_id }")
        ddl = f"CREATE SEQUENCE numbers; CREATE TABLE things (id bigint {default} PRIMARY KEY, tenant_id uuid NOT NULL)"
        with (
            connection.transaction(force_rollback=True),
            pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match=told),
            connection.transaction(),
        ):
            expanded(text, ddl)


def test_a_sequence_that_the_file_names_is_named_there_too(expanded: Callable[..., Migration]):
    """Whosever it is: it belongs to the column of the table that stays, and who had it may ask it still."""
    thing = "entity Thing in app.things { id bigint key default `nextval('numbers')`; tenant_id uuid tenant }"
    text = mig(thing, "move Thing to app.others { id = id; tenant_id = tenant_id }")
    table = "CREATE TABLE things (id bigint DEFAULT nextval('numbers') PRIMARY KEY, tenant_id uuid NOT NULL)"
    found = expanded(text, f"CREATE SEQUENCE numbers; {table}; ALTER SEQUENCE numbers OWNED BY things.id")
    insert = f"INSERT INTO others (tenant_id) VALUES ('{T1}')"
    run(found, insert, f"INSERT INTO things (tenant_id) VALUES ('{T1}')")
    with roles(found, "migdsl_owner", "migdsl_other"):
        run(found, "GRANT USAGE, CREATE ON SCHEMA public TO migdsl_owner, migdsl_other")
        run(found, "ALTER TABLE things OWNER TO migdsl_owner", "ALTER TABLE others OWNER TO migdsl_other")
        run(found, "GRANT INSERT ON others TO migdsl_owner")
        for phase in ("enforce", "contract"):
            found.up(phase)
        assert owned(found, "numbers") == [("migdsl_other", "migdsl_other")]
        run(found, "SET LOCAL ROLE migdsl_owner", insert)
        found.down("contract")
        assert owned(found, "numbers") == [("migdsl_owner", "migdsl_owner")]
        run(found, "SET LOCAL ROLE migdsl_other", insert)
        assert all_rows(found.connection, "SELECT id FROM others ORDER BY 1") == [(1,), (2,), (3,), (4,)]


def test_the_way_there_is_each_sides_own():
    """Whatever order the file has: the owner comes first."""
    plans = lowered(TEXT).tables
    assert [plan.table.entity for plan in plans] == ["Project", "Task", "Step", "Note"]
    ways = {p.table.entity: [(h.column, h.name, h.key) for h in p.table.via.hops] for p in plans if p.table.via}
    assert ways["Step"] == [("job", "jobs", "number"), ("plan_id", "plans", "ident"), ("account_id", "accounts", "id")]


def test_a_sequence_whose_name_is_taken_there_is_told_of_first(expanded: Callable[..., Migration]):
    thing = "entity Thing in app.things { id serial key; tenant_id uuid tenant }"
    text = mig(thing, "move Thing to app.work.things { id = id; tenant_id = tenant_id }")
    ddl = "CREATE TABLE things (id serial PRIMARY KEY, tenant_id uuid NOT NULL)"
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="goes to the schema work in the end") as told:
        expanded(text, f"{ddl}; CREATE SCHEMA work; CREATE TABLE work.things_id_seq ()")
    hint = "give one of the two another name: ALTER SEQUENCE public.things_id_seq RENAME TO things_id_seq_old"
    assert told.value.diag.message_hint == hint


KEYS = """SELECT conrelid::regclass::text, conname, confrelid::regclass::text, confdeltype::text FROM pg_constraint
           WHERE contype = 'f' ORDER BY 1, 2"""


def test_a_contract_that_is_refused_leaves_every_foreign_key(work: Migration):
    """Nobody undoes what isn't applied: the team goes back to enforce, and to old tables that are whole."""
    work.up("enforce")
    run(work, "CREATE VIEW report AS SELECT count(*) FROM tasks")
    before = all_rows(work.connection, KEYS)
    assert {(row[0], row[2]) for row in before} >= {("tasks", "projects"), ("steps", "tasks"), ("notes", "tasks")}
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match=r"still used by: .*view report"):
        work.up("contract")
    assert all_rows(work.connection, KEYS) == before
    assert all_rows(
        work.connection, "SELECT to_regclass('projects') IS NOT NULL, to_regclass('work.plans') IS NOT NULL"
    ) == [(True, True)]
    run(work, "DROP VIEW report")
    work.up("contract")
    assert all_rows(work.connection, "SELECT to_regclass('projects'), to_regclass('tasks')") == [(None, None)]
