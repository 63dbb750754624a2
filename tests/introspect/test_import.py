"""A grown schema becomes a file that checks as it is, in which nothing of the schema is missing."""

from __future__ import annotations

import re

import psycopg
import pytest

from migdsl.formatting import format_source
from migdsl.introspect.connect import UnreadableError, address, reading
from migdsl.introspect.model import Catalog
from migdsl.introspect.read import selected
from migdsl.introspect.render import render
from migdsl.source import SourceFile
from migdsl.syntax import ast, lexis, parse
from migdsl.workspace import check
from tests.introspect.conftest import catalog_of

# What must be in the text, whoever reads the catalogue: names of all that stands in the database.
NAMES = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^(pg_|information_schema)' AND c.relkind IN ('r', 'p', 'v', 'm') AND c.relname !~ '^events_2025_'
UNION
SELECT a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^(pg_|information_schema)' AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
UNION
SELECT k.conname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^(pg_|information_schema)' AND NOT c.relispartition AND k.conparentid = 0 AND k.contype <> 'n'
  AND k.conname !~ '_(pkey|fkey)$' AND NOT (k.contype = 'u' AND cardinality(k.conkey) = 1 AND k.conname ~ '_key$')
UNION
SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^(pg_|information_schema)' AND NOT t.relispartition
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal
UNION SELECT polname FROM pg_policy
UNION SELECT stxname FROM pg_statistic_ext
UNION SELECT rulename FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE rulename <> '_RETURN' AND n.nspname !~ '^(pg_|information_schema)'
UNION
SELECT t.typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE n.nspname !~ '^(pg_|information_schema)' AND t.typtype IN ('e', 'd', 'c', 'r') AND (c.relkind IS NULL OR c.relkind = 'c')
"""


def test_a_hundred_tables_and_more(catalog: Catalog) -> None:
    assert len(catalog.tables) > 100


def test_the_file_checks_without_a_touch(text: str) -> None:
    found = check({"x.mig": text}, "x.mig")
    assert [(d.code, d.title) for d in found.diagnostics] == []
    assert found.module is not None
    assert len(found.module.tables) > 100


def test_it_is_laid_out_as_fmt_leaves_it(text: str) -> None:
    assert format_source(SourceFile("x.mig", text)).text == text


def test_nothing_is_passed_over_in_silence(nasty: str, text: str) -> None:
    with psycopg.connect(nasty) as connection:
        names = [row[0] for row in connection.execute(NAMES)]
    assert len(names) > 300
    missing = [name for name in names if not in_text(name, text)]
    assert missing == []


def in_text(name: str, text: str) -> bool:
    """As a word, quoted, or on a comment's one line."""
    quoted = '"' + name.replace('"', '""') + '"'
    return (
        any(spelt in text for spelt in (quoted, " ".join(name.split()))) or re.search(rf"\b{name}\b", text) is not None
    )


def test_the_same_database_gives_the_same_bytes(nasty: str, text: str) -> None:
    assert render(catalog_of(nasty), None) == text


OF_15 = (
    r"rounded +numeric\(3, -2\)\?$",
    r'unique \(tenant_id, "index"\) as order_lines_tenant_id_index_key +# nulls not distinct$',
)


@pytest.mark.parametrize(
    "line",
    [
        r"list `SELECT id FROM app.tenants ORDER BY id`  # guess",
        r"id +uuid +key tenant default `gen_random_uuid\(\)` +# guess",
        r"tenant_id +uuid +tenant -> Tenant.id on delete cascade +# guess",
        r"email +app.email\? +pii +# guess",
        r"last_ip +inet\? +pii +# guess",
        r"email_verified +boolean +default false$",
        r"state +app.state +default \"open\" +# enum: open, closed$",
        r'mood +enum mood\("sad", "it\'s \\"ok\\"", "back\\\\slash", "ünïcode", ""\)\? +default "it\'s \\"ok\\""$',
        r"updated_at +timestamptz\(3\)\?$",
        r"total +numeric\(12,2\) +default `0.00`$",
        r"months +interval year to month\?$",
        r"seconds +interval second\(3\)\?$",
        OF_15[0],
        r"mask +bit varying\(5\)\?$",
        r"bp +pg_catalog.bpchar\?$",
        r"neg +integer\? +default -1$",
        r"big +bigint\? +default 9223372036854775807$",
        r"moods +public.mood\[\]\?",
        r"pattern +text\? +default \"back\\\\slash\\nand line\"$",
        r"seq +bigint +identity +# starts with 100, by 10, cycles$",
        r'"back\\slash" +integer\?$',
        r'"index" +integer\?$',
        r"type +text\?$",
        r"key +\(tenant_id, order_number, line\)$",
        OF_15[1],
        r"\(tenant_id, order_number\) -> Order \(tenant_id, number\) on delete cascade$",
        r"\(tenant_id\) -> Tenant \(id\) as orders_tenant +# deferrable, initially deferred$",
        r"user_id +bigint +-> AppUser.id +# on update cascade$",
        r"index +\(tenant_id, created_at desc nulls last\) as users_recent include \(state\)$",
        r"unique \(tenant_id, `lower\(email::text\)`\) as users_email_lower where `email IS NOT NULL`$",
        r"index +\(settings jsonb_path_ops\) as users_settings using gin$",
        r"unique \(tenant_id, \"Version\", id\) as users_version +# a unique index, no constraint$",
        r"index +\(lower\(\"check\"\), upper\(default\)\) as order_lines_lower_upper_idx$",
        r"exclude using gist \(room with \"&&\", during with \"&&\"\) where `NOT isempty\(during\)` as no_overlap$",
        r"check `total >= 0::numeric AND currency ~ '\^\[A-Z\]\{3\}\$'::text` as orders_check +# not valid",
        r"check `note <> '``'::text` as \"a ``tick``\"$",
        r"# check `placed <= CURRENT_TIMESTAMP` as today$",
        r"tenant via user_id -> AppUser +# guess$",
        r"global because \"tenant_id may be NULL: some rows may have no tenant\" +# guess$",
        r"global because \"tenant_id is text here, and uuid elsewhere\" +# guess$",
        r"# app.log can't be declared: it has no primary key",
        r"# partitioned by RANGE \(at\): partitions events_2024, events_2025$",
        r"# row-level security is enabled, for its owner too: jobs need a role with BYPASSRLS$",
        r"# policy own_tenant: select$",
        r"# trigger users_touch: before update of email, phone, each row: app.touch, which sets updated_at, Version$",
        r"# read by app.user_names$",
        r"# inherits from app.vehicles$",
        r"# index failed is not valid",
        r"# materialized view app.totals$",
    ],
)
def test_lines(text: str, line: str, catalog: Catalog) -> None:
    if catalog.version < 15 and line in OF_15:
        return
    assert re.search(rf"^ *{line}", text, re.MULTILINE)


def test_entities_have_names_of_their_own(text: str) -> None:
    names = [e.name.text for e in parse(SourceFile("", text)).module.declarations if isinstance(e, ast.Entity)]
    assert len({name.casefold() for name in names}) == len(names)
    assert {"AppUser", "User", "User2", "T1st", "Country", "Straße", "名前", "MixedCaseOrderItem"} <= set(names)


def test_what_is_new_in_18_is_said(catalog: Catalog, text: str) -> None:
    if catalog.version < 18:
        assert "entity Lax" not in text
        return
    for line in (
        r"b +integer\? +# NOT NULL, not validated$",
        r"check `a > 0` as lax_a +# not enforced$",
        r"doubled +integer\? +generated `a \* 2` +# virtual: computed when read$",
        r"key +\(sku, valid\) +# without overlaps$",
        r"\(sku, valid\) -> Price \(sku, valid\) +# period$",
    ):
        assert re.search(rf"^ *{line}", text, re.MULTILINE), line


def test_a_part_of_the_database_keeps_names_and_guesses(catalog: Catalog, text: str) -> None:
    part = render(selected(catalog, ["app"], ["comments", "app.users"]), "APP_URL", catalog)
    assert check({"x.mig": part}, "x.mig").diagnostics == ()
    assert "url    env APP_URL" in part
    assert "entity AppUser in " in part
    assert "tenant via user_id -> AppUser" in part
    assert re.search(r"# foreign key users_tenant_id_fkey \(tenant_id\) is not declared: app.tenants", part)
    assert part.count("\nentity ") == 2


@pytest.mark.parametrize(
    ("schemas", "tables", "why"),
    [(["nope"], [], "schema `nope`"), ([], ["nope"], "table `nope`"), (["app"], ["public.user"], "none of these")],
)
def test_what_is_not_there_is_said(catalog: Catalog, schemas: list[str], tables: list[str], why: str) -> None:
    with pytest.raises(UnreadableError) as raised:
        selected(catalog, schemas, tables)
    assert why in raised.value.why
    assert raised.value.help


def test_an_empty_database(database: str) -> None:
    text = render(catalog_of(database), None)
    assert check({"x.mig": text}, "x.mig").diagnostics == ()
    assert "tenants" not in text


def test_a_database_without_tenants(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE countries (code text PRIMARY KEY); CREATE TABLE account_plans (id int PRIMARY KEY)"
        )
    text = render(catalog_of(database), None)
    assert check({"x.mig": text}, "x.mig").diagnostics == ()
    assert re.search(r"^tenants none because .*# guess$", text, re.MULTILINE)


def test_rows_are_estimated_and_rounded(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE few (id int PRIMARY KEY); INSERT INTO few SELECT generate_series(1, 7);"
            "CREATE TABLE many (id int PRIMARY KEY) PARTITION BY RANGE (id);"
            "CREATE TABLE many_1 PARTITION OF many FOR VALUES FROM (0) TO (1000);"
            "CREATE TABLE many_2 PARTITION OF many FOR VALUES FROM (1000) TO (10000);"
            "INSERT INTO many SELECT generate_series(1, 4123); CREATE TABLE none (id int PRIMARY KEY); ANALYZE"
        )
    text = render(catalog_of(database), None)
    few, many = re.findall(r"^ *rows +(\S+)$", text, re.MULTILINE)
    assert (few, lexis.count(many)) == ("7", 4100)
    assert check({"x.mig": text}, "x.mig").diagnostics == ()


def test_the_transaction_changes_nothing_and_waits_for_nobody_long(database: str) -> None:
    with psycopg.connect(database) as other:
        other.execute("CREATE TABLE held (id int PRIMARY KEY CHECK (id > 0))")
        other.commit()
        other.execute("LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
        try:
            answer = " ".join(t.name for t in catalog_of(database).tables)
        except UnreadableError as error:  # newer servers lock a table to print an expression
            answer = error.help
        other.rollback()
    assert answer == "held" or "somebody holds a lock" in answer
    with reading(address(database)) as session:
        assert session.one("SHOW transaction_read_only") == {"transaction_read_only": "on"}
        assert session.one("SHOW transaction_isolation") == {"transaction_isolation": "repeatable read"}
        assert session.one("SHOW lock_timeout") == {"lock_timeout": "2s"}
    with pytest.raises(UnreadableError, match="read-only"), reading(address(database)) as session:
        session.rows("DROP TABLE held")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:s3cr3t@/w0rd@localhost:1/db",
        "postgresql://user:s3cr3t/w0rd@localhost:1/db",
        "postgresql://user:s3cr3t@w0rd@localhost:1/db",
        "postgresql://user:w0rd/s3cr3t@localhost/db",
        "postgresql://user:s3cr3t?w0rd@localhost:1/db",
        "postgresql://user:s3cr3t@localhost:1/db",
        "postgresql://user:s3cr3t@no.such.host.invalid/db",
        "postgresql://user@localhost:1/db?password=s3cr3t",
        "host=localhost port=1 user=user password=s3cr3t",
        "host=localhost port=s3cr3t password=s3cr3t",
        "postgresql+psycopg://user:s3cr3t@localhost:1/db",
        "postgresql://user:s3cr3t@localhost:port/db",
        "mysql://user:s3cr3t@localhost/db",
        "s3cr3t",
    ],
)
def test_no_message_has_the_password(url: str) -> None:
    where = address(url)
    with pytest.raises(UnreadableError) as raised, reading(where):
        pass
    assert "s3cr3t" not in raised.value.why + raised.value.help + repr(where)
    assert "w0rd" not in raised.value.why
    assert raised.value.__context__ is None or raised.value.__suppress_context__  # nor has what a traceback shows


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(UnreadableError, match="NO_SUCH_URL is not set"):
        address("env:NO_SUCH_URL", {})
    assert address("env:A_URL", {"A_URL": "x"}).variable == "A_URL"


def test_a_role_without_any_right_reads_the_same(nasty: str, text: str) -> None:
    joint = "&" if "?" in nasty else "?"
    with psycopg.connect(nasty, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS migdsl_nobody; CREATE ROLE migdsl_nobody")
        assert render(catalog_of(f"{nasty}{joint}options=-c%20role%3Dmigdsl_nobody"), None) == text
        connection.execute("DROP ROLE migdsl_nobody")
