"""MIG0xx, syntax: what can be wrong before any name has a meaning."""

from __future__ import annotations

from migdsl.diagnostics.code import Code
from migdsl.diagnostics.model import Severity

CODES: tuple[Code, ...] = (
    Code(
        id="MIG001",
        severity=Severity.ERROR,
        title="this was not expected here",
        why="""\
The compiler knows what may stand at this place, and this is something else. The message names what may stand here. \
Often the cause is just before the place shown: a missing name, a missing `{`, or a statement that was meant to end.

A statement ends at the end of its line, at `;` or before `}`. It goes on to the next line only after a `,`, after \
`and` or `or`, or inside parentheses.""",
        bad="""\
change User {
  add contact_email
}""",
        good="""\
change User {
  add contact_email text?
}""",
        fix="safe",
    ),
    Code(
        id="MIG002",
        severity=Severity.ERROR,
        title="a string or a piece of SQL never ends",
        why="""\
A string ends with `"` on the line where it began. SQL ends with a backtick, on the same line or on a later one. \
Without the end, everything that follows would be taken for text, so the compiler stops reading at the beginning of \
the string and not where the damage shows.

A backtick inside SQL is written twice. A quote inside a string is written `\\"`.""",
        bad="""\
change User {
  add contact_email text {
    from `coalesce(email, username)
  }
}""",
        good="""\
change User {
  add contact_email text {
    from `coalesce(email, username)`
  }
}""",
        fix="none",
    ),
    Code(
        id="MIG003",
        severity=Severity.ERROR,
        title="a brace or parenthesis has no partner",
        why="""\
Every `{` needs its `}` and every `(` its `)`. The message shows the one that was opened and, where it can be told, \
the place where it should have been closed: the lines' indentation is used for that guess, so look there first.""",
        bad="""\
change User {
  add contact_email text? {
    from `email`
  drop old_settings after 30d irreversible because "unread for years"
}""",
        good="""\
change User {
  add contact_email text? {
    from `email`
  }
  drop old_settings after 30d irreversible because "unread for years"
}""",
        fix="none",
    ),
    Code(
        id="MIG004",
        severity=Severity.ERROR,
        title="this file can't be read as text",
        why="""\
A `.mig` file is UTF-8 text. This one doesn't exist, may not be read, is not a file, or has bytes that are not UTF-8: \
it was saved in another encoding, or it is no text at all. The compiler doesn't guess an encoding, because a wrong \
guess would change names and SQL without a word.

To convert a file that was saved as Latin-1: `iconv -f latin1 -t utf-8 old.mig > new.mig`.""",
        bad="""\
# saved as Latin-1, so the last letter of the owner is the single byte E9
migration users_email { ticket "MIG-77"; owner "caf\N{REPLACEMENT CHARACTER}" }""",
        good="""\
# saved as UTF-8
migration users_email { ticket "MIG-77"; owner "caf\N{LATIN SMALL LETTER E WITH ACUTE}" }""",
        fix="none",
    ),
    Code(
        id="MIG005",
        severity=Severity.ERROR,
        title="there is nothing to compile",
        why="""\
The file is empty, has only comments, or declares things without saying what becomes of them. There must be one \
`migration` and something that it changes; only `migdsl fmt` accepts a file without. The example is the shortest file \
to start from.""",
        bad="""\
# to be written""",
        good="""\
migration users_phone {
  ticket "MIG-78"
}

database app {
  engine postgresql 15
  url    env DATABASE_URL
}

tenants {
  key  tenant_id uuid
  list `SELECT id FROM tenants ORDER BY id`
}

entity User in app.users {
  id         bigint key
  tenant_id  uuid   tenant
}

change User {
  add phone text? pii
}""",
        fix="none",
    ),
    Code(
        id="MIG006",
        severity=Severity.ERROR,
        title="this is nested too deeply, or goes on for too long",
        why="""\
Blocks and parentheses may stand inside each other, but not without end, and a statement has at most 50,000 words: a \
file like this is nearly always the output of a program gone wrong, and reading it could exhaust the compiler's memory. \
Write the condition or expression with fewer parentheses, give a part of it a name, or write it as several statements.""",
        bad="""\
change User {
  add contact_email text? {
    from `((((((((((((((((((((((((((((((((((((email))))))))))))))))))))))))))))))))))))` # and so on
  }
}""",
        good="""\
change User {
  add contact_email text? {
    from `email`
  }
}""",
        fix="none",
    ),
    Code(
        id="MIG007",
        severity=Severity.ERROR,
        title="this release can't do that yet",
        why="""\
The words are part of the language, and the compiler understood them, but this release has no safe way to carry them \
out. It refuses rather than leave a part of your migration out without telling you. The changelog says what each \
release can do.

What can be done today is often enough: switch reads and writes of one table together, say, and keep the rest for a \
later migration.""",
        bad="""\
cutover { writes after reads }""",
        good="""\
cutover { writes with reads }""",
        fix="none",
    ),
    Code(
        id="MIG008",
        severity=Severity.ERROR,
        title="this value is not written the way it must be",
        why="""\
Values have one spelling each, so that nobody has to guess a unit: durations `250ms` `30s` `5m` `24h` `7d`, counts \
`500k` `5M` `1_000`, percentages `0.1%`, strings in `"` with JSON's escapes (`\\n`, `\\"`, `\\u00e9`). A \
number and its unit are written together.""",
        bad="""\
change User {
  drop old_settings after 1month irreversible because "unread for years"
}""",
        good="""\
change User {
  drop old_settings after 30d irreversible because "unread for years"
}""",
        fix="safe",
    ),
    Code(
        id="MIG009",
        severity=Severity.ERROR,
        title="there is more than one migration",
        why="""\
A file makes one migration: one plan, one chain of revisions, one flag, one way back. With two headers it can't be \
said which of them a change belongs to, and rolling one back would roll back the other. Put each migration in its own \
file, and declare in each what it needs.""",
        bad="""\
migration users_email { ticket "MIG-77" }
migration users_phone { ticket "MIG-78" }""",
        good="""\
migration users_email { ticket "MIG-77" }
# users_phone has its own file""",
        fix="none",
    ),
    Code(
        id="MIG010",
        severity=Severity.WARNING,
        title="there are more problems than are shown",
        why="""\
One slip can make hundreds of lines look wrong, and a list that long helps nobody. The first problems are shown; the \
rest may well go away with them. Mend what is shown, from the top, and run the command again.""",
        bad="""\
entity User in app.users {
  id bigint kee
  tenant_id uuid tennant
  # ... and a hundred lines more like these
}""",
        good="""\
entity User in app.users {
  id         bigint key
  tenant_id  uuid   tenant
}""",
        fix="none",
    ),
    Code(
        id="MIG011",
        severity=Severity.ERROR,
        title="a column with the name of a directive must be quoted",
        why="""\
At the start of a statement a word such as `key`, `unique`, `index`, `check` or `rows` is the directive of that name. \
A column may be called so too, but then its name stands in double quotes, as it would in SQL. The quotes are not part \
of the name.""",
        bad="""\
entity Page in app.pages {
  id         bigint key
  tenant_id  uuid   tenant
  index      integer
}""",
        good="""\
entity Page in app.pages {
  id         bigint key
  tenant_id  uuid   tenant
  "index"    integer
}""",
        fix="safe",
    ),
    Code(
        id="MIG012",
        severity=Severity.ERROR,
        title="this block has no such setting",
        why="""\
Each block has its own settings, and this word is none of them. It may be misspelt, or belong to another block. A \
setting that nobody reads would be worse than an error: you would believe it to be in force.""",
        bad="""\
migration users_email {
  tickt    "MIG-77"
  canary   "7f1f9a52-53f0-4d0e-9f0a-0d8f4a1f3c11"
}""",
        good="""\
migration users_email {
  ticket   "MIG-77"
}
cutover {
  canary   "7f1f9a52-53f0-4d0e-9f0a-0d8f4a1f3c11"
}""",
        fix="safe",
    ),
    Code(
        id="MIG013",
        severity=Severity.ERROR,
        title="this is set twice",
        why="""\
The setting can have one value, and here are two. The compiler takes neither the first nor the last, because whoever \
reads the file would have to know which one wins. Keep the one that is meant.""",
        bad="""\
migration users_email {
  downtime none
  ticket   "MIG-77"
  downtime allowed
}""",
        good="""\
migration users_email {
  ticket   "MIG-77"
  downtime none
}""",
        fix="safe",
    ),
    Code(
        id="MIG014",
        severity=Severity.ERROR,
        title="a file that is used can't be read",
        why="""\
`use` brings the declarations of another file in: databases, tenants and entities that several migrations share. The \
path is relative to the file that says it, with `/` on every system. Nothing that depends on the missing file is \
checked until it is there, since every name of it would be unknown.""",
        bad="""\
use "shared/shema.mig"
migration users_email { ticket "MIG-77" }""",
        good="""\
# use "shared/schema.mig", which is there
migration users_email { ticket "MIG-77" }""",
        fix="none",
    ),
    Code(
        id="MIG015",
        severity=Severity.ERROR,
        title="a file that is used stands outside the project",
        why="""\
A migration is reviewed with all that it uses, and compiles to the same files on every machine. So a path is relative, \
and doesn't leave the project: neither by `..` nor through a symbolic link. The project is the nearest folder above \
the main file with a `pyproject.toml`, a `.git` or a `migdsl.toml`, else the main file's own folder; `--root DIR` says it \
outright.""",
        bad="""\
use "/home/me/schema.mig"
migration users_email { ticket "MIG-77" }""",
        good="""\
use "shared/schema.mig"
migration users_email { ticket "MIG-77" }""",
        fix="none",
    ),
    Code(
        id="MIG016",
        severity=Severity.ERROR,
        title="files use each other in a circle",
        why="""\
A file that uses another says that it builds on it; two that build on each other have no order. The message shows the \
whole circle. Put what both need into a file that uses neither. (Two files that both use a third are no circle.)""",
        bad="""\
# in shared/accounts.mig, which shared/users.mig uses
use "users.mig"
entity Account in app.accounts { id bigint key; tenant_id uuid tenant }""",
        good="""\
# in shared/accounts.mig; what both need is in shared/database.mig
use "database.mig"
entity Account in app.accounts { id bigint key; tenant_id uuid tenant }""",
        fix="none",
    ),
    Code(
        id="MIG017",
        severity=Severity.ERROR,
        title="a file that is used is a migration of its own",
        why="""\
One compile is one migration. A file with a `migration` says what shall become of its entities, and others that used it \
could not tell whether that has happened. Move what is shared into a file without a migration. A migration that is \
finished may be used for its databases and tenants; its changed entities are shown there as they were before, so use the \
file that `migdsl finish` put them into.""",
        bad="""\
use "users_email.mig"
migration users_phone { ticket "MIG-78" }""",
        good="""\
use "schema.mig"
migration users_phone { ticket "MIG-78" }""",
        fix="none",
    ),
    Code(
        id="MIG018",
        severity=Severity.ERROR,
        title="a document is not JSON",
        why="""\
A ticket and an integration plan are JSON, as trackers and other tools write it: names and texts in double quotes, no \
comments, no comma behind the last value, no name twice. The place of the first mistake is shown; what follows it can't \
be judged. `migdsl` reads UTF-8.""",
        bad="""\
migration users_email { ticket file "tickets/MIG-77.json" }   # which ends in the middle""",
        good="""\
migration users_email { ticket file "tickets/MIG-77.json" }""",
        fix="none",
    ),
    Code(
        id="MIG019",
        severity=Severity.ERROR,
        title="a document is no ticket, or no integration plan",
        why="""\
A plan is made from what these documents say, so they have a shape: `schemas/ticket_context.schema.json` and \
`schemas/integration_plan.schema.json` hold it, with a sentence about each field. Something that must be there is missing, or \
is of another kind. A list may be empty; fields that nobody here knows are let through.""",
        bad="""\
migration users_email { ticket file "package.json" }""",
        good="""\
migration users_email { ticket file "tickets/MIG-77.json" }""",
        fix="none",
    ),
)
