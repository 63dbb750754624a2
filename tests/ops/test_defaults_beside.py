"""A `default` beside another operation on the same column: both are done, and both come back."""

from __future__ import annotations

from tests.ops.story import Story, Walk, change, column, sees
from tests.ops.support import T1, mig

PERSON = """
entity Person in app.people {
  id        bigint key
  tenant_id uuid   tenant
  first     text?  default "?"
  last      text?
  state     text   default "new"
  note      text?
  index (tenant_id, id)
}"""
DDL = f"""
CREATE TABLE people (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, first text DEFAULT '?', last text,
                     state text NOT NULL DEFAULT 'new', note text);
CREATE INDEX ON people (tenant_id, id);
INSERT INTO people (id, tenant_id, first, last) SELECT n, '{T1}', 'f' || n, 'l' || n FROM generate_series(1, 5) AS n;
"""


def person(*operations: str) -> str:
    return mig(PERSON, change(*operations, entity="Person"))


def test_default_and_optional(walk: Walk):
    asked, before = column("state", "people"), ("NO", "'new'::text")
    both = sees(asked, ("YES", "'fresh'::text"))
    walk(
        person('default state "fresh"', "optional state { back `'none'` }"),
        DDL,
        {"expand": both, "back expand": sees(asked, before)},
    )


def test_default_and_require(walk: Walk):
    asked = column("note", "people")

    def written(story: Story) -> None:
        story.execute(f"INSERT INTO people (id, tenant_id) VALUES (9, '{T1}')")
        assert story.rows("SELECT note FROM people WHERE id = 9") == [("plain",)]

    walk(
        person("require note { from `'none'` }", 'default note "plain"'),
        DDL,
        {
            "expand": written,
            "enforce": sees(asked, ("NO", "'plain'::text")),
            "back enforce": sees(asked, ("YES", "'plain'::text")),
            "back expand": sees(asked, ("YES", None)),
        },
    )


def test_a_dropped_default_lets_a_merge_tell_null_from_silence(walk: Walk):
    def silent(story: Story) -> None:
        story.execute(f"INSERT INTO people (id, tenant_id, label) VALUES (9, '{T1}', NULL), (10, '{T1}', 'a b')")
        asked = "SELECT first, last, label FROM people WHERE id > 8 ORDER BY id"
        assert story.rows(asked) == [(None, None, None), ("a", "b", "a b")]
        story.execute("DELETE FROM people WHERE id > 8")

    merge = """merge first, last into label text? {
      from `first || ' ' || last`
      back first = `split_part(label, ' ', 1)`, last = `split_part(label, ' ', 2)`
    }"""
    asked = column("first", "people")
    walk(
        person(merge, "drop default first"),
        DDL,
        {
            "expand": silent,
            "contract": sees(asked),
            "back contract": sees(asked, ("YES", None)),
            "back expand": sees(asked, ("YES", "'?'::text")),
        },
    )
