"""Random entities under nasty names, and random legal operations on them, become `.mig` text."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from tests.conftest import ENGINE

# Words of SQL, of PL/pgSQL, of the language and of our own templates; quotes, percent signs, braces, length, other letters.
NAMES = (
    "order", "user", "select", 'a"b', "it's", "ünïcode", "Mixed Case", "x" * 63, "loop", "%s", "100%", "a:b", "{x}", "$$",
    "back\\slash", "tries", "new", "old", "t", "p", "u", "given", "add", "drop", "key", "tenant", "from", "index", "end", "名前",
    "value", "a", "a_b", "a_b_c", "-- no", "/* c */", "$migdsl$", "id_", "null", "true", "default", "E'x'", ";",
)  # fmt: skip
TYPES = {
    "text": ("text", "'-'"),
    "varchar(20)": ("text", "'-'"),
    "integer": ("bigint", "0"),
    "smallint": ("integer", "0"),
    "bigint": ("numeric(20, 0)", "0"),
    "numeric(10, 2)": ("numeric(12, 2)", "0.5"),
    "boolean": ("text", "false"),
    "date": ("timestamp", "date '2020-01-01'"),
    "uuid": ("text", "'00000000-0000-0000-0000-000000000001'::uuid"),
}


@dataclass(frozen=True)
class Column:
    """A column of the entity: its name, its type as written, whether it may be NULL."""

    name: str
    type: str
    nullable: bool

    @property
    def text(self) -> str:
        return f"  {q(self.name)} {self.type}{'?' if self.nullable else ''}"


def q(name: str) -> str:
    """A name in the language, and in SQL."""
    return '"' + name.replace('"', '""') + '"'


def s(name: str) -> str:
    """A name inside backticks of SQL."""
    return q(name).replace("`", "``")


@st.composite
def migrations(draw: st.DrawFn) -> str:
    """A whole file: one table with up to six columns, each of which at most one operation changes."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=9, max_size=16, unique=True))
    table, tenant, key, *rest = names
    count = draw(st.integers(1, min(6, len(rest) - 3)))
    types = draw(st.lists(st.sampled_from(sorted(TYPES)), min_size=count, max_size=count))
    columns = [Column(name, type_, draw(st.booleans())) for name, type_ in zip(rest, types, strict=False)]
    fresh = rest[count:]
    key_type = draw(st.sampled_from(["bigint", "uuid", "text"]))
    lines = [f"  {q(key)} {key_type} key", f"  {q(tenant)} uuid tenant", *(c.text for c in columns)]
    if draw(st.booleans()):
        lines.append(f"  index ({q(tenant)}, {q(key)})")
    operations = []
    for column in columns:
        operations += draw(_operation(tenant, column, fresh))
    operations += draw(
        st.lists(st.sampled_from(['  comment "it\'s %s"', "  replica identity full"]), unique=True, max_size=2)
    )
    if not operations:
        operations = ['  comment "only"']
    return (
        'migration m { ticket "MIG-1" }\n'
        f"database app {{ engine postgresql {ENGINE}; url env DATABASE_URL }}\n"
        "tenants { key tenant_id uuid; list `SELECT id FROM tenants ORDER BY id` }\n"
        f"entity Thing in app.{q(table)} {{\n" + "\n".join(lines) + "\n}\n"
        "change Thing {\n" + "\n".join(operations) + "\n}\n"
    )


@st.composite
def _operation(draw: st.DrawFn, tenant: str, column: Column, fresh: list[str]) -> list[str]:
    """Nothing or one operation on a column; a new name is taken out of `fresh`."""
    name, (wider, value) = q(column.name), TYPES[column.type]
    choices = [
        [],
        [f"  index ({q(tenant)}, {name})"],
        [f"  check `{s(column.name)} IS NULL OR {s(column.name)} IS NOT NULL` as {q('c' + column.name[:50])}"],
        [f"  default {name} `{value}`"],
        [f'  comment {name} "what\'s {{this}} \\\\ %s"'],
        [f"  retype {name} {wider} after 20d"],
    ]
    if column.type not in ("boolean",):
        choices.append([f"  unique ({q(tenant)}, {name})"])
    if column.nullable:
        # A column that was required comes back empty, and can't be required again before somebody fills it.
        choices.append([f'  drop {name} irreversible because "never read"'])
        choices.append([f"  require {name} {{ from `{value}` }}"])
    else:
        choices.append([f"  optional {name} {{ back `{value}` }}"])
    if fresh:
        to = fresh[0]
        new = q(to)
        carried = f"from `{s(column.name)}`; back {name} = `{s(to)}`"
        choices += [
            [f"  rename {name} to {new} after 20d"],
            [f"  add {new} {column.type}{'?' if column.nullable else ''} {{ {carried} }}", f"  drop {name} after 20d"],
            [f"  add {new} {column.type}{'?' if column.nullable else ''} {{ {carried} }}"],
            [f"  add {new} {column.type} default `{value}`"],
            [f"  add {new} {column.type}?"],
        ]
    chosen: list[str] = draw(st.sampled_from(choices))
    if fresh and any(q(fresh[0]) in line for line in chosen):
        fresh.pop(0)
    return chosen
