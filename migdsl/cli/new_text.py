"""What somebody wants to begin with becomes the text of a first file: header, declarations, and a change for each entity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migdsl.formatting import format_source
from migdsl.introspect.guess import entity_name
from migdsl.introspect.words import name as written
from migdsl.introspect.words import string
from migdsl.source import SourceFile
from migdsl.syntax import ast, parse
from migdsl.values import Value

_SKELETON = """\
database app {
engine postgresql 16  # yours
url env DATABASE_URL
}

tenants {
key tenant_id uuid  # yours
list `SELECT id FROM tenants ORDER BY id`  # yours
}
"""
_ENTITY = """\
entity {entity} in app.{table} {{
id bigint key  # yours, and the columns that matter
tenant_id uuid tenant
}}
"""
_EXAMPLE = "User"


class Wish(Value):
    """What the file shall say. `changes` are lines like `User add nickname text?`; `declared` is what a database has."""

    name: str
    ticket: str
    tables: tuple[str, ...]
    changes: tuple[str, ...]
    declared: str | None


def first_file(wish: Wish) -> str:
    """The text, laid out. Whether it makes sense is for `check` to say."""
    declared = wish.declared if wish.declared is not None else _skeleton(wish)
    ticket = f"ticket {string(wish.ticket)}\n" if wish.ticket else ""
    changes = list(_changes(wish.changes)) or list(_placeholder(declared))
    text = "\n".join([f"migration {wish.name} {{\n{ticket}}}\n", declared, *changes])
    return format_source(SourceFile("", text)).text


def _skeleton(wish: Wish) -> str:
    named = list(dict.fromkeys(line.split()[0] for line in wish.changes if line.strip()))
    tables = [(entity_name(table.rpartition(".")[2]), _place(table)) for table in wish.tables]
    known = {entity for entity, _ in tables}
    tables += [
        (entity, f"{entity.lower()}s") for entity in named or ([] if tables else [_EXAMPLE]) if entity not in known
    ]
    return "\n".join([_SKELETON, *(_ENTITY.format(entity=entity, table=table) for entity, table in tables)])


def _place(table: str) -> str:
    return ".".join(written(part) for part in table.split("."))


def _changes(lines: Iterable[str]) -> Iterator[str]:
    """A block for each entity, in the order in which they are named first."""
    operations: dict[str, list[str]] = {}
    for line in lines:
        entity, _, operation = line.strip().partition(" ")
        operations.setdefault(entity, []).append(operation.strip())
    for entity, said in operations.items():
        yield f"change {entity} {{\n" + "\n".join(said) + "\n}\n"


def _placeholder(declared: str) -> Iterator[str]:
    """Something that is safe for any table, in the first entity; nothing where there is none."""
    entities = [each for each in parse(SourceFile("", declared)).module.declarations if isinstance(each, ast.Entity)]
    if not entities:
        return
    taken = {item.name.text for item in entities[0].items if isinstance(item, ast.Column)}
    free = next(name for name in ("note", *(f"note{number}" for number in range(2, 2000))) if name not in taken)
    yield f"change {entities[0].name.text} {{\nadd {free} text?  # yours\n}}\n"
