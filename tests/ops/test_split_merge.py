"""`split` and `merge`: one column becomes several, several become one, there and back, with old and new code at work."""

from __future__ import annotations

from tests.ops.story import Story, Walk, both_versions, change, sees
from tests.ops.support import T1, T2, mig

PERSON = """
entity Person in app.people {
  id bigint key; tenant_id uuid tenant
  name text pii
  street text?; town text?
  index (tenant_id, id)
  index (name) as people_name_ix
}"""
DDL = f"""
CREATE TABLE people (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, name text NOT NULL, street text, town text);
CREATE INDEX ON people (tenant_id, id);
CREATE INDEX people_name_ix ON people (name);
INSERT INTO people VALUES (1, '{T1}', 'Ada Lovelace', 'Main St', 'London'), (2, '{T2}', 'Plato', NULL, NULL)"""
SPLIT = change(
    "drop index people_name_ix",
    """split name into first_name text pii, last_name text? pii {
    first_name = `split_part(name, ' ', 1)`
    last_name = `nullif(split_part(name, ' ', 2), '')`
    back `concat_ws(' ', first_name, last_name)`
  }""",
    entity="Person",
)
MERGE = change(
    """merge street, town into address text? {
    from `street || ', ' || town`
    back street = `split_part(address, ', ', 1)`, town = `split_part(address, ', ', 2)`
  }""",
    entity="Person",
)


@both_versions
def test_split(walk: Walk):
    def write(story: Story) -> None:
        story.execute(f"INSERT INTO people (id, tenant_id, name) VALUES (3, '{T1}', 'Alan Turing')")
        story.execute(
            f"INSERT INTO people (id, tenant_id, first_name, last_name) VALUES (4, '{T1}', 'Grace', 'Hopper')"
        )
        story.execute("UPDATE people SET last_name = 'King' WHERE id = 1")
        story.execute("UPDATE people SET name = 'Alan Kay' WHERE id = 3")

    split = [("Ada", "King"), ("Plato", None), ("Alan", "Kay"), ("Grace", "Hopper")]
    whole = [("Ada King",), ("Plato",), ("Alan Kay",), ("Grace Hopper",)]
    walk(
        mig(PERSON, SPLIT),
        DDL,
        looks={
            "expand": write,
            "backfill": sees("SELECT first_name, last_name FROM people ORDER BY id", *split),
            "contract": sees("SELECT first_name, last_name FROM people ORDER BY id", *split),
            "back contract": sees("SELECT name FROM people ORDER BY id", *whole),
            "back expand": sees("SELECT name FROM people ORDER BY id", *whole),
        },
    )


@both_versions
def test_merge(walk: Walk):
    def write(story: Story) -> None:
        story.execute(f"INSERT INTO people (id, tenant_id, name, street, town) VALUES (3, '{T1}', 'x', 'A', 'B')")
        story.execute(f"INSERT INTO people (id, tenant_id, name, address) VALUES (4, '{T1}', 'y', 'C, D')")
        story.execute("UPDATE people SET town = 'Rome' WHERE id = 1")
        story.execute("UPDATE people SET address = 'Academy, Athens' WHERE id = 2")

    parts = [("Main St", "Rome"), ("Academy", "Athens"), ("A", "B"), ("C", "D")]
    walk(
        mig(PERSON, MERGE),
        DDL,
        looks={
            "expand": write,
            "contract": sees(
                "SELECT address FROM people ORDER BY id", ("Main St, Rome",), ("Academy, Athens",), ("A, B",), ("C, D",)
            ),
            "back contract": sees("SELECT street, town FROM people ORDER BY id", *parts),
            "back expand": sees("SELECT street, town FROM people ORDER BY id", *parts),
        },
    )
