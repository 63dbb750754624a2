"""Code runs as roles that own nothing: what a migration forgets to grant is found, and nobody is accused of what it doesn't.

Some faults are part of every run; `MIGDSL_ALL_FAULTS=1` tries them all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from migdsl.cli import main
from migdsl.executor.model import Project
from migdsl.planning.build import build
from migdsl.rehearsal import second
from migdsl.rehearsal.loading import roles
from migdsl.rehearsal.model import Log, Settings, Stuck
from migdsl.rehearsal.run import Piece, Report, on
from migdsl.rehearsal.run import rehearse as rehearse_whole
from migdsl.rehearsal.server import Server
from migdsl.rehearsal.stage import Stage
from migdsl.runtime.routing.repair import Repair
from migdsl.workspace import compile_files, source_digest
from tests.conftest import ENGINE
from tests.rehearsal.conftest import ROOT, SHORT, Edit, Rehearse, edited, piece

USERS, RENAMED, NUMBERS = "users", "02_rename_column/customers_full_name", "03_bigint_keys/orders_bigint"
CREATED, MOVED = "07_new_table/addresses_table", "15_move_table/purchases"
OUTBOX, DUAL = "16_extraction_outbox/orders_extraction", "18_extraction_dual_write/orders_dual_write"
EVENTS = str(ROOT / "examples/09_index_only/events_index.mig")
FEW = ("--rows", "60", "--tenants", "4", "--rate", "200")
DEFINER = "LANGUAGE plpgsql SECURITY DEFINER SET"
INVOKER = "LANGUAGE plpgsql SET"
COUNTER = "migdsl.users_email_users_old_writes"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with which example, the phase that shows it, and what the finding says."""

    name: str
    to: str
    said: str
    edits: tuple[Edit, ...]
    always: bool = False
    settings: Settings = SHORT


FAULTS = {
    "the ledger's schema is closed": Fault(
        USERS,
        "expand",
        "old code: permission denied for schema migdsl, in the function migdsl.users_email_users_sync",
        (("email_expand.py", "GRANT USAGE ON SCHEMA migdsl TO PUBLIC", "REVOKE USAGE ON SCHEMA migdsl FROM PUBLIC"),),
        always=True,
    ),
    "the counter of old writes is closed": Fault(
        USERS,
        "expand",
        "old code: permission denied for sequence users_email_users_old_writes, in the function",
        (
            (
                "email_expand.py",
                f"GRANT USAGE ON SEQUENCE {COUNTER} TO PUBLIC",
                f"REVOKE USAGE ON SEQUENCE {COUNTER} FROM PUBLIC",
            ),
        ),
    ),
    "a trigger that fills has the writer's rights": Fault(
        CREATED,
        "expand",
        "old code: permission denied for table",
        (("table_expand.py", DEFINER, INVOKER),),
        always=True,
    ),
    "a trigger that carries over has the writer's rights": Fault(
        MOVED, "expand", "old code: permission denied for", (("purchases_expand.py", DEFINER, INVOKER),)
    ),
    "a moved table that has lost its grants": Fault(
        MOVED,
        "expand",
        "new code, in its second write: permission denied for table purchases, to a role",
        (("purchases_expand.py", "EXECUTE format('GRANT %s ON %s", "PERFORM format('GRANT %s ON %s"),),
        always=True,
    ),
    "the schema of a moved table is closed": Fault(
        MOVED,
        "expand",
        "new code, in its second write: permission denied for schema sales, to a role",
        (("purchases_expand.py", "EXECUTE format('GRANT USAGE ON SCHEMA", "PERFORM format('GRANT USAGE ON SCHEMA"),),
    ),
    "a moved table that has lost the grants of its columns": Fault(
        MOVED,
        "expand",
        "a role with SELECT on public.orders.note alone may not read sales.purchases.note, which is that column now",
        (("purchases_expand.py", "HAVING count(DISTINCT a.attname) =", "HAVING 0 ="),),
    ),
    "a column under a new name that has lost its grants": Fault(
        RENAMED,
        "expand",
        "a role with SELECT on public.customers.name alone may not read public.customers.full_name",
        (("name_expand.py", "FROM aclexplode(a.attacl) AS g))) AS part", "FROM aclexplode(NULL) AS g))) AS part"),),
        always=True,
    ),
    "a swapped column that has lost its grants": Fault(
        NUMBERS,
        "cutover",
        "a role with SELECT on public.orders.id alone may not read it any more",
        (("bigint_expand.py", "FROM aclexplode(old.attacl) AS x) AS g", "FROM aclexplode(NULL) AS x) AS g"),),
    ),
}
FAULTS["a column that comes back without its grants"] = Fault(
    USERS,
    "contract",
    "a role with SELECT on public.users.email alone may not read it any more",
    (("email_expand.py", "FROM aclexplode(a.attacl) AS g)),", "FROM aclexplode(NULL) AS g)),"),),
    settings=replace(SHORT, back=True),
)
ELSEWHERE = {
    "an outbox that the writer must write": Fault(
        OUTBOX, "expand", "old code: permission denied for", (("77c617_expand.py", DEFINER, INVOKER),)
    ),
    "a module that doesn't tell what it needs": Fault(
        DUAL,
        "expand",
        "new code: permission denied for schema migdsl",
        (("routing/orders_dual_write/order.py", "    GRANT USAGE ON SCHEMA migdsl TO ROLE;\n", ""),),
        always=True,
    ),
    "a module that tells what nobody can give": Fault(
        DUAL,
        "expand",
        "what the generated module asks to be granted can't be: UndefinedFunction 42883",
        (("routing/orders_dual_write/order.py", "(text, boolean) TO ROLE", "(text) TO ROLE"),),
    ),
}
ALL = os.environ.get("MIGDSL_ALL_FAULTS") == "1"


@pytest.mark.parametrize("what", [name for name, fault in FAULTS.items() if fault.always or ALL])
def test_a_right_that_is_forgotten_is_found(rehearse: Rehearse, what: str):
    fault = FAULTS[what]
    assert_found(rehearse(fault.name, replace(fault.settings, to=fault.to), *fault.edits), fault)


@pytest.mark.parametrize("what", [name for name, fault in ELSEWHERE.items() if fault.always or ALL])
def test_a_right_that_is_forgotten_is_found_between_databases(tmp_path: Path, what: str):
    fault = ELSEWHERE[what]
    assert_found(rehearse_whole(piece(fault.name, replace(SHORT, to=fault.to), tmp_path, fault.edits), print), fault)


def assert_found(report: Report, fault: Fault) -> None:
    """The fault is traffic's, and the finding says what is lacking, and what to do."""
    failed = {v.id: v for v in report.verdicts if v.state == "failed"}
    # A second write that may not be made is missing over there; and rights are part of the catalog.
    assert failed.keys() <= {"traffic", "acknowledged_writes", "both_sides", "catalog_back"}, failed
    assert ("catalog_back" in failed) is fault.settings.back
    verdict = failed["traffic"]
    said = [each for each in verdict.findings if fault.said in each.what]
    assert said, [each.what for each in verdict.findings]
    assert all("grants" in each.way_out for each in said)


RENAMING = (
    f"""
migration people {{ ticket "MIG-1" }}
database app {{ engine postgresql {ENGINE}; url env DATABASE_URL }}
"""
    """tenants { key tenant_id uuid; list `SELECT id FROM tenants ORDER BY id` }
entity User in app.users { id bigint key; tenant_id uuid tenant; name text; index (tenant_id, id) }
change User { rename table to people }
"""
)


@pytest.mark.parametrize("forgetful", [False, True])
def test_the_old_name_of_a_table_has_the_grants_of_the_table(
    database: str, pg: Server, tmp_path: Path, forgetful: bool
):
    given = "EXECUTE coalesce((SELECT string_agg(format('GRANT"
    edit = ("people_expand.py", given, given.replace("EXECUTE", "PERFORM"))
    fault = Fault("people", "expand", "old code: permission denied for view users", (edit,) if forgetful else ())
    report = on(Stage(database, pg.bin, "test"), written(RENAMING, fault, tmp_path), print)
    if forgetful:
        assert_found(report, fault)
    else:
        assert [v.findings for v in report.verdicts if v.state == "failed"] == []


def test_a_repair_without_rights_is_a_finding(database: str):
    """And not the end of the rehearsal, without a word of what was found before."""
    log, row = Log(), SimpleNamespace(key={"id": "1"}, last="old")
    journal = SimpleNamespace(of=lambda _: [row])
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE closed (id bigint)")
        connection.execute("SET ROLE pg_monitor")
        query = b"UPDATE closed SET id = 1"
        client = SimpleNamespace(code="new", said="UPDATE closed", again=lambda *_: connection.execute(query))
        traffic, shapes = SimpleNamespace(clients=[client]), [SimpleNamespace(entity="User")]
        troupe = SimpleNamespace(log=log, journals={"User": journal}, traffic=traffic, shapes=shapes)
        with pytest.raises(Stuck):
            second._written(troupe, Repair(1, "t", "new", ("User", "1"), "", ""))  # type: ignore[arg-type]
    (found,) = log.findings
    assert (found.verdict, found.statement) == ("traffic", "UPDATE closed")
    assert found.what.startswith("new code, in a repair: permission denied for table closed, to a role")


def written(text: str, fault: Fault, folder: Path) -> Piece:
    """The files of a text, edited, in a folder."""
    name = f"{fault.name}.mig"
    found = compile_files({name: text}, name, through="contract")
    assert found.module is not None, found.diagnostics
    texts = edited({a.path: a.text for a in found.artifacts}, fault.edits)
    for path, each in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(each, encoding="utf-8")
    project = Project(build(found.module, source_digest(found.sources), "contract"), name, str(folder), texts)
    return Piece(project, {name: text}, name, folder, replace(SHORT, to=fault.to))


# ------------------------------------------------------------------------------------------- roles come and go


def ours(database: str) -> set[str]:
    """The roles that a rehearsal in this database has, by the age of their code."""
    with psycopg.connect(database) as connection:
        query = """SELECT substring(rolname FROM '[a-z]+$') FROM pg_roles, pg_database AS d
                    WHERE d.datname = current_database() AND rolname LIKE 'migdsl\\_rehearsal\\_' || d.oid || '\\_%'"""
        return {str(name) for (name,) in connection.execute(query).fetchall()}


def test_roles_are_there_for_as_long_as_they_are_needed(database: str, pg: Server, tmp_path: Path):
    seen: list[set[str]] = []
    short = piece(USERS, replace(SHORT, to="prepare"), tmp_path)
    on(Stage(database, pg.bin, "test"), short, lambda line: seen.append(ours(database)) if "idle" in line else None)
    assert seen == [{"old", "new", "report"}]
    assert ours(database) == set()


def test_roles_go_when_somebody_ends_it_in_the_middle(database: str, pg: Server, tmp_path: Path):
    def interrupt(line: str) -> None:
        if line.startswith("expand"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        on(Stage(database, pg.bin, "test"), piece(USERS, SHORT, tmp_path), interrupt)
    assert ours(database) == set()


def test_roles_stay_with_a_database_that_is_kept_and_those_of_a_killed_rehearsal_are_nobodys(
    database: str, capfd: pytest.CaptureFixture[str]
):
    for words, left in ((("--keep",), {"old", "new", "report"}), ((), set())):
        code = main(["rehearse", EVENTS, *FEW, "--url", database, "--to", "prepare", *words])
        assert (code, ours(database)) == (0, left), capfd.readouterr()
        assert "rights of an application" not in capfd.readouterr().out


@contextmanager
def somebody(database: str, options: str) -> Iterator[str]:
    """The URL for a role that owns the database, and may do no more than is said."""
    with psycopg.connect(database, autocommit=True) as connection:
        name = f"owner_of_{connection.info.dbname}"
        connection.execute(f"CREATE ROLE {name} LOGIN {options}".encode())
        connection.execute(f"ALTER DATABASE {connection.info.dbname} OWNER TO {name}".encode())
        connection.execute(f"ALTER SCHEMA public OWNER TO {name}".encode())
        try:
            yield make_conninfo(database, user=name)
        finally:
            connection.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER".encode())
            connection.execute(f"DROP OWNED BY {name}".encode())
            connection.execute(f"DROP ROLE {name}".encode())


@pytest.mark.parametrize(("options", "played"), [("CREATEROLE", True), ("NOCREATEROLE", False)])
def test_whoever_may_make_no_roles_is_told(
    database: str, capfd: pytest.CaptureFixture[str], options: str, played: bool
):
    with somebody(database, options) as url:
        code = main(["rehearse", EVENTS, *FEW, "--url", url, "--to", "expand"])
        said = capfd.readouterr()
        assert code == 0, said
        assert ("note: not played: rights of an application" in said.out) is not played, said.out
        assert ours(database) == set()


# ------------------------------------------------------------------------------------------- dumps of somebody's


DUMPED = """
SET client_min_messages = warning;
CREATE SCHEMA logs AUTHORIZATION migdsl_shop_owner;
CREATE TABLE logs.seen (n bigint GENERATED ALWAYS AS IDENTITY, what text);
ALTER TABLE logs.seen OWNER TO migdsl_shop_owner;
CREATE FUNCTION logs.said(what text) RETURNS text LANGUAGE sql AS 'SELECT lower(what)';
REVOKE ALL ON FUNCTION logs.said(what text) FROM PUBLIC;
CREATE FUNCTION logs.tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO logs.seen (what) VALUES (logs.said(TG_OP));
  RETURN NULL;
END $$;
CREATE TABLE public.tenants (id uuid PRIMARY KEY);
CREATE TABLE public.users (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, username text NOT NULL, email text);
ALTER TABLE public.users ADD CONSTRAINT users_tenant_id_username_key UNIQUE (tenant_id, username);
CREATE INDEX users_tenant_id_id ON public.users (tenant_id, id);
ALTER TABLE public.users OWNER TO migdsl_shop_owner;
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON public.users FOR EACH ROW EXECUTE FUNCTION logs.tell();
ALTER TABLE public.users ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON public.users TO "Migdsl App" USING ((tenant_id = (current_setting('app.tenant'::text))::uuid));
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.users TO "Migdsl App" WITH GRANT OPTION;
GRANT INSERT ON TABLE logs.seen TO "Migdsl App";
ALTER DEFAULT PRIVILEGES FOR ROLE migdsl_deployer IN SCHEMA public GRANT SELECT ON TABLES TO migdsl_reports;
"""


def test_a_dump_brings_its_roles_triggers_and_policies_along(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """The policy would hide all rows from whoever names no tenant, and the trigger writes what is no entity."""
    (tmp_path / "shop.sql").write_text(DUMPED, encoding="utf-8")
    argv = [
        "rehearse",
        str(ROOT / "examples/users.mig"),
        *FEW,
        "--to",
        "expand",
        "--schema",
        str(tmp_path / "shop.sql"),
    ]
    code = main(argv)
    said = capfd.readouterr()
    assert code == 0, said
    assert "note: code passes by row level security" in said.out


def test_on_somebodys_server_no_role_of_a_dump_is_made(
    database: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    (tmp_path / "shop.sql").write_text(DUMPED, encoding="utf-8")
    argv = [
        "rehearse",
        str(ROOT / "examples/users.mig"),
        *FEW,
        "--url",
        database,
        "--schema",
        str(tmp_path / "shop.sql"),
    ]
    assert main(argv) == 3
    said = capfd.readouterr().err
    assert 'role "migdsl_shop_owner" does not exist' in said
    assert "pg_dump -s -O -x makes a file without owners and grants" in said
    assert 'CREATE ROLE "migdsl_shop_owner"' in said


def test_the_roles_of_a_dump_are_read_as_they_are_spelt():
    assert set(roles(DUMPED)) == {"migdsl_shop_owner", "Migdsl App", "migdsl_deployer", "migdsl_reports"}
    more = """
ALTER SCHEMA public OWNER TO pg_database_owner;
ALTER FUNCTION public."f x"(a text) OWNER TO "Shop ""B"" owner";
REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE SELECT(id) ON TABLE public.users FROM One, "Two, or three";
CREATE POLICY "of theirs" ON public.users AS RESTRICTIVE FOR SELECT TO four, CURRENT_USER USING (true);
CREATE POLICY everybody ON public.users USING ((a TO b));
GRANT ALL ON TABLE public.users TO pg_read_all_data GRANTED BY five;
SET SESSION AUTHORIZATION six;
"""
    assert set(roles(more)) == {'Shop "B" owner', "one", "Two, or three", "four", "five", "six"}
