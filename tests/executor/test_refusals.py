"""What apply, rollback and status refuse: with a code, why, and a way out, and before anything is changed."""

from __future__ import annotations

import psycopg
import pytest

from tests.executor.conftest import Home, Run
from tests.executor.test_broken_off import to_enforce
from tests.executor.test_story import apply, roll, to_live, to_the_end

FOREIGN = """
from alembic import op
revision = "theirs"
down_revision = "{}"
def upgrade():
    op.execute("CREATE TABLE theirs (id int)")
def downgrade():
    op.execute("DROP TABLE theirs")
"""
INI = """[alembic]
script_location = alembic
version_locations = migrations/versions
path_separator = os
"""
ENV = """
import os
from alembic import context
from sqlalchemy import create_engine, pool

engine = create_engine(os.environ["THEIR_URL"].replace("postgresql:", "postgresql+psycopg:"), poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, version_table="their_versions")
    with context.begin_transaction():
        context.run_migrations()
"""


@pytest.fixture
def expanded(home: Home, run: Run) -> Home:
    apply(run, "expand", "--confirm", "watched")
    return home


def refused(run: Run, *words: str, code: int = 1) -> str:
    ran = run(*words)
    assert ran.code == code, ran
    assert ran.err, ran
    return ran.err


def test_without_consent_nothing_is_done(home: Home, run: Run) -> None:
    ran = run("apply", "users.mig", "--to", "backfill", "--confirm", "watched")
    assert ran.code == 2
    assert ran.out.splitlines() == [
        "users_email is at prepare, and goes on to backfill:",
        "  expand: alembic upgrade users_email_expand",
        "  backfill: python backfills/users_email/user.py",
    ]
    assert "say --yes" in ran.err
    assert home.head() is None


def test_files_that_are_not_what_the_source_says(home: Home, run: Run) -> None:
    path = home.folder / "migrations/versions/users_email_expand.py"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    said = refused(run, "apply", "users.mig", "--to", "expand", "--yes", "--confirm", "watched", code=2)
    assert "MIG704" in said
    assert "migrations/versions/users_email_expand.py (changed by hand)" in said
    assert "migdsl compile users.mig" in said
    path.unlink()
    said = refused(run, "apply", "users.mig", "--to", "expand", "--yes", "--confirm", "watched", code=2)
    assert "migrations/versions/users_email_expand.py (missing)" in said
    assert home.head() is None


def test_a_job_that_somebody_edited_and_python_can_not_read(home: Home, run: Run) -> None:
    path = home.folder / "backfills/users_email/user.py"
    lines = path.read_text(encoding="utf-8") + "x = (\n"
    path.write_text(lines, encoding="utf-8")
    said = " ".join(refused(run, "apply", "users.mig", "--to", "expand", "--yes", code=2).split())
    fault = f"Python can't read it: line {len(lines.splitlines())}: '(' was never closed"
    assert f"backfills/users_email/user.py (changed by hand, and {fault})" in said
    assert "migdsl compile users.mig --force, which overwrites what was changed by hand" in said
    checked = run("compile", "users.mig", "--check")
    assert checked.code == 2
    assert fault in " ".join(checked.err.split())
    # What nobody edited is overwritten by a compile alone.
    assert run("compile", "users.mig", "--force").code == 0
    path.unlink()
    said = refused(run, "apply", "users.mig", "--to", "expand", "--yes", code=2)
    assert "backfills/users_email/user.py (missing)" in said
    assert "--force" not in said


def test_words_that_nobody_knows(home: Home, run: Run) -> None:
    said = refused(run, "apply", "users.mig", "--to", "enforc", "--yes", code=2)
    assert "users_email has no phase enforc" in said
    said = refused(run, "apply", "users.mig", "--to", "expand", "--yes", "--confirm", "stage_live", code=2)
    assert "stage_live is nothing that a person confirms here" in said
    assert refused(run, "apply", "users.mig", code=2).startswith("migdsl: apply needs a phase: ")
    said = refused(run, "status", "users.mig", "--url", "env:NOWHERE", code=3)
    assert "MIG730" in said
    said = refused(run, "status", "users.mig", "--url", "postgresql://me:s3cret@127.0.0.1:1/x", code=3)
    assert "MIG730" in said
    assert "s3cret" not in said


def test_a_revision_that_no_file_has(expanded: Home, run: Run) -> None:
    expanded.all("UPDATE alembic_version SET version_num = 'gone'")
    said = refused(run, "apply", "users.mig", "--to", "backfill", "--yes")
    assert "MIG740" in said
    assert "the database is at revision gone, and no file on disk has it" in said
    assert "MIG740" in refused(run, "status", "users.mig")


def test_one_process_at_a_time(expanded: Home, run: Run) -> None:
    with psycopg.connect(expanded.url) as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended('migdsl apply users_email', 7))")
        said = refused(run, "apply", "users.mig", "--to", "backfill", "--yes", "--confirm", "old_code_User")
        assert "another process is moving users_email already" in said
    apply(run, "backfill", "--confirm", "old_code_User")


def test_other_peoples_revisions(expanded: Home, run: Run) -> None:
    """One that came after ours isn't taken back with it; one that ours follow is run with it, and said."""
    versions = expanded.folder / "migrations/versions"
    (versions / "theirs.py").write_text(FOREIGN.format("users_email_expand"), encoding="utf-8")
    expanded.all("UPDATE alembic_version SET version_num = 'theirs'")
    said = refused(run, "rollback", "users.mig", "--to", "prepare", "--yes")
    assert "MIG741" in said
    assert "theirs would be taken back together with users_email_expand" in said
    assert expanded.head() == "theirs"
    assert '"phase": "expand"' in run("status", "users.mig", "--json").out


def test_a_chain_of_other_people_beside_ours_stays(expanded: Home, run: Run) -> None:
    """Alembic's `base` is that of all chains."""
    versions = expanded.folder / "migrations/versions"
    (versions / "theirs.py").write_text(FOREIGN.replace('"{}"', "None"), encoding="utf-8")
    expanded.all("CREATE TABLE theirs (id int); INSERT INTO alembic_version VALUES ('theirs')")
    ran = run("rollback", "users.mig", "--to", "prepare", "--yes")
    assert ran.code == 0, ran
    assert "alembic downgrade users_email_expand@base" in ran.out
    assert (expanded.head(), expanded.one("SELECT to_regnamespace('migdsl')")) == ("theirs", None)
    assert expanded.one("SELECT to_regclass('theirs')::text") == "theirs"


def test_the_way_back_below_those_who_rest_on_it(expanded: Home, run: Run) -> None:
    roll(run, "dualwrite", "all")
    said = refused(run, "rollback", "users.mig", "--to", "prepare", "--yes")
    assert "MIG741" in said
    assert "at prepare nobody may be further than off, and by the ledger all is dualwrite" in said
    assert "migdsl rollout users.mig --stage off --for all" in said
    assert expanded.head() == "users_email_expand"


def test_the_way_back_that_loses(home: Home, run: Run) -> None:
    text = home.source.read_text(encoding="utf-8")
    home.source.write_text(text.replace("change User {\n", "change User {\n  add nick text?\n"), encoding="utf-8")
    assert run("compile", "users.mig").code == 0
    apply(run, "expand", "--confirm", "watched")
    said = refused(run, "rollback", "users.mig", "--to", "prepare", "--yes")
    assert "What was written to User.nick is lost with the column" in said
    assert "--lose" in said
    assert home.head() == "users_email_expand"
    ran = run("rollback", "users.mig", "--to", "prepare", "--yes", "--lose")
    assert (ran.code, home.head()) == (0, None)


def test_an_environment_of_the_projects_own(home: Home, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is used as it is, its own version table too; one that is connected elsewhere is refused."""
    (home.folder / "alembic.ini").write_text(INI, encoding="utf-8")
    (home.folder / "alembic").mkdir()
    (home.folder / "alembic/env.py").write_text(ENV, encoding="utf-8")
    words = ("--alembic-config", "alembic.ini", "--confirm", "watched", "--yes")
    other = home.url.replace("migdsl_test_", "other_")
    name = other.split("@/")[1].split("?")[0]
    home.server.create_database(name)
    monkeypatch.setenv("THEIR_URL", other)
    said = refused(run, "apply", "users.mig", "--to", "expand", *words)
    home.server.drop_database(name)
    assert "the environment of alembic.ini is connected to another database than --url" in said
    monkeypatch.setenv("THEIR_URL", home.url)
    assert run("apply", "users.mig", "--to", "expand", *words).code == 0
    assert home.one("SELECT version_num FROM their_versions") == "users_email_expand"
    found = run("status", "users.mig", "--json", "--alembic-config", "alembic.ini")
    assert '"phase": "expand"' in found.out
    said = refused(run, "apply", "users.mig", "--to", "expand", "--alembic-config", "none.ini", code=2)
    assert "there is no file none.ini" in said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("os.environ['NO_SUCH_URL']", "KeyError of NO_SUCH_URL"),
        ("context.config.get_main_option('sqlalchemy.url')", "a URL's %40 is %%40 there"),
        ("raise ValueError('postgresql://app:hunter2-secret@db/shop')", "ValueError"),
        ("import sqlalchemy; sqlalchemy.create_engine('app:hunter2-secret@db/shop')", "ArgumentError"),
        ("import sqlalchemy; sqlalchemy.create_engine('nothing://app:hunter2-secret@db/shop')", "nothing"),
    ],
)
def test_what_their_environment_raises_never_quotes_the_url(home: Home, run: Run, line: str, said: str) -> None:
    url = "sqlalchemy.url = postgresql://app:hunter2-secret%40x@db/shop\n"
    (home.folder / "alembic.ini").write_text(INI + url, encoding="utf-8")
    (home.folder / "alembic").mkdir()
    (home.folder / "alembic/env.py").write_text(f"import os\nfrom alembic import context\n{line}\n", encoding="utf-8")
    ran = run("status", "users.mig", "--alembic-config", "alembic.ini")
    assert ran.code == 3, ran
    assert "MIG742" in ran.err
    assert said in ran.err
    assert "secret" not in ran.err + ran.out


def test_a_url_that_is_said_twice_is_not_shown(home: Home, run: Run) -> None:
    urls = ("--url", "postgresql://u:hunter2@h/db", "--url", "postgresql://u:hunter2@h/db")
    said = refused(run, "status", "users.mig", *urls, code=2)
    assert "twice" in said
    assert "hunter2" not in said


def test_a_revision_that_fails(home: Home, run: Run) -> None:
    home.all("ALTER TABLE users ADD COLUMN contact_email integer")
    ran = run("apply", "users.mig", "--to", "expand", "--yes", "--confirm", "watched")
    assert ran.code == 3, ran
    assert "MIG742" in ran.err
    assert home.head() is None
    home.all("ALTER TABLE users DROP COLUMN contact_email")
    apply(run, "expand", "--confirm", "watched")


def test_what_is_finished_is_history(home: Home, run: Run) -> None:
    text = home.source.read_text(encoding="utf-8")
    home.source.write_text(text.replace("change User", "finished 2027-02-01\n\nchange User"), encoding="utf-8")
    assert "is finished: it is history" in refused(run, "apply", "users.mig", "--to", "expand", "--yes", code=2)


@pytest.mark.slow
def test_the_way_back_below_enforce_is_what_the_refusals_say(home: Home, run: Run) -> None:
    """The flag first, whose earlier stage releases enforce no more; then the database, with the file that has to stay."""
    to_enforce(home, run)
    apply(run, "enforce")
    flag = ("rollout", "users.mig", "--stage", "dualwrite", "--for", "all")
    url, kept = ("--url", "env:DATABASE_URL"), ("--through", "enforce")
    said = " ".join(refused(run, "rollback", "users.mig", "--to", "backfill", "--yes").split())
    assert (
        f"first migdsl {' '.join(flag + kept)}; deploy the flag; migdsl rollout users.mig --record --through enforce"
        in said
    )
    assert "then migdsl rollback users.mig --to backfill --through enforce" in said
    assert "compile with --force instead of --through" in said
    assert "rollback users.mig --url env:DATABASE_URL --to cutover" in " ".join(refused(run, *flag, *url).split())
    for words in (
        (*flag, *kept, *url),
        ("rollout", "users.mig", "--record", *kept),
        ("rollback", "users.mig", "--to", "backfill", "--yes", *kept),
        ("compile", "users.mig", "--force"),
        ("compile", "users.mig", "--check"),
    ):
        ran = run(*words)
        assert ran.code == 0, ran
    assert home.head() == "users_email_expand"
    assert not (home.folder / "migrations/versions/users_email_enforce.py").exists()


@pytest.mark.slow
def test_behind_contract_the_database_goes_first(home: Home, run: Run) -> None:
    """Old code that is brought back finds nothing there, whether the revision's file stays or not."""
    to_live(home, run)
    to_the_end(home, run)
    flag = ("rollout", "users.mig", "--stage", "dualwrite", "--for", "all", "--url", "env:DATABASE_URL")
    for more in ((), ("--through", "contract")):
        said = " ".join(refused(run, *flag, *more).split())
        assert "MIG743" in said
        assert "contract, which this stage doesn't release any more" in said
        assert "--to enforce" in said
    said = " ".join(refused(run, "rollback", "users.mig", "--to", "backfill", "--yes").split())
    assert "help: first migdsl rollback users.mig --to enforce more:" in said
    ran = run("rollback", "users.mig", "--to", "enforce", "--yes")
    assert ran.code == 0, ran
    assert "--through enforce" in refused(run, "rollback", "users.mig", "--to", "backfill", "--yes")
