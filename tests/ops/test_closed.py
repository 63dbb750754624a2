"""Schemas that others may create in: a trigger with its owner's rights would find there what they have put there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.ops.moves import DDL, TEXT
from tests.ops.support import Connection, Migration, all_rows, ledger, lowered, one
from tests.ops.test_create_from import DDL as FILL_DDL
from tests.ops.test_create_from import TEXT as FILL_TEXT

ROLES = "migdsl_app, migdsl_boss, migdsl_has, migdsl_in"
TAKEN = "SELECT relname FROM pg_class WHERE relnamespace IN (to_regnamespace('sales'), to_regnamespace('public')) ORDER BY 1"


@pytest.fixture
def roles(connection: Connection) -> Iterator[None]:
    """`migdsl_has` owns the table, `migdsl_in` is one of its members, `migdsl_boss` may do all, and `migdsl_app` writes."""

    def drop() -> None:
        for role in ROLES.split(", "):
            if all_rows(connection, f"SELECT FROM pg_roles WHERE rolname = '{role}'"):
                connection.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}".encode())

    drop()
    connection.execute("CREATE ROLE migdsl_app; CREATE ROLE migdsl_boss SUPERUSER; CREATE ROLE migdsl_has")
    connection.execute("CREATE ROLE migdsl_in IN ROLE migdsl_has")
    yield
    drop()


def told(connection: Connection, text: str, ddl: str, open_: str) -> psycopg.errors.Diagnostic:
    """What expand says where somebody has been given a right, before it has changed anything."""
    connection.execute(f"{ddl}; {open_}".encode())
    migration = Migration(connection, lowered(text))
    ledger(connection)
    before = all_rows(connection, TAKEN)
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as raised:
        migration.up("expand")
    assert all_rows(connection, TAKEN) == before
    return raised.value.diag


EVERYBODY = "GRANT CREATE ON SCHEMA public TO PUBLIC"  # as it is up to PostgreSQL 14, and after an upgrade from there


@pytest.mark.usefixtures("roles")
@pytest.mark.parametrize(
    ("text", "ddl", "open_", "who", "way"),
    [
        (TEXT, DDL, EVERYBODY, "PUBLIC in schema public", "REVOKE CREATE ON SCHEMA public FROM PUBLIC"),
        (FILL_TEXT, FILL_DDL, EVERYBODY, "PUBLIC in schema public", "REVOKE CREATE ON SCHEMA public FROM PUBLIC"),
        (
            TEXT,
            DDL,
            "GRANT CREATE ON SCHEMA sales TO migdsl_app",
            "migdsl_app in schema sales",
            "REVOKE CREATE ON SCHEMA sales FROM migdsl_app",
        ),
    ],
)
def test_whoever_may_create_is_told(connection: Connection, text: str, ddl: str, open_: str, who: str, way: str):
    said = told(connection, text, ddl, open_)
    assert (said.message_primary or "").endswith(f" finds functions and operators: {who}")
    assert (said.message_hint or "").endswith(f"they put there: {way}")
    connection.execute(way.encode())
    Migration(connection, lowered(text)).up("expand")


@pytest.mark.usefixtures("roles")
def test_who_may_make_the_schema_may_put_something_there(connection: Connection):
    name = one(connection, "SELECT quote_ident(current_database())")[0]
    ddl = "CREATE SCHEMA app; ALTER TABLE customers SET SCHEMA app; DROP SCHEMA public"
    text = FILL_TEXT.replace("in app.customers", "in app.app.customers").replace(
        "in app.addresses", "in app.app.addresses"
    )
    said = told(connection, text, f"{FILL_DDL}; {ddl}", f"GRANT CREATE ON DATABASE {name} TO migdsl_app")
    assert (said.message_primary or "").endswith(f": migdsl_app in database {name}")
    connection.execute("CREATE SCHEMA public")
    Migration(connection, lowered(text)).up("expand")


@pytest.mark.usefixtures("roles")
def test_those_who_gain_nothing_by_it_may(expanded: Callable[..., Migration]):
    owned = f"{DDL}; ALTER TABLE orders OWNER TO migdsl_has; ALTER SCHEMA sales OWNER TO migdsl_app"
    expanded(TEXT, f"{owned}; GRANT CREATE ON SCHEMA public TO migdsl_has, migdsl_in, migdsl_boss")


@pytest.mark.usefixtures("roles")
@pytest.mark.parametrize(("text", "ddl"), [(TEXT, DDL), (FILL_TEXT, FILL_DDL)])
def test_no_trigger_with_its_owners_rights_finds_names_elsewhere(
    expanded: Callable[..., Migration], text: str, ddl: str
):
    """Expand asks of all that there is: whoever adds a schema to a path must ask of it too."""
    connection = expanded(text, ddl).connection
    paths = all_rows(
        connection,
        """SELECT p.proname, btrim(s.name) FROM pg_proc AS p CROSS JOIN LATERAL unnest(p.proconfig) AS c (setting)
            CROSS JOIN LATERAL unnest(string_to_array(split_part(c.setting, '=', 2), ',')) AS s (name)
            WHERE p.prosecdef AND c.setting LIKE 'search_path=%'""",
    )
    assert paths
    assert {name for _, name in paths} <= {"pg_catalog", "public", "sales", "pg_temp"}
    unset = "SELECT proname FROM pg_proc WHERE prosecdef AND NOT proconfig::text LIKE '%search_path=%'"
    assert all_rows(connection, unset) == []
