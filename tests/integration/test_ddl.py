"""The generated revisions under locks, after kills, with leftovers, and with the env.py that projects have."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from alembic.util import CommandError

from tests.integration.project import OWNING_ENV, Project
from tests.integration.test_gates import record, unmet
from tests.integration.world import WRONG
from tests.ops.killing import killed_after

INDEX = "users_tenant_id_contact_email_key"
ADDRESS = "secret-o'hara@exämple.org"
STATE = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"


def ready_to_enforce(project: Project) -> None:
    project.upgrade("users_email_expand")
    assert project.backfill().code == 0
    record(project, ("all", "live"))
    assert project.reconcile().code == 0
    project.pass_time("25 hours")
    assert project.reconcile().code == 0


def ready_to_contract(project: Project) -> None:
    project.pass_time("31 days")
    record(project, ("all", "complete"))
    assert project.reconcile().code == 0


@pytest.fixture
def enforceable(clean_project: Project) -> Project:
    """Everything is done but enforce and contract."""
    ready_to_enforce(clean_project)
    return clean_project


# ------------------------------------------------------------------------------------------------------------- locks


@contextmanager
def a_writer(project: Project, errors: list[str], done: list[int]) -> Iterator[None]:
    """A client that gives up after a second's wait for a lock."""
    stop = threading.Event()

    def write() -> None:
        with project.connect(lock_timeout="1s") as connection:
            while not stop.wait(0.005):
                try:
                    connection.execute(
                        "UPDATE users SET username = username || '.' WHERE id = %s", (len(done) % 50 + 1,)
                    )
                    done.append(1)
                except psycopg.Error as error:
                    errors.append(f"{type(error).__name__} {error.sqlstate}")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("revision", ["users_email_expand", "users_email_enforce"])
def test_writers_are_not_stalled_behind_a_migration_that_waits(clean_project: Project, revision: str) -> None:
    """A long transaction reads users. The migration queues behind it again and again, and nobody long behind that."""
    project = clean_project
    if revision == "users_email_enforce":
        ready_to_enforce(project)
    waits = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND %s = ANY (pg_blocking_pids(pid)) AND query LIKE 'DO %%'"
    )
    errors: list[str] = []
    done: list[int] = []
    with (
        a_writer(project, errors, done),
        ThreadPoolExecutor(1) as pool,
        project.connect() as holder,
        holder.transaction(),
    ):
        holder.execute("SELECT FROM users LIMIT 1")
        migrating = pool.submit(project.upgrade, revision)
        seen = 0
        until = time.monotonic() + 3  # longer than a writer would wait
        while time.monotonic() < until or not seen or len(done) < 100:
            assert not migrating.done(), migrating.result()
            seen += project.one(waits, holder.info.backend_pid)
            time.sleep(0.01)
        holder.execute("ROLLBACK")
        migrating.result(timeout=60)
    assert errors == []
    assert project.revision() == revision


# ----------------------------------------------------------------------------------------------------------- indexes


def duplicate(project: Project) -> None:
    """Two rows of one tenant with one address, after all has been reconciled."""
    tenant = project.one("SELECT tenant_id FROM users GROUP BY 1 ORDER BY count(*) DESC LIMIT 1")
    keys = [key for (key,) in project.all("SELECT id FROM users WHERE tenant_id = %s ORDER BY id LIMIT 2", tenant)]
    project.run("UPDATE users SET contact_email = %s WHERE id = ANY (%s)", ADDRESS, keys)


def test_an_invalid_index_is_dropped_and_built_again(enforceable: Project) -> None:
    duplicate(enforceable)
    # The name is the migration's own from its first try on: somebody else's index would be refused.
    assert enforceable.alembic_shell("upgrade", "users_email_enforce").code != 0
    with pytest.raises(psycopg.errors.UniqueViolation):
        enforceable.run(f"CREATE UNIQUE INDEX CONCURRENTLY {INDEX} ON users (tenant_id, contact_email)")
    enforceable.run("UPDATE users SET contact_email = contact_email || id WHERE contact_email = %s", ADDRESS)
    assert enforceable.one(STATE, INDEX) is False
    enforceable.upgrade("users_email_enforce")
    assert enforceable.one(STATE, INDEX) is True
    assert enforceable.one("SELECT contype::text FROM pg_constraint WHERE conname = %s", INDEX) == "u"


def test_an_index_that_fails_leaves_nothing_and_says_no_value(enforceable: Project) -> None:
    duplicate(enforceable)
    done = enforceable.alembic_shell("upgrade", "users_email_enforce")
    assert done.code != 0
    assert f'users_email_enforce: could not create unique index "{INDEX}"' in done.out + done.err
    assert "secret" not in done.out + done.err
    assert "hara" not in done.out + done.err
    assert enforceable.one("SELECT to_regclass(%s)", INDEX) is None
    assert enforceable.revision() == "users_email_expand"
    enforceable.run("UPDATE users SET contact_email = contact_email || id WHERE contact_email = %s", ADDRESS)
    enforceable.upgrade("users_email_enforce")
    assert enforceable.one(STATE, INDEX) is True


def test_a_refill_that_fails_says_no_value(enforceable: Project) -> None:
    enforceable.upgrade("users_email_enforce")
    ready_to_contract(enforceable)
    enforceable.upgrade("users_email_contract")
    enforceable.run("UPDATE users SET contact_email = %s WHERE id = 1", ADDRESS)
    # The column comes back narrower than what new code has written since.
    enforceable.run("UPDATE migdsl.snapshot SET sql = replace(sql, 'email text', 'email varchar(4)')")
    done = enforceable.alembic_shell("downgrade", "-1")
    assert done.code != 0
    assert "users_email_contract: StringDataRightTruncation 22001" in done.out + done.err
    assert "secret" not in done.out + done.err
    assert "@" not in (done.out + done.err).replace("@contextmanager", "")


# ------------------------------------------------------------------------------------------------------------- kills


def survives_kills(project: Project, revision: str, before: str) -> None:
    """Up and down, killed after each number of statements, then run again: the schema is what it is without a kill."""
    project.upgrade(revision)
    above = project.dump()
    project.downgrade(before)
    below = project.dump()
    for spared in range(100):
        with killed_after(project.versions / f"{revision}.py", spared):
            try:
                project.upgrade(revision)
            except RuntimeError:
                killed_up = True
            else:
                killed_up = False
        project.upgrade(revision)
        assert project.dump() == above, f"up, killed after {spared}"
        with killed_after(project.versions / f"{revision}.py", spared):
            try:
                project.downgrade(before)
            except RuntimeError:
                killed_down = True
            else:
                killed_down = False
        project.downgrade(before)
        assert project.dump() == below, f"down, killed after {spared}"
        if not killed_up and not killed_down:
            assert spared > 3
            return
    raise AssertionError("the revision never came to its end")


def test_expand_killed_anywhere_can_be_run_again(clean_project: Project) -> None:
    survives_kills(clean_project, "users_email_expand", "base")


def test_enforce_killed_anywhere_can_be_run_again(enforceable: Project) -> None:
    survives_kills(enforceable, "users_email_enforce", "users_email_expand")


def test_contract_killed_anywhere_can_be_run_again(enforceable: Project) -> None:
    enforceable.upgrade("users_email_enforce")
    ready_to_contract(enforceable)
    survives_kills(enforceable, "users_email_contract", "users_email_enforce")
    assert enforceable.one("SELECT count(*) FROM users WHERE email IS DISTINCT FROM contact_email") == 0


# ------------------------------------------------------------------------------------------------ env.py and drivers


@pytest.mark.parametrize("configure", [{}, {"transaction_per_migration": True}], ids=["one transaction", "one each"])
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_the_whole_chain_at_once(clean_project: Project, driver: str, configure: dict[str, object]) -> None:
    pytest.importorskip(driver)
    project = clean_project
    project.driver, project.configure = driver, configure
    before = project.dump()
    assert unmet(project, "users_email_enforce")[0] == "the deployed stage of all is off, and live for all is needed"
    ready_to_enforce(project)
    ready_to_contract(project)
    project.upgrade("head")
    assert project.revision() == "users_email_contract"
    project.downgrade("users_email_expand")
    assert project.one(WRONG) == 0
    project.downgrade("base")
    assert project.dump() == before


def test_an_env_that_owns_the_transaction_is_told_so(clean_project: Project) -> None:
    clean_project.use_env(OWNING_ENV)
    before = clean_project.dump()
    with pytest.raises(CommandError, match=r"env\.py has opened a transaction.*let Alembic open it"):
        clean_project.upgrade("users_email_expand")
    assert clean_project.dump() == before


def test_offline_it_prints_sql(clean_project: Project) -> None:
    done = clean_project.alembic_shell("upgrade", "base:head", "--sql")
    assert done.code == 0, done
    for statement in (
        "ADD COLUMN IF NOT EXISTS contact_email text;",
        f"CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS {INDEX}",
    ):
        assert statement in done.out
    assert (
        done.out.index("DO $gate$")
        < done.out.index("CREATE UNIQUE INDEX")
        < done.out.index("DROP COLUMN IF EXISTS email")
    )
    # psql takes it as it is, up to the gate.
    printed = clean_project.folder / "printed.sql"
    printed.write_text(done.out, encoding="utf-8")
    psql = str(clean_project.server.bin / "psql")
    ran = clean_project.shell(psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", clean_project.url, "-f", str(printed))
    assert "ERROR:  not yet: the deployed stage of all is off" in ran.err
    assert clean_project.revision() == "users_email_expand"
