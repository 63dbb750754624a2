"""The commands become the text of `--help`."""

from __future__ import annotations

USAGE = {
    "apply": "migdsl apply FILE --to PHASE [--url URL] [--yes] [--confirm GATE]... [--wait] [--alembic-config INI] ...",
    "check": "migdsl check FILE... [--against URL] [--fix | --unsafe-fixes] [--diff] [--root DIR] [--format ...] [--strict]",
    "compile": "migdsl compile FILE... [--out DIR] [--root DIR] [--check] [--force] [--through PHASE] [--format ...] [--strict]",
    "diff": "migdsl diff OLD NEW [--sql] [--out DIR] [--root DIR] [--json]",
    "explain": "migdsl explain [CODE | WORD]",
    "finish": "migdsl finish FILE [--date YYYY-MM-DD] [--into FILE] [--diff] [--force] [--root DIR]",
    "fmt": "migdsl fmt FILE... [--check] [--diff]",
    "import": "migdsl import URL|env:NAME [--schema S]... [--table T]... [--out FILE] [--force]",
    "lsp": "migdsl lsp [--stdio]",
    "new": "migdsl new [FILE] [--name NAME] [--ticket ID] [--url URL] [--schema S]... [--table T]... [--change TEXT]...",
    "plan": "migdsl plan FILE [--json] [--through PHASE] [--root DIR]",
    "rehearse": "migdsl rehearse FILE [--rows N] [--tenants N] [--seed N] [--to PHASE] [--url URL] [--json FILE] ...",
    "report": "migdsl report PLAN --html FILE [--force]",
    "rollback": "migdsl rollback FILE --to PHASE [--url URL] [--yes] [--lose] [--alembic-config INI] ...",
    "rollout": "migdsl rollout FILE [--stage STAGE --for WHO] [--record] [--url URL] [--dry-run] [--out DIR] ...",
    "status": "migdsl status FILE [--url URL] [--json] [--watch] [--prometheus URL] [--alembic-config INI] ...",
    "summary": "migdsl summary OLD NEW [--if-changed] [--root DIR]",
}

OVERVIEW = """\
migdsl: from one short .mig file to a checked zero-downtime migration plan and
every file that it names

  migdsl new [FILE]        write a first file, from answers or options
  migdsl compile FILE...   write the plan, revisions, jobs, flags and alerts
  migdsl check FILE...     say what is wrong, write nothing
  migdsl plan FILE         show what would happen, phase by phase
  migdsl diff OLD NEW      show what changes between two versions of a file
  migdsl summary OLD NEW   tell reviewers what changes, in Markdown
  migdsl rehearse FILE     play all of it on a real PostgreSQL, with faults
  migdsl report PLAN       lay a compiled plan out as one HTML page
  migdsl explain CODE      tell more of a diagnostic, or of a word
  migdsl fmt FILE...       lay the files out: blanks and empty lines alone
  migdsl import URL        declare what is in a database
  migdsl finish FILE       fold a migration that is done into its entities
  migdsl lsp               serve an editor (docs/editors.md)

  migdsl apply FILE        walk a database to a phase: revisions, jobs, gates
  migdsl status FILE       show how far a database is, and what is next
  migdsl rollout FILE      move the flag, or record which stage is deployed
  migdsl rollback FILE     walk a database back to a phase

`migdsl COMMAND --help` has the options.

Exit codes:
  0    fine
  1    problems were found, or the output can't be written
  2    drift (compile --check, fmt --check) or a wrong command line
  3    a database failed
  4    waiting: nothing is wrong, run it again later
  130  interrupted
"""

_DATABASE = """\
  --url URL            the database; env:NAME reads it from that variable
                       (default: the variable that the file names); of several
                       databases --url NAME=URL, for each that the variable is
                       not right for
  --alembic-config INI your project's alembic.ini, whose environment then runs
                       the revisions (default: one of our own); of several
                       databases its section is the database's name, or
                       --alembic-config NAME=INI for each
  --out DIR            the folder that was compiled into (default: the current
                       one)
  --through PHASE      as it was compiled
  --root DIR           used files are to be below it (default: the project's
                       folder)
  --ticket F, --integration-plan F  as it was compiled
"""

_BESIDE = """\
  --ticket F           the ticket, as JSON (schemas/ticket_context.schema.json);
                       `ticket file` in the file says the same
  --integration-plan F whom it meets and what was agreed on, as JSON
                       (schemas/integration_plan.schema.json)
"""

_WIDE = 80


def _usage(command: str) -> str:
    """How a command is typed, in lines that a small terminal shows whole."""
    lines, indent = [""], " " * len("usage: migdsl ")
    for part in USAGE[command].replace(" [", "\n[").split("\n"):
        if len(lines[-1]) + len(part) + len("usage: ") >= _WIDE:
            lines.append(indent + part)
        else:
            lines[-1] = f"{lines[-1]} {part}" if lines[-1] else part
    return "\n".join(lines)


COMMANDS = {
    "apply": f"""\
usage: {_usage("apply")}

Walk the database to a phase: the revisions by Alembic, then the jobs, each
phase only once what it waits for holds. Each step is recorded, and each can be
run again: after a crash, or where something had to be waited for (exit code 4),
run the same command again. Says what it will do and asks.

  --to PHASE           how far
  --yes                don't ask
  --confirm GATE       a person says that this condition holds, of which no
                       database knows (may be given several times)
  --wait               look again each minute until what is waited for holds
  --carry              where rows go to another database: carry them over here
                       while this lasts, if no sync job does
  --prometheus URL     ask this Prometheus for what only your monitoring knows
{_DATABASE}""",
    "check": f"""\
usage: {_usage("check")}

Say all that is wrong with the files. Nothing is written, unless fixes are asked
for; then the exit code is that of what is left.

  --against URL        compare the entities with a live PostgreSQL too; env:NAME
                       reads the URL from that variable, and where the file
                       declares several databases, NAME=URL says whose it is
                       (once for each)
  --format FORMAT      text for people (default), json for programs, sarif for
                       code scanning, github for annotations
  --fix                mend what has a safe fix: what is misspelt, said twice or
                       without effect
  --unsafe-fixes       mend also what a person might mend otherwise; look at the
                       result
  --diff               show what the fixes would change, and write nothing
  --root DIR           used files are to be below it (default: the project's
                       folder)
  --strict             warnings count as errors
{_BESIDE}""",
    "compile": f"""\
usage: {_usage("compile")}

Write every file of each migration, or none where anything is wrong. A file that
migdsl didn't write is never touched.

  --out DIR            the folder for all files (default: the current one)
  --check              write nothing; show what differs, and exit 2 if anything
                       does
  --through PHASE      release the revisions up to this phase, whatever the
                       flag's stage says (prepare, expand, backfill, validate,
                       cutover, enforce, contract)
  --force              overwrite files that migdsl didn't write, and take
                       released revisions away
  --format FORMAT      text for people (default), json for programs, sarif for
                       code scanning, github for annotations
  --root DIR           used files are to be below it (default: the project's
                       folder)
  --strict             warnings count as errors
{_BESIDE}""",
    "diff": f"""\
usage: {_usage("diff")}

Show what changes between two versions of a file: steps, stages of the flag,
rollout, tenants, entities. Layout, comments and the order of declarations don't
count. Exit code 1 where a phase that has run would change, or the flag skips a
stage: put what is new into a migration of its own. A phase has run where the
stages of OLD release it, so OLD is the version that is deployed:

  git show origin/main:users.mig | migdsl diff - users.mig

  --sql                show the SQL of each step that differs
  --out DIR            phases whose revisions stand in that folder have run too
  --root DIR           the project's folder, which used files don't leave
  --json               all of it as canonical JSON
                       (schemas/plan_diff.schema.json)
""",
    "explain": f"""\
usage: {_usage("explain")}

Tell what a diagnostic means and what to do about it, or what a word of the
language says; with neither, list all diagnostics.
""",
    "finish": f"""\
usage: {_usage("finish")}

Say that a migration is done, once its flag is `complete for all` and contract
has run everywhere. Its entities become the tables as they are now, in the file
that it uses; the migration's own file gets a line `finished DATE`, is history
from then on, and is compiled no more. All files are written, or none.

  --date YYYY-MM-DD    the day (default: today)
  --into FILE          where entities go that stand in the migration's own file
  --diff               write nothing; show what would change
  --force              whatever the flag says, and without the operations that
                       nothing can be told of
  --root DIR           as in check
""",
    "fmt": f"""\
usage: {_usage("fmt")}

Lay the files out, in place. Blanks, empty lines and the `;` between statements
may change and nothing else: comments, strings, SQL and the kind of line ends
stay. A file with syntax errors is left alone. `-` reads the standard input and
writes to the standard output.

  --check              write nothing; exit 2 if anything would change
  --diff               write nothing; show what would change
""",
    "import": f"""\
usage: {_usage("import")}

Declare every table of a live PostgreSQL, in one read-only transaction. What the
language has no words for stands there as a comment, and what was guessed
(tenants, personal data) says `# guess`. The URL itself is in no output;
env:NAME reads it from that variable.

  --schema S           only this schema's tables (may be given several times)
  --table T            only this table, `table` or `schema.table` (may be given
                       several times)
  --out FILE           write a new file (default: print it)
  --force              overwrite the file
""",
    "lsp": f"""\
usage: {_usage("lsp")}

Serve one editor on standard input and output, by the Language Server Protocol:
diagnostics as one types, hover, completion, definition, references, rename,
formatting. Editors start it themselves (docs/editors.md). Needs migdsl[lsp].

  --stdio              what it does anyway; editors like to say it
""",
    "new": f"""\
usage: {_usage("new")}

Write a first file, in which `check` finds no error. What the options leave open
is asked on a terminal, and left out without one; an empty answer takes what
stands in brackets. A file that is there is never touched.

  --name NAME          the migration's name (default: the file's)
  --ticket ID          who asks for it
  --url URL            declare what is in this PostgreSQL; env:NAME reads the
                       URL from that variable
  --schema S, --table T  only these, as in import; without a database, the
                         tables to begin with
  --change TEXT        an entity and what is to change of it: "User add nickname
                       text?" (may be given several times)
""",
    "plan": f"""\
usage: {_usage("plan")}

Show what would happen, phase by phase, with locks, costs and exit criteria.
Nothing is written.

  --json               the plan as canonical JSON
  --through PHASE      as in compile
  --root DIR           used files are to be below it (default: the project's
                       folder)
{_BESIDE}""",
    "rehearse": f"""\
usage: {_usage("rehearse")}

Play the whole migration before anybody merges it: the very files that a compile
writes, on a PostgreSQL of our own, under traffic of old and new code, each
phase forward, back and forward again, with a killed backfill, somebody's long
transaction, rows that differ. Says with evidence whether it is safe
(docs/rehearsing.md).

  --rows N             rows a table (default 400)
  --tenants N          tenants, of very unequal size (default 6)
  --seed N             the same rows and requests again (default 1)
  --rate N             requests a second, half of old and half of new code
                       (default 60)
  --to PHASE           only as far as that phase
  --files DIR          the files in DIR as they are, instead of what the file
                       compiles to
  --schema FILE        the tables of a dump (pg_dump -s) instead of those that
                       the entities declare
  --url URL            a scratch database instead of a server of our own: empty,
                       or marked as scratch
  --keep               leave the database for a look, with what starts it
  --json FILE          all that was measured, for programs
  --junit FILE         a test case a verdict
  --markdown FILE      for a pull request
  --html FILE          a page with plots, for people; it needs no network
  --root DIR           as in compile

Exit code 1 where a verdict failed, 3 where no rehearsal could be held.
""",
    "report": f"""\
usage: {_usage("report")}

Lay a plan out as one HTML page for a design review: summary, calendar, systems,
phases with locks and SQL, rollback, proofs. PLAN is the JSON file that compile
writes; SQL and commands come from the files beside it. The page needs no
network.

  --html FILE          where to; `-` is the standard output
  --force              overwrite a file that is no page of migdsl's
""",
    "rollback": f"""\
usage: {_usage("rollback")}

Walk the database back to a phase: revision by revision, each followed by a
reconciliation. Says what it will do and asks. Refused where data would be lost,
where code still rests on what would go, and where other people's revisions
stand above.

  --to PHASE           how far
  --yes                don't ask
  --lose               lose what the plan says is lost
{_DATABASE}""",
    "rollout": f"""\
usage: {_usage("rollout")}

Move the flag in the file, and compile: one line to review. No stage is skipped,
and there is no way back past complete.

  --stage STAGE        off, dualwrite, shadow, live, rampdown or complete
  --for WHO            all (everybody, lines of their own go), canary, 10%, or
                       tenants "ID", "ID"
  --dry-run            write nothing; show what would change
  --record             what stands in the file is deployed: record it in the
                       database, where gates and jobs look
  --force              a move that is refused is meant; also as in compile
{_DATABASE}""",
    "status": f"""\
usage: {_usage("status")}

Show how far the database is: phase, backfills, differences, gates and why they
don't hold, stages, and the next command. Nothing is written. Exit code 1 where
something is wrong, 4 where the next phase has to wait.

  --json               for programs
  --watch              again every two seconds, until interrupted
  --prometheus URL     as in apply
{_DATABASE}""",
    "summary": f"""\
usage: {_usage("summary")}

Tell reviewers what a change of a file means, in Markdown: phases with their
locks and costs, the steps that differ, the flag, what is released, risks, what
is waited for, and the files. It goes by what `plan` and `diff` know. OLD or NEW
may be `-`, /dev/null or an empty file: a file that is new, or gone. Exit code 1
where NEW has errors or may not follow OLD.

  git show origin/main:users.mig | migdsl summary - users.mig

  --if-changed         say nothing where nothing changes
  --root DIR           the project's folder, which used files don't leave
""",
}
