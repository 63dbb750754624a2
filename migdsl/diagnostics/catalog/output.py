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
output {
  plan "../plans/{migration}.plan.json"
}""",
        good="""\
output {
  plan "plans/{migration}.plan.json"
}""",
        fix="none",
    ),
    Code(
        id="MIG702",
        severity=Severity.ERROR,
        title="there is a file here that migdsl did not write",
        why="""\
An artifact has the path of a file that is not in the manifest, or that was changed by hand since it was generated. \
It may be somebody's work, so it is not overwritten, and nothing else is written either. Move the file away, give the \
artifact another path with `output`, or say `--force` if the file is not needed.""",
        bad="""\
# docs/notes.md was written by a person
output {
  runbook "docs/notes.md"
}""",
        good="""\
output {
  runbook "docs/migrations/{migration}.md"
}""",
        fix="none",
    ),
    Code(
        id="MIG703",
        severity=Severity.ERROR,
        title="two artifacts have the same path",
        why="""\
One would overwrite the other, and which one stays would be chance. Paths that differ only in upper and lower case \
are the same file on some machines, and so are refused too. Put what tells the artifacts apart into the pattern: \
`{migration}`, `{entity}`, `{database}`.""",
        bad="""\
output {
  backfills "backfills/{migration}.py"   # two entities, one path
}""",
        good="""\
output {
  backfills "backfills/{migration}/{entity}.py"
}""",
        fix="unsafe",
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
# `plans` is a file, not a folder
output {
  plan "plans/{migration}.plan.json"
}""",
        good="""\
output {
  plan "plan/{migration}.plan.json"
}""",
        fix="none",
    ),
    Code(
        id="MIG706",
        severity=Severity.ERROR,
        title="another revision has come in between",
        why="""\
The revisions of this migration follow the one named after `after`, but the folder now has a newer one. Two revisions \
with the same predecessor are two heads, and `alembic upgrade head` refuses to choose. The message names the head: \
put it in the line that is shown. If a part of this migration is deployed already, leave that line alone and say it \
for the phase that comes next, as in `phase contract { after "9c41d7e" }`.""",
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
        fix="unsafe",
    ),
)
