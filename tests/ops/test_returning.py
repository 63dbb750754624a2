"""Old columns that nothing drops: what new code alone writes after contract stands in them on the way back."""

from __future__ import annotations

from tests.ops.story import SEED, Look, Story, Walk, change
from tests.ops.support import T1, USERS, USERS_DDL, mig

CONTACT = """add contact text {
  from `coalesce(email, username || '@example.com')`
  back email = `contact`
}"""
DDL = f"{USERS_DDL};{SEED}"
BOTH = "SELECT id, email, contact FROM users ORDER BY id"


def test_a_column_that_stays_gets_what_new_code_wrote_after_contract(walk: Walk):
    seen: dict[str, list] = {}

    def write(story: Story) -> None:
        story.execute("UPDATE users SET contact = 'new@x' WHERE id = 1")
        story.execute(f"INSERT INTO users (id, tenant_id, username, contact) VALUES (70, '{T1}', 'v', 'v@x')")
        seen["after"] = story.rows(BOTH)

    def back(story: Story) -> None:
        seen["back"] = story.rows(BOTH)
        # Old code's next write of another input starts from what stands there.
        story.execute("UPDATE users SET username = username || '!' WHERE id IN (1, 70)")
        seen["old"] = story.rows("SELECT id, email, contact FROM users WHERE id IN (1, 70) ORDER BY id")
        story.execute("DELETE FROM users WHERE id = 70")

    walk(mig(USERS, change(CONTACT)), DDL, looks={"contract": write, "back contract": back})
    was = {row[0]: row for row in seen["after"]}
    assert was[1] == (1, "e1@x", "new@x"), "nothing keeps it any more"
    now = {row[0]: row for row in seen["back"]}
    assert now == {**was, 1: (1, "new@x", "new@x"), 70: (70, "v@x", "v@x")}
    assert now[3] == (3, None, "u3@example.com"), "what `from` gives anyway stays as old code had it"
    assert seen["old"] == [now[1], now[70]]


def test_one_that_stays_and_one_that_is_dropped_come_back_together(walk: Walk):
    """All in one UPDATE: alone, the first would look like old code's half of the pair."""
    entity = USERS.replace("  email ", "  surname    text?\n  email ")
    ddl = DDL.replace("username text NOT NULL,", "username text NOT NULL, surname text,")
    operations = (
        """add full_name text {
  from `username || ' ' || coalesce(surname, '')`
  back username = `split_part(full_name, ' ', 1)`, surname = `split_part(full_name, ' ', 2)`
}""",
        CONTACT.replace("username || '@example.com'", "'none@x'"),
        "drop surname after 30d",
    )
    seen: dict[str, list] = {}

    def write(story: Story) -> None:
        story.execute("UPDATE users SET full_name = 'Ada Lovelace', contact = 'ada@x' WHERE id = 1")

    walk(
        mig(entity, change(*operations)),
        ddl,
        looks={"contract": write, "back contract": _look(seen, "SELECT * FROM (TABLE users) AS u WHERE id <= 2")},
    )
    rows = {row["id"]: row for row in seen["rows"]}
    ada = {"username": "Ada", "surname": "Lovelace", "full_name": "Ada Lovelace", "email": "ada@x", "contact": "ada@x"}
    assert {name: rows[1][name] for name in ada} == ada
    assert (rows[2]["username"], rows[2]["email"], rows[2]["contact"]) == ("u2", "e2@x", "e2@x")


def test_the_parts_of_a_name_lead_back_into_one_that_stays(walk: Walk):
    operations = (
        "add head text { from `left(username, 1)`; back username = `head || tail` }",
        "add tail text { from `substr(username, 2)` }",
    )
    seen: dict[str, list] = {}

    def write(story: Story) -> None:
        story.execute("UPDATE users SET tail = 'zz' WHERE id = 1")
        story.execute("UPDATE users SET head = 'w' WHERE id = 2")

    looks = {"contract": write, "back contract": _look(seen, "SELECT * FROM users WHERE id <= 3")}
    walk(mig(USERS, change(*operations)), DDL, looks=looks)
    assert {r["id"]: (r["username"], r["head"], r["tail"]) for r in seen["rows"]} == {
        1: ("uzz", "u", "zz"),
        2: ("w2", "w", "2"),
        3: ("u3", "u", "3"),
    }


def _look(seen: dict[str, list], query: str) -> Look:
    def look(story: Story) -> None:
        cursor = story.execute(query)
        names = [column.name for column in cursor.description or ()]
        seen["rows"] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    return look


def test_a_row_that_the_way_back_has_not_reached_keeps_what_new_code_wrote(walk: Walk):
    """The dropped column is there again, and empty; meanwhile new code changes another input of `from`."""
    seen: dict[str, list] = {}

    def write(story: Story) -> None:
        story.execute("UPDATE users SET contact = 'new@x' WHERE id = 1")

    def back(story: Story) -> None:
        trigger = '"~migdsl_m"'
        story.execute(f"ALTER TABLE users DISABLE TRIGGER {trigger}")
        story.execute("UPDATE users SET email = NULL WHERE id = 1")
        story.execute(f"ALTER TABLE users ENABLE ALWAYS TRIGGER {trigger}")
        story.execute("UPDATE users SET username = 'q' WHERE id = 1")
        seen["reached"] = story.rows("SELECT email, contact FROM users WHERE id = 1")
        story.execute("UPDATE users SET email = 'old@x' WHERE id = 1")
        seen["old"] = story.rows("SELECT email, contact FROM users WHERE id = 1")

    walk(mig(USERS, change(CONTACT, "drop email after 30d")), DDL, looks={"contract": write, "back contract": back})
    assert seen["reached"] == [(None, "new@x")]
    assert seen["old"] == [("old@x", "old@x")], "what old code writes of its own half is still carried over"
