"""A catalogue becomes guesses that a person has to look at: entity names, tenants, and personal data."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from migdsl.dialect.names import qualified, quote
from migdsl.introspect.model import Catalog, Column, Table, TypeRef

Place = tuple[str, str]
# Surest first.
_TENANTS = (
    "tenant account organization organisation org workspace company customer team merchant shop store client".split()
)
_SUFFIXES = ("_id", "_uuid", "_key", "_uid", "id", "")
_IRREGULAR = {"people": "person", "children": "child", "men": "man", "women": "woman", "indices": "index"}
_UNCHANGED = frozenset("news series status data metadata media species analytics chaos alias".split())


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose a table's rows are: `kind` is tenant, via or global; `column` (and `parent`) lead to the tenant, or `reason`."""

    kind: str
    column: str = ""
    parent: Place = ("", "")
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Tenancy:
    """The tenant boundary: the usual column, its type, and the statement that lists the tenants."""

    column: str
    type: TypeRef
    listing: str
    scopes: Mapping[Place, Scope]


def tenancy(catalog: Catalog) -> Tenancy | None:
    """The likeliest boundary, or None where nothing looks like one."""
    best: tuple[int, int, str] | None = None
    candidates = _candidates(catalog)
    for column, rank in candidates.items():
        kind = _usual_type(catalog, column)
        scopes = _scopes(catalog, column, kind, _owner(catalog, column))
        confined = sum(scope.kind != "global" for scope in scopes.values())
        # A tenant_id is a boundary wherever it stands; an account_id may be anything unless most tables have it.
        if rank == 0 or 2 * confined >= len(catalog.tables) > 1:
            best = max(best or (-99, 0, ""), (-rank, confined, column))
    if best is None:
        return None
    column = best[2]
    kind = _usual_type(catalog, column)
    owner = _owner(catalog, column)
    return Tenancy(column, kind, _listing(catalog, column, kind, owner), _scopes(catalog, column, kind, owner))


def _candidates(catalog: Catalog) -> dict[str, int]:
    """Columns that may hold a tenant, each with its rank."""
    words = {word + suffix: rank for rank, word in enumerate(_TENANTS) for suffix in _SUFFIXES if word + suffix}
    present = {c.name for t in catalog.tables for c in t.columns if not c.nullable and _may_be_key(c.type)}
    return {name: words[name.lower()] for name in sorted(present) if name.lower() in words}


def _may_be_key(of: TypeRef) -> bool:
    return not of.array and of.text.split("(")[0] in (
        "uuid",
        "bigint",
        "integer",
        "smallint",
        "text",
        "character varying",
        "character",
    )


def _usual_type(catalog: Catalog, column: str) -> TypeRef:
    found = [c.type for t in catalog.tables for c in t.columns if c.name == column and not c.nullable]
    counts = Counter(kind.text for kind in found)
    text = min(counts, key=lambda each: (-counts[each], each))
    return next(kind for kind in found if kind.text == text)


def _owner(catalog: Catalog, column: str) -> tuple[Place, str] | None:
    """The table of the tenants and its key: what the column mostly refers to, else one of that name."""
    targets = Counter(
        ((k.schema, k.table), k.targets[0]) for t in catalog.tables for k in t.references if k.columns == (column,)
    )
    if targets:
        return min(targets, key=lambda each: (-targets[each], each))
    for table in catalog.tables:
        word = singular(table.name.lower())
        if word in _TENANTS and column.lower().startswith(word) and table.key and len(table.key.columns) == 1:
            return table.place, table.key.columns[0]
    return None


def _listing(catalog: Catalog, column: str, kind: TypeRef, owner: tuple[Place, str] | None) -> str:
    if owner is not None:
        key = quote(owner[1])
        return f"SELECT {key} FROM {qualified(*owner[0])} ORDER BY {key}"
    holders = [t for t in catalog.tables if any(_holds(c, column, kind) for c in t.columns)]
    smallest = min(holders, key=lambda t: (t.rows is None, t.rows or 0, t.place))
    return f"SELECT DISTINCT {quote(column)} FROM {qualified(*smallest.place)} ORDER BY 1"


def _holds(column: Column, name: str, kind: TypeRef) -> bool:
    return column.name == name and not column.nullable and _base(column.type) == _base(kind)


def _base(kind: TypeRef) -> str:
    return kind.text.split("(")[0]


def _scopes(catalog: Catalog, column: str, kind: TypeRef, owner: tuple[Place, str] | None) -> dict[Place, Scope]:
    scopes: dict[Place, Scope] = {}
    for table in catalog.tables:
        mine = owner[1] if owner is not None and owner[0] == table.place else column
        if any(_holds(c, mine, kind) for c in table.columns):
            scopes[table.place] = Scope("tenant", mine)
    tables = {t.place: t for t in catalog.tables}
    rest = [t for t in catalog.tables if t.place not in scopes]
    found = None
    while found != {}:
        found = {t.place: via for t in rest if (via := _via(t, tables, scopes))}
        scopes |= found
        rest = [t for t in rest if t.place not in found]
    return {t.place: scopes.get(t.place) or Scope("global", reason=_reason(t, column, kind)) for t in catalog.tables}


def _via(table: Table, tables: Mapping[Place, Table], scopes: Mapping[Place, Scope]) -> Scope | None:
    """The foreign key that leads to a confined table's key; one that is deleted along goes first."""
    required = {c.name for c in table.columns if not c.nullable}
    found = []
    for reference in table.references:
        parent = tables.get((reference.schema, reference.table))
        if parent is None or parent.key is None or parent.place not in scopes or parent.place == table.place:
            continue
        if (
            parent.key.columns == reference.targets
            and len(reference.columns) == 1
            and required.issuperset(reference.columns)
        ):
            found.append((reference.on_delete != "cascade", reference.columns[0], parent.place))
    return Scope("via", min(found)[1], min(found)[2]) if found else None


def _reason(table: Table, column: str, kind: TypeRef) -> str:
    own = table.column(column)
    if own is not None and own.nullable:
        return f"{column} may be NULL: some rows may have no tenant"
    if own is not None and _base(own.type) != _base(kind):
        return f"{column} is {own.type.text} here, and {kind.text} elsewhere"
    return "no column leads to a tenant"


def entity_names(tables: Iterable[Table]) -> dict[Place, str]:
    """A name for each table: singular, in CamelCase, unique also where upper and lower case are one."""
    tables = list(tables)
    plain = {t.place: _camel(t.name) for t in tables}
    counts = Counter(name.casefold() for name in plain.values())
    taken: set[str] = set()
    found = {}
    for table in tables:
        name = plain[table.place]
        if counts[name.casefold()] > 1:
            name = _cut(_camel(table.schema, one=False) + name) if table.schema != "public" else name
        number, unique = 2, name
        while unique.casefold() in taken:
            unique, number = f"{_cut(name, 58)}{number}", number + 1
        taken.add(unique.casefold())
        found[table.place] = unique
    return found


def entity_name(table: str) -> str:
    """A name for one table alone: singular, in CamelCase."""
    return _camel(table)


def _camel(name: str, *, one: bool = True) -> str:
    words = [w for w in re.split(r"[\W_]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)) if w]
    if words and one:
        words[-1] = singular(words[-1])
    joined = "".join(_capital(word) for word in words)
    return _cut(joined if joined and not joined[0].isdecimal() and joined.isidentifier() else f"T{joined}")


def _capital(word: str) -> str:
    first = word[0].upper()
    rest = word[1:].lower() if word.isupper() and len(word) > 3 else word[1:]
    return (first if len(first) == 1 else word[0]) + rest


def _cut(name: str, most: int = 63) -> str:
    return name.encode()[:most].decode("utf-8", "ignore")


def singular(word: str) -> str:
    """`addresses` → `address`; English, and only what is regular or often met."""
    low = word.lower()
    if low in _IRREGULAR:
        return word[0] + _IRREGULAR[low][1:]
    if low in _UNCHANGED or len(low) < 4 or not low.endswith("s") or low.endswith(("ss", "us", "is")):
        return word
    if low.endswith("ies"):
        return word[:-3] + "y"
    if low.endswith(("sses", "xes", "ches", "shes", "zzes")):
        return word[:-2]
    return word[:-1]


_PERSON = re.compile(
    r"user|customer|person|people|contact|employee|patient|member|guest|lead|subscriber|student|author|candidate|driver"
)
_PII = frozenset(
    "email mail phone mobile cell fax telephone tel address street postcode postal zip zipcode birthday birthdate birth dob "
    "ssn passport iban bic surname lastname firstname fullname nickname maiden gender ip latitude longitude "
    "username taxid vatid creditcard pan geolocation signature".split()
)
_PAIRS = frozenset(
    "first_name last_name full_name middle_name given_name family_name display_name user_name legal_name tax_id vat_id "
    "credit_card card_number bank_account account_number social_security national_id driver_license drivers_license "
    "license_number date_of_birth place_of_birth ip_address remote_addr mac_address".split()
)
_PHI = frozenset(
    "diagnosis diagnoses medication allergy allergies prescription icd10 bloodtype symptom symptoms".split()
)
_TEXTUAL = frozenset(["text", "character varying", "character", "name", "json", "jsonb", "bytea"])
_PLACES = frozenset(["inet", "cidr", "macaddr", "macaddr8", "point"])
_NUMBERS = frozenset("ssn phone mobile credit_card card_number national_id social_security".split())
_COORDINATES = frozenset(["latitude", "longitude", "geolocation"])
_BIRTHS = frozenset(["birth", "dob", "birthday", "birthdate"])
_MOMENTS = _BIRTHS | {"date", "day", "time", "datetime", "timestamp"}
_BESIDE = frozenset("id count verified type template subject status".split())  # such a column says something else of it
_SHORT = {"ids": "id", "ips": "ip"}


def sensitive(table: Table, column: Column) -> str | None:
    """`pii` or `phi` where a column's name sounds like it and its type could hold it."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column.name).lower()
    said = [word for word in re.split(r"[\W_]+", name) if word]
    words = [_SHORT.get(word) or singular(word) for word in said]
    if not _could_hold(column.type, words):
        return None
    if _PHI & {*said, *words}:
        return "phi"
    of_person = words == ["name"] and _PERSON.search(table.name.lower()) is not None
    return "pii" if _PII & set(words) or _PAIRS & _joined(words) or of_person else None


def _joined(words: list[str]) -> set[str]:
    """Each two and three words that stand beside each other."""
    return {"_".join(words[i : i + n]) for n in (2, 3) for i in range(len(words))}


def _could_hold(of: TypeRef, words: list[str]) -> bool:
    # The ID of an address is none, and yet a tax ID is one.
    if _BESIDE & set(words[-1:]) and "_".join(words[-2:]) not in _PAIRS:
        return False
    base = of.text.removesuffix("[]").split("(")[0]
    if base in _TEXTUAL or base in _PLACES or of.kind == "d" or of.name == "citext":
        return True
    if base == "date":
        return bool(_BIRTHS & set(words))
    if base.startswith("timestamp"):
        return bool(_BIRTHS & set(words) and _MOMENTS & set(words[-1:]))  # and not when birthday wishes were sent
    if base in ("numeric", "real", "double precision") and _COORDINATES & set(words):
        return True
    return base in ("bigint", "integer", "numeric") and bool(_NUMBERS & {*words, "_".join(words[-2:])})


def rounded(count: int) -> Iterator[str]:
    """A row count with two digits that matter, in the units of the language; the plainest spelling last."""
    digits = max(len(str(count)) - 2, 0)
    near = round(count, -digits) if count >= 1000 else count
    for unit, size in (("G", 1_000_000_000), ("M", 1_000_000), ("k", 1000)):
        if near >= size:
            yield f"{near / size:g}{unit}"
    yield str(near)
