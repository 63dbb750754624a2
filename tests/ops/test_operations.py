"""Every operation, compiled, through Alembic and the generated jobs and back again, on a real PostgreSQL."""

from __future__ import annotations

import pytest
from alembic.util import CommandError

from tests.ops.story import SEED, Story, Walk, both_versions, change, column, sees
from tests.ops.support import CONTACT, T1, T2, USERS, USERS_DDL, mig


@both_versions
def test_the_example(walk: Walk):
    values = "SELECT id, email, contact_email FROM users ORDER BY id LIMIT 3"
    filled = [(1, "e1@x", "e1@x"), (2, "e2@x", "e2@x"), (3, None, "u3@example.com")]
    walk(
        mig(USERS, CONTACT),
        looks={
            "expand": sees(column("contact_email"), ("YES", None)),
            "backfill": sees(values, *filled),
            "enforce": sees(column("contact_email"), ("NO", None)),
            "contract": sees(
                "SELECT count(*) FROM pg_constraint WHERE conname = 'users_tenant_id_contact_email_key'", (1,)
            ),
            "back contract": sees(values, *filled[:2], (3, "u3@example.com", "u3@example.com")),
            "back expand": sees(column("contact_email")),
        },
    )


def test_add_a_nullable_column(walk: Walk):
    story = walk(mig(USERS, change("add note text?")), looks={"expand": sees(column("note"), ("YES", None))})
    assert story.revisions == ["m_expand"]


@pytest.mark.parametrize(
    ("added", "wanted"),
    [
        ('note text? default "it\'s"', ("YES", "'it''s'::text")),
        ("level integer default 3", ("NO", "3")),
        ("active bool default true", ("NO", "true")),
        ("since date default `date '2026-01-01'`", ("NO", "'2026-01-01'::date")),
    ],
)
def test_add_a_column_with_a_constant_default(walk: Walk, added: str, wanted: tuple[str, str]):
    name = added.split(maxsplit=1)[0]
    story = walk(mig(USERS, change(f"add {added}")), looks={"expand": sees(column(name), wanted)})
    assert story.revisions == ["m_expand"]


def test_add_a_column_that_is_computed_and_leads_nowhere_back(walk: Walk):
    walk(
        mig(USERS, change("add handle text { from `upper(username)` }")),
        looks={
            "backfill": sees("SELECT count(*) FROM users WHERE handle = upper(username)", (7,)),
            "enforce": sees(column("handle"), ("NO", None)),
            "contract": sees("SELECT count(*) FROM pg_trigger WHERE tgname LIKE '~migdsl%'", (0,)),
        },
    )


def test_the_default_of_a_filled_column_appears_in_contract_only(walk: Walk):
    silent = sees(column("handle"), ("YES", None))
    walk(
        mig(USERS, change("add handle text default `'none'` { from `lower(username)` }")),
        looks={
            "expand": silent,
            "backfill": silent,
            "enforce": sees(column("handle"), ("NO", None)),
            "contract": sees(column("handle"), ("NO", "'none'::text")),
            "back contract": sees(column("handle"), ("NO", None)),
        },
    )


@both_versions
def test_several_adds_and_a_drop_at_once(walk: Walk):
    text = mig(
        USERS,
        change(
            "add local text { from `split_part(coalesce(email, 'none@none'), '@', 1)` }",
            "add domain text? { from `split_part(email, '@', 2)`; back email = `local || '@' || domain` }",
            "add level integer default 1",
            "add note text?",
            "drop email after 30d",
        ),
    )
    walk(
        text,
        looks={
            "backfill": sees(
                "SELECT id, local, domain, level FROM users ORDER BY id LIMIT 3",
                (1, "e1", "x", 1),
                (2, "e2", "x", 1),
                (3, "none", None, 1),
            ),
            "back contract": sees("SELECT email FROM users ORDER BY id LIMIT 3", ("e1@x",), ("e2@x",), (None,)),
        },
    )


def test_require_with_from(walk: Walk):
    walk(
        mig(USERS, change("require email { from `coalesce(email, username || '@example.com')` }")),
        looks={
            "expand": sees(column("email"), ("YES", None)),
            "backfill": sees("SELECT count(*) FROM users WHERE email IS NULL", (0,)),
            "enforce": sees(column("email"), ("NO", None)),
        },
    )


def test_require_of_a_column_that_complies_already(walk: Walk):
    story = walk(
        mig(USERS, change('require email { complies because "the form demands it" }')),
        USERS_DDL + ";" + SEED.replace("CASE WHEN n % 3 > 0 THEN 'e' || n || '@x' END", "'e'"),
        looks={"validate": sees(column("email"), ("NO", None))},
    )
    assert story.revisions[-1] == "m_validate"


OPTIONAL_DDL = (
    USERS_DDL.replace("email text", "email text NOT NULL")
    + f"; INSERT INTO users (tenant_id, username, email) VALUES ('{T1}', 'a', 'a@x')"
)
OPTIONAL = USERS.replace("email      text?", "email      text")


@both_versions
def test_optional_with_a_way_back_refills_the_nulls(walk: Walk):
    def write(story: Story) -> None:
        assert story.rows(column("email")) == [("YES", None)]
        story.execute(f"INSERT INTO users (tenant_id, username) VALUES ('{T1}', 'n'), ('{T2}', 'm')")

    walk(
        mig(OPTIONAL, change("optional email { back `username || '@none'` }")),
        OPTIONAL_DDL,
        looks={
            "expand": write,
            "back expand": sees(
                "SELECT username, email FROM users ORDER BY username", ("a", "a@x"), ("m", "m@none"), ("n", "n@none")
            ),
        },
    )


def test_optional_without_a_way_back_says_so_and_refuses_where_nulls_were_written(walk: Walk):
    story = walk(mig(OPTIONAL, change("optional email")), OPTIONAL_DDL)
    story.upgrade()
    story.execute(f"INSERT INTO users (tenant_id, username) VALUES ('{T1}', 'n')")
    with pytest.raises(CommandError, match="is violated by some row"):
        story.downgrade()
    # The CHECK that could not be validated is gone again: new code goes on writing NULLs.
    story.execute(f"INSERT INTO users (tenant_id, username) VALUES ('{T1}', 'm')")
    story.execute("UPDATE users SET email = username || '@x' WHERE email IS NULL")
    story.downgrade()
    assert story.rows(column("email")) == [("NO", None)]


@both_versions
def test_drop_a_required_column_that_has_its_own_way_back(walk: Walk):
    def write(story: Story) -> None:
        story.execute(f"INSERT INTO users (tenant_id, username) VALUES ('{T2}', 'new')")
        assert story.rows("SELECT email FROM users WHERE username = 'new'") == [("new@x",)]

    walk(
        mig(OPTIONAL, change("drop email after 30d { back `username || '@x'` }")),
        OPTIONAL_DDL,
        looks={
            "expand": write,
            "contract": sees(column("email")),
            "back contract": sees("SELECT email FROM users ORDER BY username", ("a@x",), ("new@x",)),
        },
    )


def test_drop_without_a_way_back(walk: Walk):
    def write(story: Story) -> None:
        story.execute(f"INSERT INTO users (tenant_id, username) VALUES ('{T2}', 'new')")
        assert story.rows("SELECT email FROM users WHERE username = 'new'") == [(None,)]

    story = walk(
        mig(OPTIONAL, change('drop email after 30d irreversible because "unread since 2023"')), OPTIONAL_DDL, looks=None
    )
    before = story.dump()
    story.upgrade("m_expand")
    write(story)
    expanded = story.dump()
    story.stage("live")
    story.stage("complete")
    story.upgrade("m_contract")
    assert story.rows(column("email")) == []
    story.downgrade()
    # The column comes back as it was in expand, and empty: nothing knows its values.
    assert story.dump() == expanded
    assert story.rows("SELECT DISTINCT email FROM users") == [(None,)]
    story.execute("UPDATE users SET email = 'x'")
    story.downgrade()
    assert story.dump() == before


def test_an_expression_that_the_types_do_not_fit_leads_to_the_place_where_it_stands(walk: Walk):
    text = mig(USERS, change("add note text { from `username + 1` }"))
    story = walk(text, f"{USERS_DDL};{SEED}", looks=None)
    with pytest.raises(
        CommandError, match=r"operator does not exist: text \+ integer\nhint: migdsl check FILE --against"
    ):
        story.upgrade("m_expand")
