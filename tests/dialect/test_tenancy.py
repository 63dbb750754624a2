"""The proof that a statement is confined to one tenant: what it must see, and what it must never believe."""

from __future__ import annotations

import pytest

from migdsl.dialect.boundary import Boundary, Way
from migdsl.dialect.pgquery import SqlError
from migdsl.dialect.sql import statement
from migdsl.dialect.tenancy import unconfined

# `users` and `inv` belong to tenants, `z` and `plans` to nobody, and `app.users` is another table of a tenant's.
BOUNDARY = Boundary(
    {("public", "users"): "tenant_id", ("public", "inv"): "tenant_id", ("app", "orders"): "org"},
    shared=frozenset([("public", "z"), ("public", "y"), ("public", "plans")]),
    schemas=frozenset(["migdsl"]),
)

CONFINED = (
    "SELECT * FROM users WHERE tenant_id = :tenant_id",
    "SELECT * FROM users u WHERE :tenant_id = u.tenant_id AND u.id > :after",
    "SELECT * FROM public.users WHERE public.users.tenant_id = :tenant_id",
    "SELECT * FROM users WHERE (tenant_id = :tenant_id::uuid) AND (name = 'x' OR true)",
    "SELECT * FROM users WHERE tenant_id = CAST(:tenant_id AS uuid)",
    "SELECT * FROM users WHERE tenant_id = :tenant_id::pg_catalog.uuid",
    'SELECT * FROM "users" "U" WHERE "U"."tenant_id" = :tenant_id',
    "TABLE z",
    "SELECT 1",
    "VALUES (1), (2)",
    "SELECT count(*) FROM pg_class, pg_catalog.pg_namespace, migdsl.slice, information_schema.columns",
    "SELECT * FROM users WHERE id > 1 AND FALSE",
    # Equality chains
    "SELECT * FROM users u, inv i WHERE u.tenant_id = i.tenant_id AND i.tenant_id = :tenant_id",
    "SELECT * FROM users u JOIN inv i ON i.tenant_id = u.tenant_id WHERE u.tenant_id = :tenant_id",
    "SELECT * FROM users u JOIN z ON z.a = u.tenant_id JOIN inv i ON i.tenant_id = z.a WHERE z.a = :tenant_id",
    "SELECT * FROM users JOIN inv USING (tenant_id) WHERE users.tenant_id = :tenant_id",
    "SELECT * FROM users JOIN inv USING (tenant_id) WHERE tenant_id = :tenant_id",
    "SELECT * FROM app.orders o JOIN users u ON u.tenant_id = o.org WHERE o.org = :tenant_id",
    # Outer joins
    "SELECT * FROM inv i LEFT JOIN users u ON u.tenant_id = :tenant_id WHERE i.tenant_id = :tenant_id",
    "SELECT * FROM users u RIGHT JOIN inv i ON u.tenant_id = i.tenant_id WHERE i.tenant_id = :tenant_id",
    "SELECT * FROM z LEFT JOIN users u ON true WHERE u.tenant_id = :tenant_id",
    "SELECT * FROM z FULL JOIN users u ON true WHERE u.tenant_id = :tenant_id",
    "SELECT * FROM z LEFT JOIN (users u JOIN inv i ON i.tenant_id = u.tenant_id) ON u.tenant_id = :tenant_id",
    (
        "SELECT * FROM z LEFT JOIN (users u JOIN inv i ON i.tenant_id = u.tenant_id AND u.tenant_id = :tenant_id)"
        " ON true"
    ),
    # Subqueries may rely on what is known around them
    (
        "SELECT * FROM users u WHERE u.tenant_id = :tenant_id AND EXISTS (SELECT 1 FROM inv i WHERE i.tenant_id ="
        " u.tenant_id)"
    ),
    "SELECT (SELECT count(*) FROM inv i WHERE i.tenant_id = u.tenant_id) FROM users u WHERE u.tenant_id = :tenant_id",
    (
        "SELECT * FROM users u, LATERAL (SELECT * FROM inv i WHERE i.tenant_id = u.tenant_id) l WHERE u.tenant_id"
        " = :tenant_id"
    ),
    "SELECT * FROM (SELECT * FROM users WHERE tenant_id = :tenant_id) s",
    "SELECT 1 FROM z GROUP BY (SELECT count(*) FROM users WHERE tenant_id = :tenant_id)",
    "WITH q AS (SELECT * FROM users WHERE tenant_id = :tenant_id) SELECT * FROM q",
    "WITH users AS (SELECT 1) SELECT * FROM users",
    (
        "WITH RECURSIVE q AS (SELECT id FROM users WHERE tenant_id = :tenant_id UNION ALL SELECT u.id FROM users"
        " u JOIN q ON q.id = u.parent WHERE u.tenant_id = :tenant_id) SELECT * FROM q"
    ),
    "SELECT id FROM users WHERE tenant_id = :tenant_id UNION SELECT id FROM inv WHERE tenant_id = :tenant_id",
    # Writes
    "UPDATE users SET a = 1 WHERE tenant_id = :tenant_id",
    "UPDATE users SET tenant_id = :tenant_id WHERE tenant_id = :tenant_id",
    "UPDATE users t SET a = i.x FROM inv i WHERE i.tenant_id = t.tenant_id AND :tenant_id = t.tenant_id",
    "DELETE FROM users USING inv WHERE inv.tenant_id = users.tenant_id AND inv.tenant_id = :tenant_id",
    "WITH d AS (DELETE FROM users WHERE tenant_id = :tenant_id RETURNING id) SELECT * FROM d",
    "INSERT INTO users (a, tenant_id) VALUES (1, :tenant_id), (2, :tenant_id)",
    "INSERT INTO users (a, tenant_id) SELECT a, :tenant_id FROM inv WHERE tenant_id = :tenant_id",
    "INSERT INTO users (a, tenant_id) VALUES (1, :tenant_id) ON CONFLICT DO NOTHING",
    "INSERT INTO z SELECT id FROM users WHERE tenant_id = :tenant_id",
    # No rows are read or written by whoever runs these
    "ALTER TABLE users ADD COLUMN x int",
    "CREATE INDEX CONCURRENTLY ON users (a)",
    "LOCK TABLE users IN ACCESS EXCLUSIVE MODE",
)

UNCONFINED = (
    "SELECT * FROM users",
    "SELECT * FROM public.users",
    'SELECT * FROM "users"',
    "TABLE users",
    "SELECT * FROM USERS",
    "SELECT * FROM ONLY users",
    # What looks like a predicate
    "SELECT * FROM users WHERE tenant_id = :other",
    "SELECT * FROM users WHERE tenant_id = tenant_id",
    "SELECT * FROM users WHERE id = :tenant_id",
    "SELECT * FROM users WHERE tenant_id = :tenant_id OR true",
    "SELECT * FROM users WHERE NOT tenant_id = :tenant_id",
    "SELECT * FROM users WHERE tenant_id <> :tenant_id",
    "SELECT * FROM users WHERE tenant_id >= :tenant_id",
    "SELECT * FROM users WHERE tenant_id = coalesce(:tenant_id, tenant_id)",
    "SELECT * FROM users WHERE tenant_id = ANY (ARRAY[:tenant_id, 'x'])",
    "SELECT * FROM users WHERE tenant_id IN (:tenant_id, 'x')",
    "SELECT * FROM users WHERE tenant_id LIKE :tenant_id",
    "SELECT * FROM users WHERE (tenant_id = :tenant_id) IS NOT TRUE",
    "SELECT * FROM users WHERE CASE WHEN tenant_id = :tenant_id THEN true ELSE true END",
    "SELECT * FROM users WHERE tenant_id OPERATOR(evil.=) :tenant_id",
    "SELECT * FROM users WHERE left(tenant_id::text, 3) = :tenant_id",
    "SELECT * FROM users WHERE tenant_id = :tenant_id::varchar(3)",
    'SELECT * FROM users WHERE tenant_id = :tenant_id::"char"',
    "SELECT * FROM users WHERE tenant_id = :tenant_id::evil.uuid",
    "SELECT * FROM users WHERE tenant_id::varchar(3) = :tenant_id",
    "SELECT * FROM users WHERE tenant_id = ':tenant_id'",
    "SELECT * FROM users WHERE tenant_id = $$:tenant_id$$",
    "SELECT * FROM users -- WHERE tenant_id = :tenant_id",
    "SELECT * FROM users /* WHERE tenant_id = :tenant_id */",
    "SELECT * FROM users WHERE tenant_id = (SELECT :tenant_id::uuid UNION SELECT id FROM z LIMIT 1)",
    "SELECT tenant_id = :tenant_id FROM users",
    "SELECT * FROM users HAVING max(tenant_id) = :tenant_id",
    "SELECT * FROM users TABLESAMPLE SYSTEM (1) WHERE tenant_id = :tenant_id",
    "SELECT * FROM users WHERE FALSE OR true",
    "SELECT * FROM users WHERE NOT FALSE",
    "SELECT (SELECT max(id) FROM users) FROM z WHERE FALSE",
    "SELECT * FROM users LEFT JOIN z ON FALSE",
    # Joins
    "SELECT * FROM users u LEFT JOIN inv i ON i.tenant_id = :tenant_id",
    "SELECT * FROM users u LEFT JOIN inv i ON i.tenant_id = :tenant_id AND u.tenant_id = :tenant_id",
    "SELECT * FROM users u FULL JOIN inv i ON i.tenant_id = u.tenant_id AND u.tenant_id = :tenant_id",
    "SELECT * FROM users u RIGHT JOIN inv i ON u.tenant_id = :tenant_id AND i.tenant_id = :tenant_id",
    "SELECT * FROM users u LEFT JOIN z ON z.a = :tenant_id WHERE u.tenant_id = z.a OR z.a IS NULL",
    "SELECT * FROM users u CROSS JOIN inv i WHERE u.tenant_id = :tenant_id",
    "SELECT * FROM users u NATURAL JOIN inv i WHERE u.tenant_id = :tenant_id",
    "SELECT * FROM users u JOIN inv i USING (id) WHERE u.tenant_id = :tenant_id",
    # Names that mean something else than they seem to
    "SELECT * FROM users AS u (tenant_id, id) WHERE u.tenant_id = :tenant_id",
    "SELECT * FROM users AS u (a, b), z WHERE tenant_id = :tenant_id",
    "SELECT 1 FROM users u WHERE u.tenant_id = :tenant_id AND EXISTS (SELECT 1 FROM users u)",
    (
        "SELECT 1 FROM users u WHERE u.tenant_id = :tenant_id AND EXISTS (SELECT 1 FROM z u, inv i WHERE"
        " i.tenant_id = u.tenant_id)"
    ),
    (
        "SELECT 1 FROM users u WHERE u.tenant_id = :tenant_id AND EXISTS (SELECT 1 FROM (SELECT a AS tenant_id"
        " FROM z) u, inv i WHERE i.tenant_id = u.tenant_id)"
    ),
    (
        "SELECT 1 FROM users f WHERE f.tenant_id = :tenant_id AND EXISTS (SELECT 1 FROM f(1), inv i WHERE"
        " i.tenant_id = f.tenant_id)"
    ),
    (
        "SELECT 1 FROM users u WHERE u.tenant_id = :tenant_id AND EXISTS (WITH u AS (SELECT a AS tenant_id FROM"
        " z) SELECT 1 FROM u, inv i WHERE i.tenant_id = u.tenant_id)"
    ),
    (
        "SELECT 1 FROM z a WHERE a.tenant_id = :tenant_id AND EXISTS (SELECT 1 FROM (users a JOIN y ON true) AS j"
        " WHERE a.tenant_id = :tenant_id)"
    ),
    (
        "SELECT 1 FROM inv a WHERE a.tenant_id = :tenant_id AND EXISTS (SELECT 1 FROM (z a JOIN y ON EXISTS"
        " (SELECT 1 FROM users i WHERE i.tenant_id = a.tenant_id)) AS j)"
    ),
    "SELECT 1 FROM z u WHERE EXISTS (SELECT 1 FROM y a JOIN y b ON u.tenant_id = :tenant_id, users u)",
    (
        "SELECT 1 FROM z u WHERE EXISTS (SELECT 1 FROM LATERAL (SELECT 1 FROM inv i WHERE i.tenant_id ="
        " u.tenant_id) s, users u WHERE u.tenant_id = :tenant_id)"
    ),
    "SELECT * FROM app.users, public.users WHERE app.users.tenant_id = :tenant_id",
    "SELECT * FROM users WHERE app.users.tenant_id = :tenant_id",
    "SELECT * FROM users u, (SELECT :tenant_id AS tenant_id) s WHERE s.tenant_id = :tenant_id",
    # Common table expressions
    "WITH q AS (SELECT * FROM users) SELECT * FROM q WHERE tenant_id = :tenant_id",
    "WITH users AS (SELECT * FROM users) SELECT * FROM users",
    "WITH a AS (SELECT * FROM users), users AS (SELECT 1) SELECT * FROM a",
    "WITH users AS (SELECT 1) SELECT * FROM public.users",
    "WITH users AS (SELECT 1) UPDATE users SET a = 1",
    "WITH users AS (SELECT 1) DELETE FROM users",
    "WITH users AS (SELECT 1) INSERT INTO users (a) SELECT 1",
    "WITH d AS (DELETE FROM users RETURNING *) SELECT * FROM d WHERE tenant_id = :tenant_id",
    "WITH d AS (UPDATE users SET a = 1 RETURNING *) SELECT 1",
    (
        "WITH RECURSIVE q AS (SELECT id FROM users WHERE tenant_id = :tenant_id UNION ALL SELECT u.id FROM users"
        " u JOIN q ON q.id = u.parent) SELECT * FROM q"
    ),
    # Subqueries in every clause
    "SELECT (SELECT count(*) FROM users)",
    "SELECT * FROM z WHERE id IN (SELECT id FROM users)",
    "SELECT * FROM z WHERE id = ANY (SELECT id FROM users)",
    "SELECT * FROM z WHERE EXISTS (SELECT FROM users)",
    "SELECT * FROM z ORDER BY (SELECT count(*) FROM users)",
    "SELECT 1 FROM z GROUP BY (SELECT count(*) FROM users)",
    "SELECT 1 FROM z GROUP BY ROLLUP ((SELECT count(*) FROM users))",
    "SELECT 1 FROM z HAVING (SELECT count(*) FROM users) > 1",
    "SELECT DISTINCT ON ((SELECT count(*) FROM users)) 1 FROM z",
    "SELECT sum(1) OVER (ORDER BY (SELECT count(*) FROM users)) FROM z",
    "SELECT sum(1) OVER w FROM z WINDOW w AS (PARTITION BY (SELECT count(*) FROM users))",
    "SELECT sum(1) FILTER (WHERE (SELECT count(*) FROM users) > 0) FROM z",
    "SELECT * FROM z LIMIT (SELECT count(*) FROM users)",
    "SELECT * FROM z OFFSET (SELECT count(*) FROM users)",
    "SELECT * FROM unnest(ARRAY(SELECT id FROM users)) f",
    "SELECT * FROM z TABLESAMPLE SYSTEM ((SELECT count(*) FROM users))",
    "SELECT * FROM z JOIN y ON (SELECT count(*) FROM users) > 1",
    "SELECT * FROM z LEFT JOIN y ON EXISTS (SELECT FROM users)",
    "VALUES ((SELECT count(*) FROM users))",
    "SELECT CASE WHEN EXISTS (SELECT FROM users) THEN ARRAY[(SELECT id FROM inv)] END",
    "SELECT 1 UNION SELECT id FROM users",
    "(SELECT 1 EXCEPT SELECT id FROM users) INTERSECT SELECT 2",
    "SELECT 1 UNION SELECT 2 ORDER BY (SELECT count(*) FROM users)",
    "SELECT * FROM (VALUES ((SELECT max(id) FROM users))) v",
    "SELECT * FROM z, LATERAL (SELECT * FROM users u WHERE u.id = z.id) l",
    "SELECT * FROM z FOR UPDATE OF z LIMIT (SELECT count(*) FROM users)",
    "DELETE FROM z WHERE id IN (SELECT id FROM users)",
    "DELETE FROM z RETURNING (SELECT count(*) FROM users)",
    "UPDATE z SET a = (SELECT max(id) FROM users)",
    "UPDATE z SET (a, b) = (SELECT id, id FROM users)",
    "UPDATE z SET a = 1 FROM users WHERE users.id = z.id",
    "UPDATE z SET a = 1 RETURNING (SELECT count(*) FROM users)",
    # Writes
    "UPDATE users SET a = 1 WHERE id > :after",
    "UPDATE users SET a = 1 WHERE CURRENT OF c",
    "UPDATE users SET tenant_id = 'x' WHERE tenant_id = :tenant_id",
    "UPDATE users SET (a, tenant_id) = (SELECT 1, a FROM z) WHERE tenant_id = :tenant_id",
    "UPDATE users u SET a = 1 FROM inv i WHERE i.tenant_id = :tenant_id AND u.id = i.id",
    (
        "UPDATE users u SET a = 1 FROM users v WHERE v.tenant_id = :tenant_id AND u.tenant_id = :tenant_id OR"
        " u.id = v.id"
    ),
    "DELETE FROM users",
    "DELETE FROM users USING inv WHERE inv.tenant_id = :tenant_id",
    "INSERT INTO users (a) VALUES (1)",
    "INSERT INTO users VALUES (1, :tenant_id)",
    "INSERT INTO users DEFAULT VALUES",
    "INSERT INTO users (a, tenant_id) VALUES (1, :tenant_id), (1, DEFAULT)",
    "INSERT INTO users (a, tenant_id) SELECT a, b FROM z",
    "INSERT INTO users (a, tenant_id, b) SELECT z.*, :tenant_id FROM z",
    "INSERT INTO users (a, tenant_id, b) SELECT (z).*, :tenant_id FROM z",
    "INSERT INTO users (a, tenant_id) SELECT 1, :tenant_id UNION SELECT 1, a FROM z",
    "INSERT INTO users (a, tenant_id) SELECT 1, :tenant_id FROM inv",
    "INSERT INTO users (a, tenant_id) VALUES ((SELECT max(id) FROM inv), :tenant_id)",
    "INSERT INTO users (a, tenant_id) VALUES (1, :tenant_id) ON CONFLICT (a) DO UPDATE SET a = 2",
    "INSERT INTO users (a, tenant_id) VALUES (1, :tenant_id) RETURNING (SELECT max(id) FROM inv)",
    "INSERT INTO z VALUES (1) ON CONFLICT (a) DO UPDATE SET a = (SELECT max(id) FROM users)",
    "MERGE INTO users USING z ON users.tenant_id = :tenant_id WHEN MATCHED THEN DELETE",
    "WITH m AS (MERGE INTO users USING z ON true WHEN MATCHED THEN DELETE RETURNING *) SELECT 1",
    "SELECT * INTO copied FROM users WHERE tenant_id = :tenant_id",
    # Statements that carry others, or whose effect can't be seen
    "TRUNCATE users",
    "TRUNCATE z, users",
    "COPY users TO STDOUT",
    "COPY users FROM STDIN",
    "COPY (SELECT * FROM users) TO STDOUT",
    "EXPLAIN ANALYZE DELETE FROM users",
    "PREPARE p AS SELECT * FROM users",
    "EXECUTE p",
    "DECLARE c CURSOR FOR SELECT * FROM users",
    "CREATE TABLE t AS SELECT * FROM users",
    "CREATE VIEW v AS SELECT * FROM users",
    "CREATE MATERIALIZED VIEW v AS SELECT * FROM users",
    "REFRESH MATERIALIZED VIEW v",
    "CREATE RULE r AS ON INSERT TO z DO ALSO DELETE FROM users",
    "DO $$ BEGIN DELETE FROM users; END $$",
    "CALL everything()",
    "SELECT query_to_xml('SELECT * FROM users', true, true, '')",
    "SELECT table_to_xml('users', true, true, '') WHERE :tenant_id IS NOT NULL",
    "SELECT * FROM dblink('SELECT * FROM users') AS t (id int)",
    # Relations that may be anything: a view, a partition, a table of the session's own, statistics with values in them
    "SELECT * FROM user_view WHERE tenant_id = :tenant_id",
    "SELECT * FROM users_p1 WHERE tenant_id = :tenant_id",
    "SELECT * FROM pg_temp.users WHERE tenant_id = :tenant_id",
    "SELECT * FROM other.users WHERE tenant_id = :tenant_id",
    "SELECT most_common_vals FROM pg_stats",
    "SELECT query FROM pg_catalog.pg_stat_activity",
    "SELECT * FROM pg_toast.pg_toast_1",
)


@pytest.mark.parametrize("sql", CONFINED)
def test_a_confined_statement_is_proven(sql):
    assert unconfined(statement(sql), BOUNDARY) == []


@pytest.mark.parametrize("sql", UNCONFINED)
def test_nothing_else_is(sql):
    assert unconfined(statement(sql), BOUNDARY)


@pytest.mark.parametrize("sql", [sql for sql in CONFINED if ":tenant_id" in sql])
def test_each_predicate_is_needed(sql):
    """Another parameter in the place of the tenant's: nothing is proven any more."""
    assert unconfined(statement(sql.replace(":tenant_id", ":other")), BOUNDARY)


def test_the_relation_and_its_place_are_named():
    text = "SELECT 'é' FROM users u JOIN inv i ON i.tenant_id = :tenant_id"
    (found,) = unconfined(statement(text), BOUNDARY)
    assert (found.relation, found.column) == ("users", "tenant_id")
    assert text.encode()[found.offset :].startswith(b"users u")


def test_one_name_in_two_schemas_is_proven_only_where_it_is_qualified():
    twice = Boundary({("a", "t"): "x", ("b", "t"): "y"})
    assert unconfined(statement("SELECT * FROM t WHERE x = :tenant_id"), twice)
    assert unconfined(statement("SELECT * FROM b.t WHERE x = :tenant_id"), twice)
    assert not unconfined(statement("SELECT * FROM b.t WHERE y = :tenant_id"), twice)


def test_another_name_of_the_parameter():
    boundary = Boundary(BOUNDARY.columns, parameter="who")
    assert not unconfined(statement("SELECT * FROM users WHERE tenant_id = :who"), boundary)
    assert unconfined(statement("SELECT * FROM users WHERE tenant_id = :tenant_id"), boundary)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM users WHERE tenant_id = $1",
        "SELECT a[1:n] FROM z",
        "SELECT CASE WHEN a THEN:b END FROM z",
        "",
        "SELECT 1; SELECT 2",
    ],
)
def test_what_the_runtime_would_read_otherwise_is_refused(sql):
    with pytest.raises(SqlError):
        statement(sql)


def test_a_statement_of_any_depth_is_answered():
    nested = "SELECT * FROM z WHERE " + "NOT (" * 200 + "EXISTS (SELECT FROM users)" + ")" * 200
    assert unconfined(statement(nested), BOUNDARY)
    deep = "SELECT * FROM " + "(SELECT * FROM " * 60 + "users" + ") s" * 60
    assert unconfined(statement(deep), BOUNDARY)


# `items` belong to the tenants of their `inv`, `bits` to those of their items.
BY_WAY = Boundary(
    BOUNDARY.columns,
    BOUNDARY.shared,
    ways={
        ("public", "items"): Way("inv_id", ("public", "inv"), "id"),
        ("public", "bits"): Way("item_id", ("public", "items"), "id"),
        ("public", "loop"): Way("up", ("public", "loop"), "id"),
    },
)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM items t JOIN inv p ON p.id = t.inv_id WHERE p.tenant_id = :tenant_id",
        "SELECT * FROM items t, inv p WHERE t.inv_id = p.id AND :tenant_id = p.tenant_id",
        "SELECT * FROM items JOIN public.inv ON inv.id = items.inv_id AND inv.tenant_id = :tenant_id",
        "SELECT * FROM inv p LEFT JOIN items t ON t.inv_id = p.id WHERE p.tenant_id = :tenant_id",
        "SELECT * FROM inv p WHERE p.tenant_id = :tenant_id AND EXISTS (SELECT FROM items t WHERE t.inv_id = p.id)",
        "SELECT * FROM bits b JOIN items t ON t.id = b.item_id JOIN inv p ON p.id = t.inv_id WHERE p.tenant_id = :tenant_id",
        (
            "SELECT * FROM bits b, items t, inv p, users u WHERE t.id = b.item_id AND p.id = t.inv_id"
            " AND p.tenant_id = u.tenant_id AND u.tenant_id = :tenant_id"
        ),
        "UPDATE items AS t SET x = 1 FROM inv AS p WHERE p.id = t.inv_id AND p.tenant_id = :tenant_id",
        (
            "UPDATE bits AS b SET x = 1 FROM items t JOIN inv p ON p.id = t.inv_id"
            " WHERE t.id = b.item_id AND p.tenant_id = :tenant_id"
        ),
        "DELETE FROM items t USING inv p WHERE p.id = t.inv_id AND p.tenant_id = :tenant_id",
        "SELECT * FROM items WHERE FALSE",
        "SELECT * FROM (SELECT t.* FROM items t JOIN inv p ON p.id = t.inv_id WHERE p.tenant_id = :tenant_id) s",
        "SELECT * FROM items t JOIN inv p ON p.id = t.inv_id WHERE p.tenant_id = :tenant_id FOR KEY SHARE OF p FOR SHARE OF t",
        # New rows, and such as get another owner, lead to a row of the tenant's.
        "INSERT INTO items (inv_id) SELECT p.id FROM inv p WHERE p.tenant_id = :tenant_id",
        "INSERT INTO items (x, inv_id) SELECT 1, t.inv_id FROM items t, inv p WHERE p.id = t.inv_id AND p.tenant_id = :tenant_id",
        (
            "INSERT INTO bits (item_id) SELECT b.item_id FROM bits b JOIN items t ON t.id = b.item_id"
            " JOIN inv p ON p.id = t.inv_id WHERE p.tenant_id = :tenant_id ON CONFLICT DO NOTHING"
        ),
        "INSERT INTO items (inv_id) SELECT p.id FROM inv p, z WHERE p.id = z.a AND p.tenant_id = :tenant_id",
        (
            "UPDATE items AS t SET inv_id = q.id FROM inv p, inv q"
            " WHERE p.id = t.inv_id AND p.tenant_id = :tenant_id AND q.tenant_id = p.tenant_id"
        ),
        (
            "WITH s AS (SELECT t.* FROM items t JOIN inv p ON p.id = t.inv_id WHERE p.tenant_id = :tenant_id)"
            " UPDATE items AS t SET inv_id = s.inv_id FROM inv p, s JOIN inv q ON q.id = s.inv_id"
            " WHERE p.id = t.inv_id AND p.tenant_id = :tenant_id AND q.tenant_id = :tenant_id"
        ),
    ],
)
def test_by_way_of_another_table(sql: str):
    assert unconfined(statement(sql), BY_WAY) == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM items",
        "SELECT * FROM items WHERE inv_id = :tenant_id",
        "SELECT * FROM items t JOIN inv p ON p.id = t.inv_id",
        "SELECT * FROM items t JOIN inv p ON p.id = t.id WHERE p.tenant_id = :tenant_id",
        "SELECT * FROM items t JOIN inv p ON p.other = t.inv_id WHERE p.tenant_id = :tenant_id",
        "SELECT * FROM items t JOIN users p ON p.id = t.inv_id WHERE p.tenant_id = :tenant_id",
        "SELECT * FROM items t LEFT JOIN inv p ON p.id = t.inv_id AND p.tenant_id = :tenant_id",
        "SELECT * FROM items t FULL JOIN inv p ON p.id = t.inv_id AND p.tenant_id = :tenant_id",
        "SELECT * FROM inv p RIGHT JOIN items t ON p.id = t.inv_id AND p.tenant_id = :tenant_id",
        "SELECT * FROM items t JOIN inv p ON p.id = t.inv_id OR p.tenant_id = :tenant_id",
        "SELECT * FROM items t JOIN inv p ON p.id = t.inv_id JOIN inv q ON q.tenant_id = :tenant_id",
        "SELECT * FROM items t WHERE t.inv_id IN (SELECT p.id FROM inv p WHERE p.tenant_id = :tenant_id)",
        "SELECT * FROM items t WHERE EXISTS (SELECT FROM inv p WHERE p.id = t.inv_id AND p.tenant_id = :tenant_id)",
        "SELECT * FROM bits b JOIN items t ON t.id = b.item_id JOIN inv p ON p.tenant_id = :tenant_id",
        "SELECT * FROM bits b JOIN inv p ON p.id = b.item_id WHERE p.tenant_id = :tenant_id",
        "WITH inv AS (SELECT 1 AS id) SELECT * FROM items t JOIN inv p ON p.id = t.inv_id AND p.tenant_id = :tenant_id",
        "SELECT * FROM items t JOIN inv AS p (tenant_id, id) ON p.id = t.inv_id WHERE p.tenant_id = :tenant_id",
        "SELECT * FROM items t, (SELECT id, tenant_id FROM z) AS inv WHERE inv.id = t.inv_id AND inv.tenant_id = :tenant_id",
        "UPDATE items AS t SET inv_id = 2 FROM inv AS p WHERE p.id = t.inv_id AND p.tenant_id = :tenant_id",
        "UPDATE items AS t SET x = 1 FROM inv AS p WHERE p.tenant_id = :tenant_id",
        "INSERT INTO items (inv_id) VALUES (1)",
        "INSERT INTO items (inv_id) SELECT p.id FROM inv p",
        "INSERT INTO items (inv_id) SELECT p.other FROM inv p WHERE p.tenant_id = :tenant_id",
        "INSERT INTO items (inv_id) SELECT p.id + 1 FROM inv p WHERE p.tenant_id = :tenant_id",
        "INSERT INTO items (inv_id) SELECT CAST(p.id AS smallint) FROM inv p WHERE p.tenant_id = :tenant_id",
        "INSERT INTO items (inv_id) SELECT u.id FROM users u WHERE u.tenant_id = :tenant_id",
        "INSERT INTO items (inv_id, x) SELECT 1, p.id FROM inv p WHERE p.tenant_id = :tenant_id",
        "INSERT INTO items (x, inv_id) SELECT z.*, p.id FROM z, inv p WHERE p.tenant_id = :tenant_id",
        "INSERT INTO items (x) SELECT p.id FROM inv p WHERE p.tenant_id = :tenant_id",
        "INSERT INTO items SELECT p.id FROM inv p WHERE p.tenant_id = :tenant_id",
        "INSERT INTO items (inv_id) SELECT p.id FROM inv p WHERE p.tenant_id = :tenant_id UNION SELECT 1",
        (
            "INSERT INTO items (inv_id) SELECT q.id FROM inv p LEFT JOIN inv q ON q.tenant_id = p.tenant_id"
            " WHERE p.tenant_id = :tenant_id"
        ),
        "INSERT INTO items (inv_id) SELECT p.id FROM inv p WHERE p.tenant_id = :tenant_id ON CONFLICT (id) DO UPDATE SET x = 1",
        "INSERT INTO items (inv_id) VALUES (:tenant_id)",
        "UPDATE items AS t SET inv_id = q.id FROM inv p, inv q WHERE p.id = t.inv_id AND p.tenant_id = :tenant_id",
        "UPDATE items AS t SET inv_id = t.x FROM inv AS p WHERE p.id = t.inv_id AND p.tenant_id = :tenant_id",
        "SELECT * FROM items t JOIN inv p ON p.id = t.inv_id FOR SHARE OF t",
        "SELECT * FROM loop a JOIN loop b ON b.id = a.up AND a.id = b.up",
    ],
)
def test_not_by_this_way(sql: str):
    found = {f.relation for f in unconfined(statement(sql), BY_WAY)}
    assert found & {"items", "bits", "loop"}  # not its parent alone
    assert found <= {"items", "bits", "loop", "inv"}


def test_what_would_lead_to_the_tenant_is_said():
    (found,) = unconfined(statement("SELECT * FROM items"), BY_WAY)
    assert (found.relation, found.column, found.parent, found.key) == ("items", "inv_id", "inv", "id")


# `cases` hold what `items` hold, in the same moment: rows that have one `inv` in both.
EQUAL = Boundary(
    {**BOUNDARY.columns, ("public", "stock"): "tenant_id"},
    BOUNDARY.shared,
    ways={
        ("public", "items"): Way("inv_id", ("public", "inv"), "id", twin=(("public", "stock"), "no")),
        ("public", "cases"): Way("stock_no", ("public", "stock"), "no", twin=(("public", "inv"), "id")),
    },
)


@pytest.mark.parametrize(
    ("sql", "proven"),
    [
        ("INSERT INTO cases (stock_no) SELECT t.inv_id FROM items t JOIN inv p ON p.id = t.inv_id WHERE {}", True),
        ("INSERT INTO cases (stock_no) SELECT t.inv_id FROM items t JOIN inv p ON p.no = t.inv_id WHERE {}", False),
        (
            "INSERT INTO cases (stock_no) SELECT t.stock_no FROM cases t JOIN stock p ON p.no = t.stock_no WHERE {}",
            True,
        ),
        (
            "INSERT INTO cases (stock_no) SELECT t.stock_no FROM cases t JOIN stock p ON p.id = t.stock_no WHERE {}",
            False,
        ),
        ("SELECT 1 FROM inv p WHERE {} AND EXISTS (SELECT FROM cases n WHERE n.stock_no = p.id)", True),
        ("SELECT 1 FROM inv p WHERE {} AND EXISTS (SELECT FROM cases n WHERE n.id = p.id)", False),
        ("SELECT 1 FROM users p WHERE {} AND EXISTS (SELECT FROM cases n WHERE n.stock_no = p.id)", False),
    ],
)
def test_a_twin_tells_whose_the_other_is(sql: str, proven: bool):
    confined = sql.format("p.tenant_id = :tenant_id")
    assert (unconfined(statement(confined), EQUAL) == []) is proven
    assert unconfined(statement(sql.format("TRUE")), EQUAL)
