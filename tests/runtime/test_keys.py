"""Keys of every kind, and tables without tenants: each row is filled once, whatever its key looks like as text."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from migdsl.runtime import BackfillJob, main
from migdsl.runtime.jobs import parameter_names
from tests.runtime.conftest import ledger_statements

HOSTILE = "chr(9) || '\\' || chr(39) || '\"ü{}:x' || g"
# The order of a dictionary, where the server has one: it was built with ICU, or the machine has locales.
LINGUISTIC = """
SELECT quote_ident(collname) FROM pg_collation
 WHERE collname IN ('und-x-icu', 'en_US.utf8', 'de_DE.utf8', 'C.utf8') ORDER BY collname = 'C.utf8', collname DESC LIMIT 1"""
KINDS = {
    "bigint from the least": (("bigint",), "CASE g WHEN 0 THEN -9223372036854775808 ELSE g * 1000000007 END"),
    "uuid with nil": (
        ("uuid",),
        "CASE g WHEN 0 THEN '00000000-0000-0000-0000-000000000000' ELSE md5(g::text)::uuid END",
    ),
    "text": (("text",), f"CASE g WHEN 0 THEN '' ELSE {HOSTILE} END"),
    "collated text": (('text COLLATE "C"',), f"CASE g WHEN 0 THEN '' ELSE {HOSTILE} END"),
    "numeric": (("numeric",), "g * 1e25 + 0.000000000001"),
    "float": (("float8",), "exp(g / 7.0)"),
    "timestamptz": (("timestamptz",), "'2024-03-31 00:59:59.000001+00'::timestamptz + g * interval '61.5 minutes'"),
    "bytea": (("bytea",), "sha256(g::text::bytea)"),
    "composite": (("text", "int"), "CASE WHEN g % 2 = 0 THEN 'a' ELSE 'b''' END, g"),
    "text of another collation": (
        ("text COLLATE LINGUISTIC",),
        f"CASE g WHEN 0 THEN '' ELSE (ARRAY['a', 'A', 'ä', 'Z', 'é', 'ß', '-', ' ', '中', '😀'])[1 + g % 10] || {HOSTILE} END",
    ),
    "composite of mixed collations and types": (
        ("text COLLATE LINGUISTIC", "timestamptz", 'text COLLATE "C"'),
        "(ARRAY['b', 'B', 'ä', '-a'])[1 + g % 4], '-infinity'::timestamptz + interval '0' * g, md5(g::text)",
    ),
    "padded text": (("char(12)",), "g::text"),
    "numeric with NaN": (("numeric",), "CASE g WHEN 0 THEN 'NaN' WHEN 1 THEN '-Infinity' ELSE g / 3.0 END"),
    "float with its extremes": (
        ("float8",),
        "CASE g WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' WHEN 2 THEN 5e-324 ELSE -exp(g / 7.0) END",
    ),
    "moments without end": (
        ("timestamp",),
        "CASE g WHEN 0 THEN 'infinity' WHEN 1 THEN '-infinity' ELSE '4713-01-01 00:00:00 BC'::timestamp + g * interval '1 s' END",
    ),
    "interval": (("interval",), "g * interval '1 mon 2 days 00:00:00.000001'"),
    "address": (("inet",), "'10.0.0.0'::inet + g::int"),
    "three columns": (("date", "uuid", "bigint"), "date '2024-01-01' + (g % 3)::int, md5((g % 5)::text)::uuid, g"),
}
TENANTS = ("", "x'y", "ü")


def make_job(columns: int, *, tenants: bool) -> BackfillJob:
    key = tuple(f"k{n}" for n in range(columns))
    names, after, upto = ", ".join(f"t.{k}" for k in key), parameter_names("after", key), parameter_names("upto", key)
    after_row, upto_row = (", ".join(f":{name}" for name in bound) for bound in (after, upto))
    own = "t.tenant = :tenant_id" if tenants else "true"
    span = f"(({names}) > ({after_row}) OR :{after[0]} IS NULL) AND ({names}) <= ({upto_row})"
    descending = ", ".join(f"t.{k} DESC" for k in key)
    return BackfillJob(
        migration="m",
        backfill="thing.target",
        table="thing",
        database_env="UNUSED",
        key=key,
        tenants="SELECT unnest(ARRAY['', 'x''y', 'ü'])" if tenants else None,
        upper=f"SELECT {names} FROM thing AS t WHERE {own} ORDER BY {descending} LIMIT 1",
        next_bound=f"SELECT {names} FROM thing AS t WHERE {own} AND {span} ORDER BY {names} OFFSET :skip LIMIT 1",
        batch="UPDATE thing AS t SET target = t.source, writes = t.writes + 1"
        f" WHERE {own} AND {span} AND t.target IS NULL",
        count=f"SELECT count(*) FROM thing AS t WHERE {own} AND {span}",
        remaining=f"SELECT count(*) FROM thing AS t WHERE {own} AND t.target IS NULL",
    )


@pytest.mark.parametrize("tenants", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_every_row_is_filled_once(database: str, kind: str, tenants: bool, capsys: pytest.CaptureFixture[str]):
    types, values = KINDS[kind]
    names = ", ".join(f"k{n}" for n in range(len(types)))
    with psycopg.connect(database, autocommit=True) as connection:
        for ddl in ledger_statements():
            connection.execute(ddl)
        (collation,) = connection.execute(LINGUISTIC).fetchone() or ("",)
        typed = (type_.replace("LINGUISTIC", collation) for type_ in types)
        columns = ", ".join(f"k{n} {type_} NOT NULL" for n, type_ in enumerate(typed))
        # Settings under which the text form of a key would not read back, had the job not its own.
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET datestyle = 'SQL, DMY'")
        connection.execute(f"ALTER DATABASE {name} SET extra_float_digits = -10")
        connection.execute(f"CREATE TABLE thing (tenant text, {columns}, source int, target int, writes int DEFAULT 0)")
        connection.execute(f"ALTER TABLE thing ADD PRIMARY KEY (tenant, {names})")
        connection.execute(
            f"INSERT INTO thing SELECT (%s::text[])[1 + g %% 2], {values.replace('%', '%%')}, g"
            " FROM generate_series(0::bigint, 200) AS g",
            (list(TENANTS),),
        )
        # Slices of half a tenant: a bound is a key in the ledger, and comes back as what it was.
        job = replace(make_job(len(types), tenants=tenants), slice_rows=50)
        assert main(job, ["--url", database, "--batch", "17", "--duty", "1"]) == 0, capsys.readouterr()
        assert connection.execute("SELECT count(*) FROM thing WHERE target = source AND writes = 1").fetchone() == (
            201,
        )
        sums = "SELECT count(*), sum(rows_planned), sum(rows_scanned), sum(rows_changed) FROM migdsl.slice"
        assert connection.execute(sums).fetchone() == (6 if tenants else 5, 201, 201, 201)
        assert main(job, ["--url", database, "--again", "--duty", "1"]) == 0
        assert connection.execute("SELECT max(writes) FROM thing").fetchone() == (1,)


def test_tenants_of_a_table_without_tenants_are_refused(database: str, capsys: pytest.CaptureFixture[str]):
    with psycopg.connect(database, autocommit=True) as connection:
        for ddl in ledger_statements():
            connection.execute(ddl)
    assert main(make_job(1, tenants=False), ["--url", database, "--tenant", "t"]) == 2
    assert "--tenant" in capsys.readouterr().err
