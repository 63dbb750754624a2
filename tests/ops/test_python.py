"""A column that Python computes, there and back: old code's writes take its value out, new code's keep it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.ops import functions
from tests.ops.story import SEED, Story, Walk, both_versions, change, column, sees
from tests.ops.support import T1, T2, USERS, USERS_DDL, mig

USING = 'using python "tests.ops.functions:{}" from email, username'
ADD = "add email_key text pii { unique per tenant }"
KEYS = "SELECT email_key FROM users ORDER BY id"


def backfill(function: str = "email", *settings: str) -> str:
    lines = [USING.format(function), *settings]
    return "backfill User.email_key {\n" + "\n".join(lines) + "\n}"


def filled(story: Story) -> None:
    """Every row has the value of its own inputs."""
    wrong = "SELECT id FROM users WHERE email_key IS DISTINCT FROM username || ':' || lower(coalesce(email, 'nobody'))"
    assert story.rows(wrong) == []


def writes(story: Story) -> int:
    """How often old code was seen."""
    counted = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM migdsl.m_users_old_writes"
    return int(story.rows(counted)[0][0])


@both_versions
def test_there_and_back(walk: Walk):
    def old_and_new(story: Story) -> None:
        filled(story)
        before = writes(story)
        story.execute("UPDATE users SET email = 'OLD@x' WHERE id = 1")
        assert story.rows("SELECT email_key FROM users WHERE id = 1") == [(None,)]
        assert writes(story) == before + 1
        # The same value, named: this is how new code is known.
        with story.connection.transaction():
            story.execute("UPDATE users SET email = 'E2@X', email_key = 'u2:e2@x' WHERE id = 2")
            # The word of one row is not the next one's, in the same transaction.
            story.execute("UPDATE users SET email = 'E4@x' WHERE id = 4")
        assert story.rows("SELECT email_key FROM users WHERE id = 2") == [("u2:e2@x",)]
        assert story.rows("SELECT email_key FROM users WHERE id = 4") == [(None,)]
        story.execute("UPDATE users SET email = email WHERE id = 5")
        assert writes(story) == before + 2
        story.execute(f"INSERT INTO users (tenant_id, username, email) VALUES ('{T1}', 'late', 'L@x')")
        story.execute(f"INSERT INTO users (tenant_id, username, email_key) VALUES ('{T1}', 'new', 'new:nobody')")
        assert writes(story) == before + 3
        assert story.job("reconcile") == 1
        assert story.job("backfills", "--again") == 0
        filled(story)

    def enforced(story: Story) -> None:
        filled(story)
        before = writes(story)
        with pytest.raises(psycopg.errors.NotNullViolation):
            story.execute(f"INSERT INTO users (tenant_id, username) VALUES ('{T1}', 'too late')")
        story.execute("UPDATE users SET email = 'E7@X' WHERE id = 7")
        assert story.rows("SELECT email_key FROM users WHERE id = 7") == [("u7:e7@x",)]
        assert writes(story) == before + 2

    looks = {"backfill": old_and_new, "enforce": enforced, "contract": sees(column("email_key"), ("NO", None))}
    walk(mig(USERS, change(ADD), backfill()), looks=looks)


def test_that_may_stay_empty(walk: Walk):
    def look(story: Story) -> None:
        assert story.rows("SELECT id FROM users WHERE (email_key IS NULL) <> (email IS NULL)") == []
        before = writes(story)
        story.execute(f"INSERT INTO users (tenant_id, username) VALUES ('{T1}', 'none')")
        assert writes(story) == before
        assert story.job("reconcile") == 0
        story.execute("UPDATE users SET email = 'there' WHERE id = 3")
        assert story.job("reconcile") == 1
        assert story.job("backfills", "--again") == 0

    using = 'backfill User.email_key { using python "tests.ops.functions:rich" from email }'
    walk(mig(USERS, change("add email_key text? pii"), using), looks={"backfill": look})


def test_nulls_of_a_required_column(walk: Walk):
    using = 'backfill User.email { using python "tests.ops.functions:rich" from username }'
    filled_in = sees("SELECT email FROM users WHERE id = 3", ("u3",))
    required = sees(column("email"), ("NO", None))
    walk(mig(USERS, change("require email"), using), looks={"backfill": filled_in, "enforce": required})


def test_a_row_that_changes_while_python_thinks(walk: Walk):
    def thinking(story: Story) -> None:
        def meanwhile() -> None:
            with psycopg.connect(story.url, autocommit=True) as other:
                other.execute("UPDATE users SET email = 'MEANWHILE' WHERE id = 2")
                other.execute("UPDATE users SET email_key = 'its own' WHERE id = 4")

        functions.interrupts.append(meanwhile)

    def look(story: Story) -> None:
        wanted = [("u2:meanwhile",), ("its own",)]
        assert story.rows("SELECT email_key FROM users WHERE id IN (2, 4) ORDER BY id") == wanted

    walk(mig(USERS, change("add email_key text"), backfill()), looks={"expand": thinking, "backfill": look})


def test_newest_first(walk: Walk):
    ddl = f"{USERS_DDL};ALTER TABLE users ADD made date NOT NULL DEFAULT '2026-01-01';{SEED};"
    ddl += "UPDATE users SET made = date '2026-01-01' + (id * 5 % 7)::int"
    entity = USERS.replace("  unique", "  made date\n  unique")

    def look(story: Story) -> None:
        written = story.rows("SELECT made FROM users ORDER BY xmin::text::bigint, made DESC, id DESC")
        assert written == sorted(written, reverse=True)
        assert len(set(story.rows("SELECT xmin::text FROM users"))) > 3
        index = "SELECT indexdef FROM pg_indexes WHERE indexname = 'm_users_order_idx'"
        assert [d.split("btree ")[1] for (d,) in story.rows(index)] == ["(tenant_id, made, id)"]

    def gone(story: Story) -> None:
        assert story.rows("SELECT 1 FROM pg_indexes WHERE indexname = 'm_users_order_idx'") == []

    text = mig(
        entity,
        change("add nickname text { from `username || '!'` }"),
        "backfill User { batch 2 rows; order by made desc }",
    )
    walk(text, ddl, looks={"backfill": look, "contract": gone})


def test_a_row_that_python_refuses(walk: Walk, capfd: pytest.CaptureFixture[str]):
    story = walk(mig(USERS, change("add email_key text"), backfill("picky", "batch 4 rows")), looks=None)
    story.upgrade("m_expand")
    story.execute("UPDATE users SET email = 'bad@secret' WHERE id = 4")
    assert story.job("backfills") == 1
    assert story.rows("SELECT id FROM users WHERE email_key IS NULL") == [(4,)]
    entries = story.rows("SELECT row_key, error_class, template FROM migdsl.quarantine")
    assert entries == [(["4"], "ValueError", "tests.ops.functions:picky fails on the row")]
    ledger = story.rows("SELECT * FROM migdsl.slice") + story.rows("SELECT * FROM migdsl.event")
    said = capfd.readouterr()
    assert "secret" not in f"{said.out}{said.err}{ledger}{entries}"
    assert "ValueError" in said.out + said.err
    story.execute("UPDATE users SET email = 'good' WHERE id = 4")
    assert story.job("backfills", "--again") == 0
    filled(story)
    assert story.rows("SELECT row_key FROM migdsl.quarantine") == []


@pytest.mark.parametrize(("length", "code"), [(20, 0), (3, 1)])
def test_an_answer_too_long_is_refused_and_not_cut(walk: Walk, length: int, code: int):
    story = walk(mig(USERS, change(f"add email_key varchar({length})"), backfill()), looks=None)
    story.upgrade("m_expand")
    assert story.job("backfills") == code
    assert story.rows("SELECT count(*) FROM users WHERE email_key IS NULL") == [(7 * code,)]


MINE = """
from pathlib import Path

def email(rows):
    with Path("called").open("a") as file:
        file.write("x")
    return [row["username"] + ":" + (row["email"] or "nobody") for row in rows]
"""


def test_the_job_finds_the_application_where_it_is_run(walk: Walk):
    using = 'backfill User.email_key { using python "mine:email" from email, username; workers 2 }'
    story = walk(mig(USERS, change("add email_key text"), using), looks=None)
    story.upgrade("m_expand")

    def job(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(story.folder / "backfills/m/user.py"), "--url", story.url, *arguments]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    elsewhere = job(story.folder)
    assert elsewhere.returncode == 2
    assert "can't import mine:email (ModuleNotFoundError)" in elsewhere.stderr
    assert story.rows("SELECT count(*) FROM migdsl.slice") == [(0,)]
    (story.folder / "mine.py").write_text(MINE)
    assert job(story.folder, "--dry-run").returncode == 0
    assert not (story.folder / "called").exists()
    done = job(story.folder)
    assert done.returncode == 0, done.stderr
    filled(story)


@pytest.mark.parametrize("order", ["made", "made desc", "code desc"])
def test_an_order_beside_a_key_of_two(walk: Walk, order: str):
    """Rows of one moment are told apart by their key, and none is passed over."""
    entity = """
entity Line in app.lines {
  tenant_id uuid tenant; code text; number integer; made timestamptz; note text
  key (code, number)
}"""
    ddl = f"""
CREATE TABLE lines (tenant_id uuid NOT NULL, code text NOT NULL, number integer NOT NULL, made timestamptz NOT NULL,
                    note text NOT NULL, PRIMARY KEY (code, number));
INSERT INTO lines SELECT CASE WHEN n % 2 = 0 THEN '{T1}' ELSE '{T2}' END::uuid, chr(96 + n % 5), n,
                         timestamptz '2026-01-01' + (n % 3) * interval '1 s', 'n' || n FROM generate_series(1, 40) AS n"""

    def look(story: Story) -> None:
        assert story.rows("SELECT 1 FROM lines WHERE label IS DISTINCT FROM note || '!'") == []

    settings = f"backfill Line {{ batch 3 rows; order by {order} }}"
    adding = change("add label text { from `note || '!'` }", entity="Line")
    walk(mig(entity, adding, settings), ddl, looks={"backfill": look})
