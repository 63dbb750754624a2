"""MIG7xx, output: what can go wrong between the plan and the disk."""

from __future__ import annotations

from migdsl.diagnostics.catalog.database import CODES as DATABASE
from migdsl.diagnostics.catalog.executing import CODES as EXECUTING
from migdsl.diagnostics.code import Code
from migdsl.diagnostics.model import Severity

CODES: tuple[Code, ...] = (
    Code(
        id="MIG701",
        severity=Severity.ERROR,
        title="this path leaves the output folder",
        why="""\
Everything that is generated stays under the folder given with `--out` (the current one by default). A path that is \
absolute, climbs out with `..` or goes through a symbolic link to elsewhere could overwrite any file of whoever runs \
the compiler. Use a path inside, and `--out` to say where that is.""",
        bad="""\
database app {
  engine     postgresql 15
  url        env DATABASE_URL
  migrations "../db/versions"
}""",
        good="""\
database app {
  engine     postgresql 15
  url        env DATABASE_URL
  migrations "db/versions"
}""",
        fix="safe",
    ),
    Code(
        id="MIG702",
        severity=Severity.ERROR,
        title="there is a file here that migdsl did not write",
        why="""\
An artifact has the path of a file that is not in the manifest, or that was changed by hand since it was generated. \
It may be somebody's work, so it is not overwritten, and nothing else is written either. Move the file away, \
compile into another folder with `--out`, or say `--force` if the file is not needed.""",
        bad="""\
# docs/migrations/users_email.md was written by a person
migration users_email { ticket "MIG-77" }""",
        good="""\
# docs/migrations/users_email.md was moved to docs/users_email_notes.md
migration users_email { ticket "MIG-77" }""",
        fix="none",
    ),
    Code(
        id="MIG703",
        severity=Severity.ERROR,
        title="two artifacts have the same path",
        why="""\
One would overwrite the other, and which one stays would be chance. Paths that differ only in upper and lower case \
are the same file on some machines, and so are refused too. Paths are made of the migration's and the entities' names: \
give each migration a name of its own, or compile into different folders with `--out`.""",
        bad="""\
# compiled together with another file whose migration is called users_email
migration users_email { ticket "MIG-77" }""",
        good="""\
# compiled together with another file whose migration is called users_email
migration users_phone { ticket "MIG-78" }""",
        fix="none",
    ),
    Code(
        id="MIG704",
        severity=Severity.ERROR,
        title="the generated files are not what the source says",
        why="""\
The files on disk differ from what would be written now: the source was changed and not compiled, somebody edited a \
generated file, or another version of migdsl wrote it. What would be deployed is then not what was reviewed. Run \
`migdsl compile` and commit the result; to change a generated file, change the source.""",
        bad="""\
# changed after the last `migdsl compile`
flag users_email { stage dualwrite for all }""",
        good="""\
# `migdsl compile users.mig` was run, and its files are committed with this line
flag users_email { stage dualwrite for all }""",
        fix="none",
    ),
    Code(
        id="MIG705",
        severity=Severity.ERROR,
        title="the files can't be written",
        why="""\
The folder can't be made, may not be written to, is a file, or the disk is full. Nothing was changed: either all \
files of a migration are written, or none. The message gives the path and the system's reason.""",
        bad="""\
# `db` is a file, not a folder
database app {
  engine     postgresql 15
  url        env DATABASE_URL
  migrations "db/versions"
}""",
        good="""\
database app {
  engine     postgresql 15
  url        env DATABASE_URL
  migrations "alembic/versions"
}""",
        fix="none",
    ),
    Code(
        id="MIG706",
        severity=Severity.ERROR,
        title="the revisions would not be one chain",
        why="""\
The revisions of this migration and the others in that folder must be one chain with one end; with two ends \
`alembic upgrade head` refuses to choose, and in a circle there is no end at all. Files that are compiled together \
count like those on disk. Mostly somebody's revision has come in between: before the first of ours is written, name \
it in `migrations "…" after "…"`; later, a database may be at a revision of ours, so none of them is moved, and the \
next one follows the newcomer: `phase contract { after "9c41d7e" }`. The message shows the line that fits.""",
        bad="""\
# db/versions has 9c41d7e since, which follows 1f0c2ab
database app {
  engine     postgresql 15
  url        env DATABASE_URL
  migrations "db/versions" after "1f0c2ab"
}""",
        good="""\
database app {
  engine     postgresql 15
  url        env DATABASE_URL
  migrations "db/versions" after "9c41d7e"
}""",
        fix="none",
    ),
    Code(
        id="MIG707",
        severity=Severity.ERROR,
        title="a phase that has run would change",
        why="""\
A database that has run a revision never runs it again: whoever changes its statements changes the file and not the \
database, and from then on each new database differs from production. `migdsl diff OLD NEW` takes every phase for run \
that the stages of OLD release, so compare with what is deployed. `migdsl compile` sees one version only and refuses \
once the flag stands further than the stage that released the revision. Comments, blanks and what only decides \
whether a revision may run don't count.

Write what is new into a migration of its own. Where no database has run it after all, or where each was downgraded \
below it, `migdsl compile --force` writes it anew.""",
        bad="""\
# deployed: add contact_email text pii { from `coalesce(email, username)` }
change User {
  add contact_email varchar(320) pii { from `coalesce(email, username)` }
}""",
        good="""\
# users_email.mig stays as it was deployed; this is users_email_length.mig
migration users_email_length { ticket "MIG-78" }
change User {
  require contact_email
}""",
        fix="none",
    ),
    Code(
        id="MIG708",
        severity=Severity.WARNING,
        title="a released revision changes, and a database may have run it",
        why="""\
The statements of a revision change that an earlier compile wrote, and the flag doesn't tell yet whether any database \
has run it. While a pull request is being worked on that is just as it should be. A database that has run the \
earlier text (yours, while you try things out; staging) keeps it until it is downgraded below this revision and \
upgraded again. `migdsl diff OLD NEW` compares with the version that is deployed, and is strict.""",
        bad="""\
# compiled before, and run by staging: add contact_email text pii
change User {
  add contact_email varchar(320) pii { from `coalesce(email, username)` }
}""",
        good="""\
# staging was downgraded first: alembic downgrade users_email_expand@base
change User {
  add contact_email varchar(320) pii { from `coalesce(email, username)` }
}""",
        fix="none",
    ),
    Code(
        id="MIG720",
        severity=Severity.ERROR,
        title="the migration can't be finished",
        why="""\
`migdsl finish` says that the table now is what the migration made of it: it folds the result into the shared entity and \
writes `finished` with the date into the migration's file, which is history from then on. That is true once the contract \
revision has run everywhere, which is what `complete for all` in the flag says (`--force` if you know better). An \
entity that stands in the migration's own file has no shared declaration to fold into: `--into FILE` names the file \
that it goes to.""",
        bad="""\
migration users_email { ticket "MIG-77" }
flag users_email { stage live for all }""",
        good="""\
migration users_email { ticket "MIG-77" }
flag users_email { stage complete for all }""",
        fix="none",
    ),
    Code(
        id="MIG721",
        severity=Severity.ERROR,
        title="this operation can't be folded into the entity",
        why="""\
What the operation has made of the table is not clear from the file, or the entity as it would be doesn't check: an \
index without a name that is dropped, statements of your own. Nothing is written. Change the shared entity by hand (`migdsl \
import` shows what a database has), and then say so with a line of its own in the migration's file.""",
        bad="""\
migration users_index { ticket "MIG-79" }
flag users_index { stage complete for all }""",
        good="""\
migration users_index { ticket "MIG-79" }
flag users_index { stage complete for all }
finished 2027-02-01""",
        fix="none",
    ),
    Code(
        id="MIG709",
        severity=Severity.ERROR,
        title="this placeholder stands for nothing",
        why="""\
Paths may hold {migration}, {database} and, for the files of one entity, {entity}. Any other name in braces would \
stand in the path as it is, and two migrations would write the same file.""",
        bad="""\
output { plan "plans/{ticket}.json" }""",
        good="""\
output { plan "plans/{migration}.json" }""",
        fix="none",
    ),
    Code(
        id="MIG710",
        severity=Severity.ERROR,
        title="this is no plan",
        why="""\
`migdsl report` lays out a plan as `migdsl compile` has written it, by default to `plan/MIGRATION.plan.json`. This file is \
something else, or a plan of another version of migdsl. Compile the source again and name the plan that comes of it.""",
        bad="""\
# migdsl report users.mig --html users.html
migration users_email { ticket "MIG-77" }""",
        good="""\
# migdsl compile users.mig && migdsl report plan/users_email.plan.json --html users.html
migration users_email { ticket "MIG-77" }""",
        fix="none",
    ),
    *DATABASE,
    *EXECUTING,
)
