"""MIG74x, output: why a database isn't moved, forwards or back, and what stopped on the way."""

from __future__ import annotations

from migdsl.diagnostics.code import Code
from migdsl.diagnostics.model import Severity

CODES: tuple[Code, ...] = (
    Code(
        id="MIG740",
        severity=Severity.ERROR,
        title="the database can't be moved from where it is",
        why="""\
`migdsl apply`, `status` and `rollback` go by the revisions on disk and by the one that the database is at. That revision \
must be among those on disk, the phase among those of the plan, and the environment that `--alembic-config` names must \
connect to the database of `--url`: it is asked for a lock that the other connection holds. One process moves a migration \
at a time. Alembic itself comes with `pip install 'migdsl[apply]'`.""",
        bad="""\
# the database is at 9c41d7e, and no file in db/versions has that revision
database app { engine postgresql 15; url env DATABASE_URL; migrations "db/versions" after "1f0c2ab" }""",
        good="""\
# git pull brought db/versions/9c41d7e_add_index.py
database app { engine postgresql 15; url env DATABASE_URL; migrations "db/versions" after "1f0c2ab" }""",
        fix="none",
    ),
    Code(
        id="MIG741",
        severity=Severity.ERROR,
        title="the way back is barred",
        why="""\
`migdsl rollback` takes a phase's revision back only where nobody is hurt by it. What was written to a plain new column is \
lost with it, and a dropped column without a `back` comes back empty: `--lose` says that this is meant. Code that \
reads or writes the new columns must be off them first, so the flag goes back before the database does; a revision \
that has run keeps its file meanwhile, by `--through PHASE`. Other people's revisions that stand on ours would be \
taken back too: that is theirs to decide, with Alembic itself.""",
        bad="""\
# migdsl rollback users.mig --to prepare, while tenants read the new column
flag users_email { stage live for all }""",
        good="""\
# deployed and recorded; then migdsl rollback users.mig --to prepare
flag users_email { stage off for all }""",
        fix="none",
    ),
    Code(
        id="MIG742",
        severity=Severity.ERROR,
        title="a step of the walk failed",
        why="""\
Alembic or the database stopped a revision. What was done before it stays, and each step can be run again: mend the cause, \
then run the same command once more. The message is PostgreSQL's own, without what may show a row's values. Locks that \
somebody else held for minutes and lost connections have been tried several times already.""",
        bad="""\
# a role without the right to create tables runs: migdsl apply users.mig --to expand
database app { engine postgresql 15; url env DATABASE_URL }""",
        good="""\
# DATABASE_URL names the role that owns the tables
database app { engine postgresql 15; url env DATABASE_URL }""",
        fix="none",
    ),
    Code(
        id="MIG743",
        severity=Severity.ERROR,
        title="the database isn't far enough for this stage",
        why="""\
Each stage of the flag rests on what a phase has done: nobody writes twice before expand, shadow reads need the backfill, \
and live needs old and new proven equal. While second writes that failed wait for their repair, or what is to be carried to \
another database has waited for longer than `lag at most`, readers don't change sides. `migdsl rollout` with `--url` looks, \
and refuses a move that the database isn't ready for. Take the phase first, with `migdsl apply`, repair, or drain; `--force` \
where you know better.""",
        bad="""\
# the database is at expand: no row from before has the new column filled
flag users_email { stage shadow for all }""",
        good="""\
# migdsl apply users.mig --to backfill has run
flag users_email { stage shadow for all }""",
        fix="none",
    ),
)
