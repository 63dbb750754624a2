"""MIG115: what a foreign key points at may be in two rows when PostgreSQL makes it, and which line keeps them apart."""

from __future__ import annotations

from migdsl.diagnostics import Diagnostic, Label, Severity
from migdsl.dialect.comparing import may_point
from migdsl.lint.foreign_keys import Key, column
from migdsl.semantics import referring
from migdsl.semantics.model import CheckedModule
from migdsl.semantics.phrases import listed, pointing
from migdsl.semantics.problems import written
from migdsl.semantics.referring import Around

_UNIQUE = (
    "A foreign key points at the key, or at what a unique is over, column for column. An index with a `where`, or over an "
    "expression, is none."
)
_ASKED = "PostgreSQL asks for what keeps the rows apart when it makes the foreign key."


def wrong(module: CheckedModule, around: Around, key: Key) -> Diagnostic | None:
    """What it points at may be in two rows, or still may when the foreign key comes."""
    if key.phase == referring.BEFORE:
        return None if referring.unique_before(key.parent, key.theirs) else _not_unique(module, around, key)
    since = referring.unique_from(around, key.parent, key.theirs)
    if since is None:
        return _not_unique(module, around, key)
    return _too_late(key, since) if since.order > referring.order(key.phase) else None


def _not_unique(module: CheckedModule, around: Around, key: Key) -> Diagnostic:
    title = f"nothing keeps two rows of `{key.parent.entity}` from having one `{', '.join(key.theirs)}`"
    found = column(around, key, key.parent, key.theirs[0])
    more = (Label(found.span if found is not None else key.parent.span, "neither the key nor unique"),)
    label = Label(key.constraint.span, f"points at {key.shown}")
    return Diagnostic(
        "MIG115", Severity.ERROR, title, label, more, body=_UNIQUE, help=_made_unique(module, around, key)
    )


def _made_unique(module: CheckedModule, around: Around, key: Key) -> str:
    unique, parent = f"unique ({listed(key.theirs)})", written(key.parent.entity)
    if key.phase == referring.BEFORE:
        why = "the database has a key or a unique there, or it wouldn't have the foreign key"
        return f"{why}: declare it in `{key.parent.entity}`: {unique}"
    instead = f"point at its key: {pointing(key.constraint, ())}; or " if _fits_the_key(around, key) else ""
    if key.parent not in module.tables:
        return f"{instead}let the new table have it: {unique}"
    before = ", in a migration of its own, before" if key.phase == "expand" else ""
    help_ = f"{instead}make it unique{before}: change {parent} {{ {unique} }}"
    return f"{help_}; or, where the table has such a unique already, declare it in `{key.parent.entity}`: {unique}"


def _fits_the_key(around: Around, key: Key) -> bool:
    """Whether it could point at the parent's key instead."""
    if len(key.parent.key) != len(key.constraint.columns) or set(key.parent.key) == set(key.theirs):
        return False
    pairs = [
        (column(around, key, key.owner, ours), column(around, key, key.parent, theirs))
        for ours, theirs in zip(key.constraint.columns, key.parent.key, strict=True)
    ]
    return all(here is not None and there is not None and may_point(here.type, there.type) for here, there in pairs)


def _too_late(key: Key, since: referring.Since) -> Diagnostic:
    title = f"{key.shown} is unique from {since.phase} on, and the foreign key would be made in {key.phase}"
    help_ = "make it unique in a migration of its own, before"
    if key.made is None:
        help_ = (
            'say of the unique, too, that old code keeps it: complies because "…"; or leave that out of the foreign key'
        )
    more = (Label(since.span, f"binds in {since.phase}"),)
    label = Label(key.constraint.span, f"made in {key.phase}")
    return Diagnostic("MIG115", Severity.ERROR, title, label, more, body=_ASKED, help=help_)
