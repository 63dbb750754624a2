"""The SQL of revisions, as `alembic --sql` prints it, becomes what squawk has against it."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

ENV = """
from alembic import context

context.configure(url="postgresql://", dialect_name="postgresql", literal_binds=True, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
"""
# Which type a column gets is the author's choice, and no danger.
CHOSEN = (
    "prefer-text-field", "prefer-bigint-over-int", "prefer-bigint-over-smallint", "prefer-identity", "prefer-timestamp-tz",
    "ban-char-field",
)  # fmt: skip
# Squawk sees one file and not that these come when no code is left that could be broken by them.
LATER = (
    "ban-drop-column", "ban-drop-table", "ban-drop-not-null", "ban-drop-constraint", "ban-drop-function",
    "ban-drop-trigger", "renaming-column", "renaming-table",
)  # fmt: skip
# The way back gives what was there before, in tables that nobody uses yet or under a constraint proven by a CHECK.
BACK = (
    "adding-not-nullable-field", "adding-required-field", "constraint-missing-not-valid", "adding-foreign-key-constraint",
)  # fmt: skip


def faults(versions: Path, folder: Path) -> list[str]:
    """Squawk's findings in all revisions of `versions`, both ways; `folder` is an empty one to write in."""
    (folder / "env.py").write_text(ENV, encoding="utf-8")
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("version_locations", str(versions))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    return [
        fault for found in script.walk_revisions() for fault in _of(config, found.revision, found.down_revision, folder)
    ]


def _of(config: Config, revision: str, below: object, folder: Path) -> Iterator[str]:
    low = str(below or "base")
    late = any(word in revision for word in ("contract", "enforce", "validate", "cutover"))
    up = _sql(config, "upgrade", f"{low}:{revision}")
    yield from _linted(up, (*CHOSEN, *(LATER if late else ())), folder / f"{revision}_up.sql")
    down = _sql(config, "downgrade", f"{revision}:{low}")
    yield from _linted(down, (*CHOSEN, *LATER, *BACK), folder / f"{revision}_down.sql")


def _sql(config: Config, verb: str, span: str) -> str:
    config.output_buffer = io.StringIO()
    {"upgrade": command.upgrade, "downgrade": command.downgrade}[verb](config, span, sql=True)
    text = re.sub(r"CREATE TABLE alembic_version \(.*?\);", "", config.output_buffer.getvalue(), flags=re.DOTALL)
    return "\n".join(line for line in text.splitlines() if "alembic_version" not in line)


def _linted(sql: str, off: tuple[str, ...], path: Path) -> Iterator[str]:
    path.write_text(sql, encoding="utf-8")
    squawk = shutil.which("squawk", path=sysconfig.get_path("scripts")) or "squawk"
    command_line = [squawk, "--pg-version", "15", "--reporter", "Json", "-e", ",".join(off), str(path)]
    done = subprocess.run(command_line, capture_output=True, text=True, check=False)
    lines = sql.split("\n")
    for found in json.loads(done.stdout or "[]"):
        yield f"{path.name}: {found['rule_name']}: {lines[found['line']].strip()}"
    if done.returncode not in (0, 1):
        yield f"{path.name}: squawk ended with {done.returncode}: {done.stderr}"
