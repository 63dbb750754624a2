"""MIG7xx, output: what can go wrong between the plan and the disk."""

from __future__ import annotations

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
        fix="none",
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
)
