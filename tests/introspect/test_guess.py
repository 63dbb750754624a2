"""Guesses: names of entities, whose the rows are, what is personal."""

from __future__ import annotations

import pytest

from migdsl.introspect.guess import Scope, entity_names, rounded, sensitive, singular, tenancy
from migdsl.introspect.model import Catalog, Column, ForeignKey, Key, Table, TypeRef


def typed(text: str) -> TypeRef:
    return TypeRef(text, "pg_catalog", text)


def table(name: str, *columns: tuple[str, str], schema: str = "public", refs: tuple[ForeignKey, ...] = ()) -> Table:
    """A table with the key `id`; a type that ends with `?` is nullable."""
    made = (Column(n, typed(t.removesuffix("?")), t.endswith("?")) for n, t in (("id", "bigint"), *columns))
    return Table(schema, name, "r", None, tuple(made), Key(f"{name}_pkey", ("id",)), references=refs)


def pointing(column: str, to: str, on_delete: str | None = None) -> ForeignKey:
    return ForeignKey("f", (column,), "public", to, ("id",), on_delete)


def scopes(*tables: Table) -> dict[str, Scope]:
    found = tenancy(Catalog("d", 18, tables))
    assert found is not None
    return {place[1]: scope for place, scope in found.scopes.items()}


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        ("users", "user"), ("addresses", "address"), ("categories", "category"), ("boxes", "box"), ("status", "status"),
        ("people", "person"), ("news", "news"), ("analysis", "analysis"), ("bus", "bus"), ("Children", "Child"),
        ("class", "class"), ("batches", "batch"), ("ids", "ids"), ("series", "series"), ("houses", "house"),
    ],
)  # fmt: skip
def test_singular(plural: str, one: str) -> None:
    assert singular(plural) == one


def test_entity_names_are_unique_whatever_the_case() -> None:
    names = ["users", "user", "USERS", "order_items", "OrderItems", "1st", "x-y z", "名前", "---", "a" * 63]
    tables = [*(table(name) for name in names), table("users", schema="app"), table("orders", schema="größe")]
    found = entity_names(tables)
    assert len({name.casefold() for name in found.values()}) == len(tables)
    assert all(name.isidentifier() and len(name.encode()) <= 63 for name in found.values())
    assert found["app", "users"] == "AppUser"
    assert (found["public", "1st"], found["public", "x-y z"], found["größe", "orders"]) == ("T1st", "XYZ", "Order")


def test_a_tenant_id_is_a_boundary_and_what_hangs_on_it_is_within() -> None:
    found = scopes(
        table("tenants"),
        table("users", ("tenant_id", "uuid")),
        table(
            "posts",
            *(("user_id", "bigint"), ("editor", "bigint?")),
            refs=(pointing("editor", "users"), pointing("user_id", "users")),
        ),
        table("likes", ("post_id", "bigint"), refs=(pointing("post_id", "posts", "cascade"),)),
        table("loose", ("user_id", "bigint?"), refs=(pointing("user_id", "users"),)),
        table("maybe", ("tenant_id", "uuid?")),
        table("texts", ("tenant_id", "text")),
        table("more", ("tenant_id", "uuid")),
        table("countries"),
    )  # fmt: skip
    assert found["users"] == Scope("tenant", "tenant_id")
    assert found["posts"] == Scope("via", "user_id", ("public", "users"))
    assert found["likes"] == Scope("via", "post_id", ("public", "posts"))
    assert {found[name].kind for name in ("loose", "maybe", "texts", "countries")} == {"global"}
    assert "may be NULL" in found["maybe"].reason
    assert "is text here, and uuid elsewhere" in found["texts"].reason


def test_the_tenants_own_table_is_confined_by_its_key() -> None:
    refs = (pointing("account_id", "accounts"),)
    found = tenancy(
        Catalog("d", 18, (table("accounts"), *(table(f"t{i}", ("account_id", "bigint"), refs=refs) for i in range(3))))
    )
    assert found is not None
    assert (found.column, found.listing) == ("account_id", "SELECT id FROM public.accounts ORDER BY id")
    assert found.scopes["public", "accounts"] == Scope("tenant", "id")


def test_without_a_table_of_tenants_they_are_listed_from_where_they_stand() -> None:
    found = tenancy(Catalog("d", 18, (table("a", ("tenant_id", "uuid")), table("b", ("tenant_id", "uuid")))))
    assert found is not None
    assert found.listing == "SELECT DISTINCT tenant_id FROM public.a ORDER BY 1"


@pytest.mark.parametrize(
    "tables",
    [
        (),
        (table("a"), table("b")),
        (table("a", ("account_id", "bigint")), table("b"), table("c")),  # two of three have nothing to do with it
        (table("a", ("tenant_id", "uuid?")),),
        (table("a", ("tenant_id", "boolean")),),
    ],
)
def test_nothing_that_looks_like_a_boundary(tables: tuple[Table, ...]) -> None:
    assert tenancy(Catalog("d", 18, tables)) is None


@pytest.mark.parametrize(
    ("name", "kind", "found"),
    [
        ("email", "text", "pii"), ("work_email", "character varying(80)", "pii"), ("phoneNumber", "text", "pii"),
        ("first_name", "text", "pii"), ("lastName", "text", "pii"), ("name", "text", "pii"), ("ip", "inet", "pii"),
        ("date_of_birth", "date", "pii"), ("iban", "text", "pii"), ("home_address", "jsonb", "pii"), ("ssn", "bigint", "pii"),
        ("diagnosis", "text", "phi"), ("emails", "text[]", "pii"), ("email_verified", "boolean", None),
        ("email_count", "integer", None), ("created", "date", None), ("description", "text", None), ("skip", "text", None),
        ("email_id", "text", None), ("shipping", "text", None), ("ip", "integer", None),
        ("national_id", "text", "pii"), ("tax_id", "text", "pii"), ("vatId", "character varying(20)", "pii"),
        ("national_id", "bigint", "pii"), ("tax_ids", "text[]", "pii"), ("tax_id_type", "text", None),
        ("email_ids", "text[]", None), ("phone_id", "bigint", None), ("credit_card", "bigint", "pii"),
        ("credit_card_id", "bigint", None), ("card_number", "numeric(19,0)", "pii"), ("tax_id", "bigint", None),
        ("phones", "jsonb", "pii"), ("addresses", "jsonb", "pii"), ("ip_addresses", "inet[]", "pii"), ("ips", "inet[]", "pii"),
        ("first_names", "text[]", "pii"), ("names", "text[]", "pii"), ("diagnoses", "text[]", "phi"),
        ("drivers_license", "text", "pii"), ("drivers_licenses", "text[]", "pii"), ("news", "text", None),
        ("latitude", "double precision", "pii"), ("home_longitude", "numeric(9,6)", "pii"), ("latitude", "real", "pii"),
        ("latitude", "bigint", None), ("date_of_birth", "timestamp with time zone", "pii"), ("dob", "timestamp", "pii"),
        ("birth_date", "timestamp(3) without time zone", "pii"), ("birthday_mail_sent_at", "timestamp with time zone", None),
    ],
)  # fmt: skip
def test_what_sounds_personal(name: str, kind: str, found: str | None) -> None:
    assert sensitive(table("users"), Column(name, typed(kind), True)) == found


def test_a_name_is_personal_where_a_person_has_it() -> None:
    column = Column("name", typed("text"), True)
    assert sensitive(table("customers"), column) == "pii"
    assert sensitive(table("products"), column) is None


@pytest.mark.parametrize(
    ("rows", "first"),
    [(7, "7"), (999, "999"), (1234, "1.2k"), (512_345, "510k"), (5_120_000, "5.1M"), (3_000_000_000, "3G")],
)
def test_rows_are_rounded(rows: int, first: str) -> None:
    assert next(rounded(rows)) == first
