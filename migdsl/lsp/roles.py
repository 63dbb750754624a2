"""A place in the grammar becomes what a name there is: whose it is, and whether it is declared or referred to."""

from __future__ import annotations

from migdsl.lsp.walk import Leaf
from migdsl.values import Value


class Role(Value):
    """What a name is: `kind`, whether it is declared here, and where a column or constraint belongs.

    `of` is `own` (the entity, or the API, whose block it is in), `filled` (the one that rows come from) or `target` (the
    entity that was named last in the same statement).
    """

    kind: str
    declares: bool = False
    of: str = ""


def _ref(kind: str, of: str = "") -> Role:
    return Role(kind, declares=False, of=of)


def _def(kind: str, of: str = "") -> Role:
    return Role(kind, declares=True, of=of)


_OWN, _TARGET = _ref("column", "own"), _ref("column", "target")
# By the rule that a name stands in, and by the piece of that rule that it is.
ROLES: dict[tuple[str, int], Role] = {
    ("migration", 1): _def("migration"),
    ("database", 1): _def("database"),
    ("schema", 1): _ref("schema"),
    ("tenant_key", 1): _ref("tenant key"),
    ("tenant_list", 1): _ref("database"),
    ("phase_after", 2): _ref("database"),
    ("entity", 1): _def("entity"),
    ("create", 1): _def("entity"),
    ("table", 0): _ref("database"),
    ("table", 1): _ref("table"),
    ("column", 0): _def("column", "own"),
    ("split_column", 0): _def("column", "own"),
    ("entity_key", 1): _OWN,
    ("constraint_name", 1): _def("constraint", "own"),
    ("index_name", 1): _def("constraint", "own"),
    ("index_part", 0): _OWN,
    ("function_part", 0): _ref("function"),
    ("function_part", 2): _OWN,
    ("index_class", 0): _ref("operator class"),
    ("index_class", 1): _ref("operator class"),
    ("index_include", 1): _OWN,
    ("exclude_part", 0): _OWN,
    ("reference", 0): _OWN,
    ("reference", 2): _ref("entity"),
    ("reference", 3): _TARGET,
    ("legacy", 1): _OWN,
    ("tenant_via", 2): _OWN,
    ("tenant_via", 4): _ref("entity"),
    ("mark_reference", 1): _ref("entity"),
    ("mark_reference", 3): _TARGET,
    ("mark_reference_of", 0): _OWN,
    ("mark_reference_of", 2): _ref("entity"),
    ("mark_reference_of", 4): _TARGET,
    ("type", 0): _ref("type"),
    ("qualified_type", 0): _ref("schema"),
    ("qualified_type", 2): _ref("type"),
    ("quoted_type", 0): _ref("type"),
    ("enum_type", 1): _ref("type"),
    ("change", 1): _ref("entity"),
    ("add", 1): _def("column", "own"),
    ("back_target", 0): _OWN,
    ("unique_with", 1): _OWN,
    ("drop", 1): _OWN,
    ("require", 1): _OWN,
    ("optional", 1): _OWN,
    ("rename", 1): _OWN,
    ("rename", 3): _def("column", "own"),
    ("retype", 1): _OWN,
    ("split", 1): _OWN,
    ("computed", 0): _OWN,
    ("merge", 1): _OWN,
    ("merge", 2): _OWN,
    ("set_default", 1): _OWN,
    ("drop_default", 2): _OWN,
    ("drop_index", 2): _ref("constraint", "own"),
    ("drop_constraint", 2): _ref("constraint", "own"),
    ("extend_enum", 1): _OWN,
    ("rename_table", 3): _ref("table"),
    ("comment_column", 1): _OWN,
    ("replica_identity", 3): _ref("constraint", "own"),
    ("filled", 1): _ref("entity"),
    ("copied", 0): _OWN,
    ("copied", 2): _ref("column", "filled"),
    ("drop_entity", 2): _ref("entity"),
    ("move", 1): _ref("entity"),
    ("moved", 0): _def("column", "own"),
    ("omit", 1): _OWN,
    ("omit_reference", 1): _OWN,
    ("omit_reference", 3): _ref("entity"),
    ("sync", 1): _ref("entity"),
    ("flag", 1): _ref("migration"),
    ("flag_of", 1): _ref("entity"),
    ("boolean_flag", 1): _def("flag"),
    ("backfill", 1): _ref("entity"),
    ("backfill_column", 1): _OWN,
    ("order", 2): _OWN,
    ("using", 4): _OWN,
    ("using", 5): _OWN,
    ("validate", 1): _ref("entity"),
    ("invariant", 1): _def("invariant"),
    ("proof_invariant", 1): _ref("invariant"),
    ("metric", 1): _def("metric"),
    ("comparison", 0): _ref("metric"),
    ("alert", 1): _def("alert"),
    ("gate", 1): _def("gate"),
    ("proof_gate", 1): _ref("gate"),
    ("service", 1): _def("service"),
    ("of_service", 1): _ref("service"),
    ("replace", 1): _def("replacement"),
    ("api", 1): _def("api"),
    ("version", 1): _def("version", "own"),
    ("replaces", 1): _ref("version", "own"),
    ("deprecate", 1): _ref("version", "own"),
    ("sunset", 1): _ref("version", "own"),
    ("affects", 1): _ref("service"),
    ("affects", 2): _ref("service"),
}
# SQL in these is about one row of the entity; in `computed` and `filled_where` of the one that rows come from.
ROWS = frozenset(
    """from back_target drop_back computed moved sql_part entity_check index_where exclude_part exclude_where mark_generated
    sql_literal filled_where sample_top""".split()
)


def role(leaf: Leaf) -> Role | None:
    """What a name, a word or a string that was read there is; None where it is no name of anything."""
    found = ROLES.get((leaf.rule, leaf.at))
    if found is None or leaf.text:
        return None
    if leaf.terminal == "STRING" and found.kind != "invariant" and not {"name", "quoted"} & set(leaf.path):
        return None
    return found
