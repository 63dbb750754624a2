"""A file is held against a database: every way in which they can differ is found, said at its place, and has a way out."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from migdsl.diagnostics import Diagnostic, Severity
from migdsl.introspect.compare import compare
from migdsl.introspect.computed import uncomputable
from migdsl.introspect.connect import UnreadableError, address, asking, reading
from migdsl.introspect.read import read
from migdsl.introspect.refusals import refusals
from migdsl.introspect.taken import taken
from migdsl.rehearsal.server import Server
from migdsl.source import SourceFile
from migdsl.workspace import check

SCHEMA = """
CREATE SCHEMA app;
CREATE TYPE app.state AS ENUM ('open', 'closed');
CREATE DOMAIN app.email AS text;
CREATE TABLE app.teams (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, UNIQUE (tenant_id, id));
CREATE TABLE app.users (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL, username varchar(40) NOT NULL,
  email app.email, state app.state NOT NULL DEFAULT 'open', score numeric(12,2) DEFAULT 0, tags text[],
  at timestamptz(3) NOT NULL DEFAULT now(), gone interval day to second, label text GENERATED ALWAYS AS (upper(username)) STORED,
  wait interval NOT NULL DEFAULT '2 hours', doc jsonb NOT NULL DEFAULT '{"a": 1}', born date DEFAULT '2020-01-01',
  team bigint REFERENCES app.teams ON DELETE SET NULL, number bigserial, room int4range,
  UNIQUE (tenant_id, username), CHECK (score BETWEEN 0 AND 10 AND username IN ('a', 'b')),
  EXCLUDE USING gist (room WITH &&)
);
CREATE INDEX users_lower ON app.users (tenant_id, lower(username)) INCLUDE (score) WHERE email <> '';
CREATE INDEX users_tags ON app.users USING gin (tags);
"""
FILE = """\
database app {
  engine postgresql VERSION
  url    env DATABASE_URL
  schema app
}

tenants {
  key  tenant_id uuid
  list `SELECT id FROM tenants`
}

entity Team in app.teams {
  id         bigint  key
  tenant_id  uuid    tenant
  unique (id, tenant_id)
}

entity User in app.users {
  id         bigint  key identity always
  tenant_id  uuid    tenant
  username   character varying(40)
  email      "email"?
  state      "state" default "open"
  score      decimal(12, 2)? default 0.0
  tags       text[]?
  at         timestamp(3) with time zone default `CURRENT_TIMESTAMP`
  gone       interval day to second?
  label      text? generated `UPPER(username)`
  wait       interval default "120 minutes"
  doc        jsonb default "{\\"a\\":1}"
  born       date? default "Jan 1 2020"
  team       int8? -> Team.id on delete set null
  number     bigint default `nextval('app.users_number_seq')`
  room       int4range?
  unique  (tenant_id, username) as another_name
  check   `score >= 0 and score <= 10 and username in ('a','b')`
  index   (tenant_id, lower(username)) include (score) where `email != ''`
  index   (tags) using gin
  index   (tenant_id, username)
  exclude using gist (room with "&&")
}
"""
FREED = "ALTER TABLE app.users DROP CONSTRAINT users_team_fkey"
LOOSE = "ALTER TABLE app.users DROP CONSTRAINT users_tenant_id_username_key"


@pytest.fixture(scope="module")
def connection(pg: Server) -> Iterator[psycopg.Connection]:
    name = f"migdsl_test_{uuid.uuid4().hex}"
    with psycopg.connect(pg.create_database(name), autocommit=True) as made:
        yield made
    pg.drop_database(name)


@pytest.fixture
def made(connection: psycopg.Connection) -> psycopg.Connection:
    """The schema, as new."""
    connection.execute(
        b"DROP SCHEMA IF EXISTS app CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public;" + SCHEMA.encode()
    )
    return connection


def differences(connection: psycopg.Connection, text: str = FILE) -> list[Diagnostic]:
    version = connection.info.server_version // 10000
    source = text.replace("VERSION", str(version))
    found = check({"x.mig": source}, "x.mig")
    assert found.diagnostics == ()
    assert found.module is not None
    with reading(address(connection.info.dsn)) as session:
        return list(compare(found.module, found.module.databases[0], read(session), session))


def shown(diagnostic: Diagnostic, text: str = FILE) -> str:
    """What stands at the diagnostic's place."""
    assert diagnostic.primary is not None
    return SourceFile("x.mig", text.replace("VERSION", "18")).slice(diagnostic.primary.span)


def test_the_same_said_otherwise_is_no_difference(made: psycopg.Connection) -> None:
    assert differences(made) == []


@pytest.mark.parametrize(
    ("change", "code", "place", "said"),
    [
        ("ALTER TABLE app.users RENAME username TO user_name", "MIG731", "username", "did you mean `user_name`?"),
        ("ALTER TABLE app.teams RENAME TO squads", "MIG731", "Team", "no table app.teams"),
        ("ALTER TABLE app.teams SET SCHEMA public", "MIG731", "Team", "did you mean public.teams?"),
        ("ALTER TABLE app.users ALTER tags TYPE varchar(5)[]", "MIG732", "tags", "character varying(5)[]"),
        ("ALTER TABLE app.users ALTER score TYPE numeric(12,3)", "MIG732", "score", "of type numeric(12,2)"),
        ("ALTER TABLE app.users ALTER at TYPE timestamp(3)", "MIG732", "at", "timestamp(3) without time zone"),
        ("ALTER TABLE app.users ALTER at TYPE timestamptz(2)", "MIG732", "at", "timestamp(2) with time zone"),
        ("ALTER TABLE app.users ALTER gone TYPE interval", "MIG732", "gone", "says: interval"),
        ("ALTER TABLE app.users ALTER email TYPE text", "MIG732", "email", "of type app.email"),
        ("ALTER TYPE app.state RENAME TO status", "MIG732", "state", "which the server doesn't have"),
        ("ALTER TABLE app.users ALTER username DROP NOT NULL", "MIG732", "username", "username varchar(40)?"),
        ("ALTER TABLE app.users ALTER tags SET NOT NULL", "MIG732", "tags", "The database says: NOT NULL"),
        ("ALTER TABLE app.users ALTER tenant_id DROP NOT NULL", "MIG732", "tenant_id", "no batch would reach them"),
        ("ALTER TABLE app.users ALTER state SET DEFAULT 'closed'", "MIG732", "state", 'default "closed"'),
        ("ALTER TABLE app.users ALTER wait SET DEFAULT '3 hours'", "MIG732", "wait", "'03:00:00'::interval"),
        ("ALTER TABLE app.users ALTER score DROP DEFAULT", "MIG732", "score", "without a default"),
        ("ALTER TABLE app.users ALTER tags SET DEFAULT '{}'", "MIG734", "tags", 'tags text[]? default "{}"'),
        ("ALTER TABLE app.users ALTER id SET GENERATED BY DEFAULT", "MIG732", "id", "identity (by default)"),
        ("ALTER TABLE app.users ALTER label DROP EXPRESSION", "MIG732", "label", "not generated"),
        ("ALTER TABLE app.users ADD extra text DEFAULT 'x'", "MIG734", "User", 'extra text? default "x"'),
        ('ALTER TABLE app.users ADD "index" int NOT NULL', "MIG734", "User", '"index" integer'),
        (
            "ALTER TABLE app.users DROP CONSTRAINT users_pkey, ADD PRIMARY KEY (id, tenant_id)",
            "MIG733",
            "id",
            "key (id, tenant_id)",
        ),
        ("ALTER TABLE app.users DROP CONSTRAINT users_pkey", "MIG733", "id", "no primary key"),
        (
            f"{FREED}, ADD FOREIGN KEY (team) REFERENCES app.teams ON DELETE CASCADE",
            "MIG733",
            "-> Team.id on delete set null",
            "(team) -> Team (id) on delete cascade",
        ),
        (
            "ALTER TABLE app.users DROP CONSTRAINT users_team_fkey",
            "MIG733",
            "-> Team.id on delete set null",
            "Nothing in",
        ),
        (
            "DROP INDEX app.users_lower; CREATE INDEX ON app.users (tenant_id, lower(username)) INCLUDE (score)",
            "MIG733",
            "index   (tenant_id, lower(username)) include (score) where `email != ''`",
            "The database says: index",
        ),
        ("DROP INDEX app.users_tags", "MIG733", "index   (tags) using gin", "Nothing in the database does that"),
        ("CREATE INDEX more ON app.users (score)", "MIG734", "User", "index (score) as more"),
        (
            "CREATE UNIQUE INDEX more ON app.users (lower(username))",
            "MIG734",
            "User",
            "unique index of the database: more",
        ),
        ("ALTER TABLE app.users ADD CONSTRAINT more CHECK (score <> 5)", "MIG734", "User", "score <> 5"),
        (
            "ALTER TABLE app.teams ADD up bigint, ADD CONSTRAINT f FOREIGN KEY (up) REFERENCES app.teams",
            "MIG734",
            "Team",
            "up",
        ),
    ],
)
def test_each_difference_is_found(made: psycopg.Connection, change: str, code: str, place: str, said: str) -> None:
    made.execute(change.encode())
    found = differences(made)
    matching = [d for d in found if d.code == code and shown(d) == place and said in f"{d.title} {d.body} {d.help}"]
    assert matching, [(d.code, shown(d), d.title, d.body, d.help) for d in found]
    assert {d.severity for d in matching} == {Severity.WARNING if code == "MIG734" else Severity.ERROR}
    assert all(d.help for d in found)


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ("ALTER TABLE app.users DROP CONSTRAINT users_tenant_id_username_key", 2),  # the index that it served as, too
        (
            f"{LOOSE}; CREATE UNIQUE INDEX ON app.users (tenant_id, username)",
            0,
        ),
        (
            f"{LOOSE}; CREATE UNIQUE INDEX ON app.users (tenant_id, username) WHERE score > 0",
            3,
        ),
        ("ALTER TABLE app.users DROP CONSTRAINT users_check, DROP CONSTRAINT users_room_excl", 2),
        (
            "ALTER INDEX app.users_tags RENAME TO other; ALTER TABLE app.users RENAME CONSTRAINT users_check TO other_",
            0,
        ),
    ],
)
def test_what_counts_is_what_it_does(made: psycopg.Connection, change: str, count: int) -> None:
    made.execute(change.encode())
    assert len(differences(made)) == count


UNIQUE_INDEXES = """
  unique (tenant_id, lower(email)) where `gone is null` as one
  unique (tenant_id, score desc) as two
  index  (username text_pattern_ops, score desc nulls last) as three
  index  (doc jsonb_path_ops) using gin as four
"""
THEIR_DDL = """
CREATE UNIQUE INDEX one ON app.users (tenant_id, lower(email)) WHERE gone IS NULL;
CREATE UNIQUE INDEX two ON app.users (tenant_id, score DESC);
CREATE INDEX three ON app.users (username text_pattern_ops, score DESC NULLS LAST);
CREATE INDEX four ON app.users USING gin (doc jsonb_path_ops);
"""
INDEXED = FILE.replace("  exclude using", UNIQUE_INDEXES + "  exclude using")


def test_unique_indexes_and_orders_are_compared(made: psycopg.Connection) -> None:
    made.execute(THEIR_DDL.encode())
    assert differences(made, INDEXED) == []


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("one", "CREATE UNIQUE INDEX one ON app.users (tenant_id, lower(email))"),
        ("one", "CREATE INDEX one ON app.users (tenant_id, lower(email)) WHERE gone IS NULL"),
        ("two", "CREATE INDEX two ON app.users (tenant_id, score DESC)"),
        ("two", "CREATE UNIQUE INDEX two ON app.users (tenant_id, score)"),
        ("three", "CREATE INDEX three ON app.users (username text_pattern_ops, score DESC)"),
        ("three", "CREATE INDEX three ON app.users (username, score DESC NULLS LAST)"),
        ("four", "CREATE INDEX four ON app.users USING gin (doc)"),
    ],
)
def test_an_index_that_is_another_is_found(made: psycopg.Connection, name: str, instead: str) -> None:
    made.execute(f"{THEIR_DDL} DROP INDEX app.{name}; {instead}".encode())
    found = differences(made, INDEXED)
    assert [(d.code, shown(d, INDEXED).split(" as ")[1].split()[0]) for d in found if d.code == "MIG733"] == [
        ("MIG733", name)
    ]


def test_triggers_are_told_with_what_they_set(made: psycopg.Connection) -> None:
    made.execute(
        b"CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.updated_at := now(); RETURN new; END';"
        b"CREATE TRIGGER touch BEFORE UPDATE ON app.users FOR EACH ROW EXECUTE FUNCTION app.touch();"
        b'CREATE TRIGGER "~migdsl_users_email" BEFORE UPDATE ON app.users FOR EACH ROW EXECUTE FUNCTION app.touch();'
    )
    (found,) = differences(made)
    assert (found.code, found.severity, shown(found)) == ("MIG735", Severity.WARNING, "User")
    assert "It runs before update, each row, and calls app.touch. It sets updated_at." in found.body
    assert "stamp updated_at" in found.help


@pytest.mark.parametrize(("step", "severity"), [(1, Severity.ERROR), (-1, Severity.WARNING)])
def test_another_version(made: psycopg.Connection, step: int, severity: Severity) -> None:
    version = made.info.server_version // 10000
    said = version + step
    if not 14 <= said <= 18:
        said, severity = version - step, Severity.WARNING if step > 0 else Severity.ERROR
    found = differences(made, FILE.replace("VERSION", str(said)))
    assert [(d.code, d.severity) for d in found] == [("MIG736", severity)]
    assert found[0].help == f"engine postgresql {version}"


def test_what_the_migration_itself_adds_is_no_difference(made: psycopg.Connection) -> None:
    text = FILE + ('migration m { ticket "X-1" }\nchange User {\n  add nick text? {\n    unique per tenant\n  }\n}\n')
    made.execute(b"ALTER TABLE app.users ADD nick text, ADD UNIQUE (tenant_id, nick)")
    made.execute(b"CREATE INDEX m_app_users_batch_idx ON app.users (tenant_id, id)")
    assert differences(made, text) == []
    assert {d.code for d in differences(made)} == {"MIG734"}


def names_taken(connection: psycopg.Connection, text: str) -> list[tuple[str, str, str]]:
    """Title and place of each name that is taken; all have one code."""
    found = check({"x.mig": text}, "x.mig")
    assert found.module is not None
    with reading(address(connection.info.dsn)) as session:
        problems = list(taken(found.module, found.module.databases[0], session))
    assert {d.code for d in problems} <= {"MIG737"}
    return [(d.title, shown(d, text), d.help) for d in problems]


def test_names_that_the_migration_would_give_are_free_or_its_own(made: psycopg.Connection) -> None:
    operations = (
        "add nick text?\n  index (number) as number_ix\n  check `number > 0` as number_ck\n  retype number text"
    )
    migration = f'migration m {{ ticket "X-1" }}\nchange User {{\n  {operations}\n}}\n'
    text = FILE.replace("VERSION", "18") + migration
    assert names_taken(made, text) == []
    made.execute(b"ALTER TABLE app.users ADD nick text, ADD number_migdsl_new text")
    made.execute(b"ALTER TABLE app.users ADD CONSTRAINT number_ck CHECK (score > 1)")
    made.execute(b"CREATE TABLE app.number_ix ()")
    found = names_taken(made, text)
    assert sorted(place for _, place, _ in found) == sorted(operations.split("\n  "))
    assert (
        "the migration would make the column nick of app.users, which is in the database already",
        "add nick text?",
        "declare it in `User`, and change what is there; or drop it first, or give the new one another name",
    ) in found
    made.execute(b"DROP SCHEMA IF EXISTS migdsl CASCADE; CREATE SCHEMA migdsl")
    made.execute(b"CREATE TABLE migdsl.snapshot (migration text, revision text)")
    assert len(names_taken(made, text)) == 4
    made.execute(
        b"INSERT INTO migdsl.snapshot VALUES ('other', 'makes column app.users nick'), ('m', 'makes column app.users nick')"
    )
    assert len(names_taken(made, text)) == 3
    made.execute(b"DROP SCHEMA migdsl CASCADE")


def test_a_view_is_no_table(made: psycopg.Connection) -> None:
    made.execute(b"DROP TABLE app.users CASCADE; CREATE VIEW app.users AS SELECT 1 AS id")
    (found,) = differences(made)
    assert found.code == "MIG731"
    assert "There is a view app.users" in found.body


def test_a_fresh_import_has_no_error_against_its_own_database(nasty: str, text: str) -> None:
    found = check({"x.mig": text}, "x.mig")
    assert found.module is not None
    with reading(address(nasty)) as session:
        problems = compare(found.module, found.module.databases[0], read(session), session)
    assert [(d.title, d.body) for d in problems if d.severity is Severity.ERROR] == []
    # What the language can't say stays a warning: names with line breaks, a CHECK of the clock, an invalid index, a trigger.
    assert {d.code for d in problems} == {"MIG734", "MIG735"}
    assert len(problems) < 12


def test_a_role_that_may_not_look_is_no_difference(made: psycopg.Connection) -> None:
    made.execute(b"DROP ROLE IF EXISTS migdsl_nobody; CREATE ROLE migdsl_nobody")
    found = check({"x.mig": FILE.replace("VERSION", "18").replace('"state"', "app.state")}, "x.mig")
    assert found.module is not None
    refused = pytest.raises(UnreadableError, match="permission denied for schema app")
    with refused as raised, reading(address(f"{made.info.dsn} options='-c role=migdsl_nobody'")) as session:
        compare(found.module, found.module.databases[0], read(session), session)
    assert "USAGE on the schemas" in raised.value.help
    made.execute(b"DROP ROLE migdsl_nobody")


HINDRANCES = {
    "a view": ("CREATE VIEW app.v AS SELECT doc FROM app.users", "drop doc irreversible because 'x'", "view app.v"),
    "statistics": (
        "CREATE STATISTICS app.s ON wait, at FROM app.users",
        "drop wait irreversible because 'x'",
        "statistics object app.s",
    ),
    "a materialized view": (
        "CREATE MATERIALIZED VIEW app.m AS SELECT number FROM app.users",
        "retype number numeric",
        "app.m",
    ),
    "a trigger": (
        """CREATE FUNCTION app.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER extra AFTER UPDATE OF tags ON app.users EXECUTE FUNCTION app.f()""",
        "rename tags to labels",
        "trigger extra on table app.users",
    ),
}


def refused(made: psycopg.Connection, text: str) -> list[Diagnostic]:
    found = check({"x.mig": text}, "x.mig")
    assert found.module is not None
    with asking(address(made.info.dsn)) as session:
        return list(refusals(found.module, found.module.databases[0], session))


@pytest.mark.parametrize("kind", HINDRANCES)
def test_what_expand_would_refuse_is_told_beforehand_by_its_own_questions(made: psycopg.Connection, kind: str) -> None:
    statement, operation, named = HINDRANCES[kind]
    operation = operation.replace("'", '"')
    text = FILE.replace("VERSION", "18") + f'migration m {{ ticket "X-1" }}\nchange User {{\n  {operation}\n}}\n'
    assert refused(made, text) == []
    made.execute(statement.encode())
    (told,) = refused(made, text)
    # A view can be made again once the new column is there.
    late = kind == "a view"
    assert (told.code, shown(told, text)) == ("MIG738", operation)
    assert told.severity is (Severity.WARNING if late else Severity.ERROR)
    assert told.title.startswith("contract would refuse: " if late else "expand would refuse: ")
    assert named in told.title
    assert told.help
    rows = made.execute("SELECT nspname FROM pg_namespace WHERE nspname = 'migdsl'").fetchall()
    assert rows == []
    with asking(address(made.info.dsn)) as session:
        session.connection.execute("SET TRANSACTION READ ONLY")
        module = check({"x.mig": text}, "x.mig").module
        assert module is not None
        (told,) = refusals(module, module.databases[0], session)
    assert (told.code, told.severity) == ("MIG738", Severity.WARNING)


def test_schemas_that_others_may_create_in_are_told_beforehand(made: psycopg.Connection) -> None:
    """Expand would make a trigger there that runs with its owner's rights."""
    filled = "create Crew in app.crews { id bigint key; tenant_id uuid tenant; from Team { id = id; tenant_id = tenant_id } }"
    text = FILE.replace("VERSION", "18") + f'migration m {{ ticket "X-1" }}\n{filled}\n'
    assert refused(made, text) == []
    made.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
    (told,) = refused(made, text)
    assert (told.code, told.severity, shown(told, text)) == ("MIG738", Severity.ERROR, filled)
    assert told.help.endswith("REVOKE CREATE ON SCHEMA public FROM PUBLIC")


UNCOMPUTABLE = {
    "add a text { from `username + 1` }": "`from` of `User.a`: operator does not exist: character varying + integer",
    "add a text { from `nosuchfn(username)` }": "`from` of `User.a`: function nosuchfn(character varying) does not exist",
    "add a text? { from `username`; back username = `a + 1` }": "`back` of `User.username`: operator does not exist: text",
    "add a date { from `number` }": "`from` of `User.a`: cannot cast type bigint to date",
    "check `username` as x_ck": "`check` of `User`: argument of CASE/WHEN must be type boolean",
    "retype username bigint { from `username * 2`; back `username` }": "`from` of `User.username`: operator does not exist",
    "retype number uuid { from `md5(number::text)::uuid`; back `number + 1` }": "`back` of `User.number`: operator",
}
COMPUTABLE = (
    "add a text { from `coalesce(email, 'it''s 100%')`; back email = `a` }\n  drop email",
    "add a numeric(10,2) { from `round(coalesce(score, 0) * 2)` }\n  check `a > 1` as x_ck",
    "retype number text",
    "add a timestamptz(3) { from `at + '1 day'`; back at = `a - interval '1 day'` }",
    "rename tags to labels",
)


def told(made: psycopg.Connection, operations: str) -> list[tuple[str, str, str]]:
    text = FILE.replace("VERSION", "18") + f'migration m {{ ticket "X-1" }}\nchange User {{\n  {operations}\n}}\n'
    module = check({"x.mig": text}, "x.mig").module
    assert module is not None
    with reading(address(made.info.dsn)) as session:
        found = list(uncomputable(module, module.databases[0], session))
    return [(d.code, d.title.removeprefix("the database can't compute "), shown(d, text)) for d in found]


@pytest.mark.parametrize("operation", UNCOMPUTABLE)
def test_an_expression_that_the_server_can_not_type_is_told_at_its_place(
    made: psycopg.Connection, operation: str
) -> None:
    (found,) = told(made, operation)
    assert found[0] == "MIG739"
    assert found[1].startswith(UNCOMPUTABLE[operation])
    assert found[2] in operation


@pytest.mark.parametrize("operations", COMPUTABLE)
def test_an_expression_that_the_server_can_type_is_no_difference(made: psycopg.Connection, operations: str) -> None:
    assert told(made, operations) == []
