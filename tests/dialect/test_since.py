"""SQL becomes what of it an older PostgreSQL hasn't got."""

from __future__ import annotations

import pytest

from migdsl.dialect.since import newer


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("regexp_count(a, 'x')", [("regexp_count()", 15)]),
        ("PG_CATALOG.Regexp_Like(a, 'x')", [("regexp_like()", 15)]),
        ("app.casefold(a)", []),
        ("casefold(a) || ' uuidv7()'", [("casefold()", 18)]),
        ("random(1, 6)", [("random() between two bounds", 17)]),
        ("a AT TIME ZONE 'UTC'", []),
        ("timezone(a)", []),
        ("a AT LOCAL", [("AT LOCAL", 17)]),
        ("a IS JSON OBJECT", [("IS JSON", 16)]),
        ("a::json -> 'json'", []),
        ("json_object(array['a', 'b'])", []),
        ("json_object('a': b)", [("JSON_OBJECT", 16)]),
        ("json_arrayagg(a)", [("JSON_ARRAYAGG", 16)]),
        ("json_scalar(a)", [("JSON_SCALAR", 17)]),
        ("json_exists(a, '$.b')", [("JSON_EXISTS", 17)]),
        ("a + 1_000", [("the number 1_000", 16)]),
        ("a + 0x1F", [("the number 0x1F", 16)]),
        ("a1_000 + 1000", []),
        ("'1_000'", []),
        ("SELECT a FROM (SELECT 1 AS a)", [("a subquery in FROM without a name", 16)]),
        ("SELECT a FROM (SELECT 1 AS a) AS b, (VALUES (1)) AS c", []),
        ("MERGE INTO a USING b ON a.id = b.id WHEN MATCHED THEN DELETE", [("MERGE", 15)]),
        (
            "MERGE INTO a USING b ON a.id = b.id WHEN NOT MATCHED BY SOURCE THEN DELETE",
            [("MERGE", 15), ("MERGE with NOT MATCHED BY SOURCE", 17)],
        ),
        (
            "MERGE INTO a USING b ON a.id = b.id WHEN MATCHED THEN DELETE RETURNING a.id",
            [("MERGE", 15), ("MERGE with RETURNING", 17)],
        ),
        ("SELECT * FROM json_table(:doc, '$[*]' COLUMNS (a int)) AS t", [("JSON_TABLE", 17)]),
        ("merge +", []),
    ],
)
def test_what_is_newer_than_the_oldest(text: str, told: list[tuple[str, int]]):
    assert [(found.what, found.version) for found in newer(text, 14)] == told
    for version in range(15, 19):
        assert [(f.what, f.version) for f in newer(text, version)] == [each for each in told if each[1] > version]


def test_it_is_found_where_it_stands():
    text = "coalesce(b, 'regexp_count') || REGEXP_COUNT(a, 'x')"
    (found,) = newer(text, 14)
    assert text[found.start : found.end] == "REGEXP_COUNT"
