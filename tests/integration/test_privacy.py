"""Personal data of every kind of column, planted and then made to fail, differ and break rules, is in no output of any job."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest

from tests.integration.project import ROOT, Project, Ran
from tests.integration.world import CANARY
from tests.runtime.gateway import Gateway

MIG = """
migration users_email { ticket "MIG-77"; downtime none }
database app { engine postgresql 15; url env DATABASE_URL }
tenants { key tenant_id uuid; list `SELECT id FROM tenants ORDER BY id` }

entity User in app."Pe""ople %s" {
  id         bigint key
  tenant_id  uuid   tenant
  "e-mail"   text?  pii
  "na""me"   text   pii
  born       date?  pii
  salary     numeric? pii
  doc        jsonb? phi
  tags       text[]? pii
  face       bytea? pii
  token      uuid?  pii
  index (tenant_id, id)
  rows 1k
}

change User {
  add "con""tact %" text pii {
    from `coalesce("e-mail", spoilt("na""me"), CASE WHEN "na""me" LIKE '%looked up%' THEN to_tsquery("na""me")::text END,
                   "na""me" || '@x.org')`
    back "e-mail" = `"con""tact %"`
  }
  add born2   date?    pii { from `born` }
  add salary2 numeric? pii { from `salary` }
  add doc2    jsonb?   phi { from `doc` }
  add tags2   text[]?  pii { from `tags` }
  add face2   bytea?   pii { from `face` }
  add token2  uuid?    pii { from `token` }
}
validate User {
  invariant "contacts have an @" `SELECT u."con""tact %" FROM "Pe""ople %s" AS u
    WHERE u.tenant_id = :tenant_id AND u."con""tact %" NOT LIKE '%@%'`
}
backfill User { batch 7 rows }
cutover { canary "CANARY"; ramp 1%, 10%, 50%, 100% every 24h }
flag users_email { stage off for all }
""".replace("CANARY", CANARY)

TABLE = """
CREATE TABLE tenants (id uuid PRIMARY KEY);
CREATE TABLE "Pe""ople %s" (
  id bigint PRIMARY KEY, tenant_id uuid NOT NULL, "e-mail" text, "na""me" text NOT NULL, born date, salary numeric,
  doc jsonb, tags text[], face bytea, token uuid
);
CREATE INDEX ON "Pe""ople %s" (tenant_id, id);
CREATE FUNCTION spoilt(name text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN
  IF name LIKE '%plain%' THEN RAISE EXCEPTION 'bad name %', name USING DETAIL = name, HINT = name; END IF;
  IF name LIKE '%denied%' THEN RAISE EXCEPTION 'bad name %', name USING ERRCODE = '42501'; END IF;
  IF name LIKE '%cast%' THEN RETURN name::integer; END IF;
  IF name LIKE '%dynamic%' THEN EXECUTE 'SELECT ' || quote_ident(name); END IF;
  RETURN NULL;
END$$;
INSERT INTO tenants VALUES ('%CANARY%'), ('00000000-0000-4000-8000-000000000002');
"""
TABLE = TABLE.replace("%CANARY%", CANARY)
NAME = "Xp1i"  # stands in each value that is text
SALARY, BORN, TOKEN = "918273645.01928", "1871-03-18", "c0ffee00-dead-4bad-8bad-00000badf00d"
FACE = "f00dfacefeed"
# As PostgreSQL and Python print them; a date also as its parts.
SECRETS = (
    NAME,
    SALARY,
    "918273645",
    BORN,
    "1871-03",
    "datetime.date(1871",
    TOKEN,
    TOKEN.replace("-", ""),
    FACE,
    bytes.fromhex(FACE).decode("latin-1"),
)
INSERT = """
INSERT INTO "Pe""ople %%s" (id, tenant_id, "e-mail", "na""me", born, salary, doc, tags, face, token)
SELECT g, %s, CASE WHEN g %% 5 > 0 THEN %s || g || '@example.org' END, %s || g || ' " ''O', %s, %s,
       jsonb_build_object(%s::text, %s::text), ARRAY[%s::text, NULL], decode(%s, 'hex'), %s
  FROM generate_series(%s::int, %s::int) AS g
"""


def plant(project: Project, tenant: str, first: int, last: int) -> None:
    values = (tenant, NAME, NAME, BORN, SALARY, NAME, NAME, NAME, FACE, TOKEN, first, last)
    project.run(INSERT, *values)


@pytest.fixture
def people(empty_project: Project) -> Project:
    """60 people of two tenants, every column full of secrets; expand has run."""
    with empty_project.connect() as connection:
        connection.execute(TABLE)
    plant(empty_project, CANARY, 1, 30)
    plant(empty_project, "00000000-0000-4000-8000-000000000002", 31, 60)
    empty_project.write(MIG)
    empty_project.upgrade("users_email_expand")
    return empty_project


def ledger(project: Project) -> str:
    """Every row of every table of ours, as text."""
    tables = project.all("SELECT relname FROM pg_class WHERE relnamespace = 'migdsl'::regnamespace AND relkind = 'r'")
    assert {"slice", "event", "quarantine", "reconciliation"} <= {name for (name,) in tables}
    rows = [row for (name,) in tables for row in project.all(f'SELECT to_jsonb(t)::text FROM migdsl."{name}" AS t')]
    # DDL that a downgrade replays names functions and columns; values of rows can't be in it, but are looked for too.
    return "\n".join(row for (row,) in rows)


def leaks(*texts: str) -> list[str]:
    """The secrets that stand in a text."""
    # Times hold digits of every kind, and so do hashes; none of them has a secret's own form.
    return [
        f"{secret} in …{t[max(0, t.find(secret) - 80) : t.find(secret) + 40]}"
        for t in texts
        for secret in SECRETS
        if secret in t
    ]


class Job:
    """A generated job with every output there is: what it printed, its metrics as a file and as pushed."""

    def __init__(self, project: Project, gateway: Gateway) -> None:
        self.project, self.gateway = project, gateway
        self.said: list[str] = []

    def __call__(self, kind: str, *options: str, form: str = "logfmt") -> Ran:
        file = self.project.folder / f"{kind}.prom"
        argv = [
            sys.executable,
            f"out/{kind}/users_email/user.py",
            *options,
            "--metrics",
            str(file),
            "--log-format",
            form,
        ]
        ran = self.project.shell(*argv, "--pushgateway", self.gateway.url, "--correlation-id", "c0rr-7")
        assert "Traceback" not in ran.err, ran.err
        self.said += [ran.out, ran.err, file.read_text() if file.exists() else ""]
        return ran

    def outputs(self) -> tuple[str, ...]:
        pushed = [text for each in self.gateway.pushed for text in (each.path, each.body)]
        return (*self.said, *pushed, ledger(self.project))


@pytest.fixture
def job(people: Project) -> Iterator[Job]:
    with Gateway() as gateway:
        yield Job(people, gateway)


def filled(job: Job) -> Ran:
    return job("backfills", "--duty", "1", "--again")


def test_a_search_that_finds_what_is_there(people: Project) -> None:
    with people.connect() as connection:
        row = str(connection.execute('SELECT * FROM "Pe""ople %s" LIMIT 1').fetchone())
        line = connection.execute('SELECT to_jsonb(t)::text FROM "Pe""ople %s" AS t LIMIT 1').fetchone()
    assert leaks(row)
    assert line is not None
    assert {found.split(" in ")[0] for found in leaks(line[0])} >= {NAME, SALARY, BORN, TOKEN, FACE}
    with pytest.raises(psycopg.Error) as refused, people.connect() as connection:
        connection.execute('INSERT INTO "Pe""ople %s" SELECT * FROM "Pe""ople %s" LIMIT 1')
    assert refused.value.sqlstate == "23505"


def test_all_goes_well(job: Job) -> None:
    assert filled(job).code == 0
    assert job("reconcile").code == 0
    assert job("reconcile", "--json").code == 0
    assert job("backfills", "--status").code == 0
    assert job("backfills", "--dry-run").code == 0
    assert leaks(*job.outputs()) == []


# What a row's values get into: a message, its DETAIL and HINT, a context, a statement that is put together.
SPOILT = {
    "plain": ("P0001", 1),
    "denied": ("42501", 3),
    "cast": ("22P02", 1),
    "dynamic": ("42703", 3),
    "looked up": ("42601", 3),
}


@pytest.mark.parametrize("kind", SPOILT)
@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_rows_that_fail(job: Job, kind: str, form: str) -> None:
    with job.project.connect() as connection:
        connection.execute("""ALTER TABLE "Pe""ople %s" DISABLE TRIGGER USER""")
        spoil = """UPDATE "Pe""ople %%s" SET "e-mail" = NULL, "na""me" = %s WHERE id = 8"""
        connection.execute(spoil, (f"{NAME} {kind}",))
        connection.execute("""ALTER TABLE "Pe""ople %s" ENABLE TRIGGER USER""")
    state, code = SPOILT[kind]
    ran = job("backfills", "--duty", "1", form=form)
    assert ran.code == code, ran
    assert state in ran.out + ran.err + ledger(job.project)
    job("backfills", "--status")
    job("reconcile")
    job("reconcile", "--json")
    assert leaks(*job.outputs()) == []


CONSTRAINTS = {
    "check": """ALTER TABLE "Pe""ople %s" ADD CONSTRAINT "c%" CHECK (id <> 8 OR "con""tact %" IS NULL) NOT VALID""",
    "unique": """CREATE UNIQUE INDEX ON "Pe""ople %s" (salary2, born2)""",
    "exclude": """ALTER TABLE "Pe""ople %s" ADD EXCLUDE USING btree (token2 WITH =)""",
    "too long": """ALTER TABLE "Pe""ople %s" ALTER tags2 TYPE varchar(3)[]""",
}


@pytest.mark.parametrize("kind", CONSTRAINTS)
def test_constraints_that_quote_the_row(job: Job, kind: str) -> None:
    with job.project.connect() as connection:
        connection.execute(CONSTRAINTS[kind])
    assert job("backfills", "--duty", "1").code == 1
    job("backfills", "--status")
    assert leaks(*job.outputs()) == []


def test_rows_that_differ_and_break_rules(job: Job) -> None:
    assert filled(job).code == 0
    with job.project.connect() as connection:
        connection.execute("""ALTER TABLE "Pe""ople %s" DISABLE TRIGGER USER""")
    changes = {
        '"con""tact %"': f"'{NAME}x'",
        "born2": f"date '{BORN}' + 1",
        "salary2": f"{SALARY} + 0",
        "doc2": f"""'{{"{NAME}": ["{NAME}"]}}'""",
        "tags2": f"ARRAY['{NAME}']",
        "face2": f"decode('{FACE}{FACE}', 'hex')",
        "token2": "NULL",
    }
    for number, (column, value) in enumerate(changes.items(), 1):
        with job.project.connect() as connection:
            connection.execute(f'UPDATE "Pe""ople %s" SET {column} = {value} WHERE id = {number}')
    found = job("reconcile")
    assert found.code == 1
    assert "contacts have an @" in found.out
    report = job("reconcile", "--json")
    assert report.code == 1
    assert json.loads(report.out)["clean"] is False
    live = "INSERT INTO migdsl.event (migration, kind, subject, value) VALUES ('users_email', 'stage', 'all', 'live')"
    job.project.run(live)
    assert job("reconcile", "--json").code == 1
    assert leaks(*job.outputs()) == []


def test_lines_and_sessions_share_the_correlation_id(job: Job) -> None:
    """Whoever reads a log line finds its connection, and the other way round."""
    seen: list[str] = []
    argv = [
        sys.executable,
        "out/backfills/users_email/user.py",
        "--duty",
        "0.05",
        "--log-format",
        "json",
        "--batch",
        "1",
    ]
    process = subprocess.Popen(
        argv,
        cwd=job.project.folder,
        env=job.project.environment(MIGDSL_CORRELATION_ID="from-outside/1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    asked = "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'migdsl users_email%%'"
    while process.poll() is None and not seen:
        seen = [name for (name,) in job.project.all(asked)]
    _, err = process.communicate(timeout=60)
    assert seen
    assert all(name.endswith(" from-outside/1") for name in seen), seen
    lines = [json.loads(line) for line in err.splitlines()]
    assert lines
    assert {line["run"] for line in lines} == {"from-outside/1"}
    assert all(re.match(r"\d{4}-", line["at"]) and line["migration"] == "users_email" for line in lines)


def test_tenants_with_an_address_for_a_name_go_by_their_number(empty_project: Project) -> None:
    """What MIG305 advises: rows keep the address that leads to their account, and whoever is told hears its number."""
    advised = ROOT / "tests/cases/check/fine_MIG305_tenant_by_its_number.mig"
    with empty_project.connect() as connection:
        connection.execute(f"""
CREATE TABLE accounts (owner_email text PRIMARY KEY, id bigint NOT NULL UNIQUE);
CREATE TABLE users (id bigint PRIMARY KEY, owner_email text NOT NULL REFERENCES accounts, name text NOT NULL);
INSERT INTO accounts SELECT '{NAME}' || g || '@example.org', 7000 + g FROM generate_series(1, 3) AS g;
INSERT INTO users SELECT g, '{NAME}' || 1 + g % 3 || '@example.org', 'a' || g FROM generate_series(1, 60) AS g;
""")
    empty_project.write(advised.read_text(encoding="utf-8"))
    empty_project.upgrade("nicks_expand")
    ran = [empty_project.shell(sys.executable, "out/backfills/nicks/user.py", "--duty", "1")]
    assert empty_project.one("SELECT count(*) FROM users WHERE nick = name") == 60
    with empty_project.connect() as connection:
        connection.execute("ALTER TABLE users DISABLE TRIGGER USER; UPDATE users SET nick = 'x' WHERE id < 4")
    ran += [empty_project.shell(sys.executable, "out/reconcile/nicks/user.py", "--json")]
    ran += [empty_project.shell(sys.executable, "out/backfills/nicks/user.py", "--status")]
    assert [each.code for each in ran] == [0, 1, 0], ran
    assert "7001" in ran[1].out
    assert "7001" in ledger(empty_project)
    assert leaks(*(text for each in ran for text in (each.out, each.err)), ledger(empty_project)) == []
