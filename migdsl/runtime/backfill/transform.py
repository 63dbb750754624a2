"""Turns a batch's rows into a Python function's answers, written back in one statement.

The function is the user's own: `def email(rows: Sequence[Mapping[str, object]]) -> Sequence[object]`. It is given rows as
column → value, in chunks, and returns one value a row, in their order. It may be called again with the same rows, so it must
give the same for the same. None is no answer: it would look like a row that isn't filled yet.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import psycopg
from psycopg.adapt import PyFormat, Transformer

from migdsl.runtime.errors import RowsRefusedError, UsageError, unloadable
from migdsl.runtime.sql import Statement, bind_names, statement

if TYPE_CHECKING:
    from migdsl.runtime.database import Transaction

Rows = Sequence[Mapping[str, object]]
Function = Callable[[Rows], Sequence[object]]

# Rows that were changed while Python thought are read again; who changes them that often is left to the next run.
_ROUNDS: Final = 3
# The server ends a session that is silent in a transaction; a word in between tells it that somebody is there.
_SILENT_S: Final = 5.0
_WORD: Final = Statement("SELECT 1", ())


@dataclass(frozen=True, slots=True)
class Transform:
    """A function (`module:function`) that computes a column from `inputs`, `chunk` rows at a time.

    `document`: the column holds JSON, so that a list is no array, and a text is one in quotes.

    `write` fills the rows named by `:key_1` … with `:answer`, where they still are as `:input_1` … say: each parameter is an
    array of texts. Raises ValueError when `write` has other parameters.
    """

    function: str
    inputs: tuple[str, ...]
    write: str
    chunk: int = 200
    document: bool = False

    def __post_init__(self) -> None:
        module, _, name = self.function.partition(":")
        if not module or not name:
            raise ValueError(f"a function is named module:function, not {self.function!r}")
        found = set(bind_names(self.write)[1])
        keys = {name for name in found if name.startswith("key_")}
        inputs = {f"input_{n}" for n in range(1, len(self.inputs) + 1)}
        if not keys or found - {"tenant_id"} != {*keys, *inputs, "answer"}:
            raise ValueError("write must use :key_1 …, an :input_1 … for each input, and :answer")

    def load(self) -> Function:
        """The function itself. Raises UsageError where it can't be imported, or is none."""
        module, _, name = self.function.partition(":")
        here = str(Path.cwd())
        if here not in sys.path:
            # A job is run as a file, whose folder Python looks in; the application is where the job is run from.
            sys.path.append(here)
        try:
            found = attrgetter(name)(importlib.import_module(module))
        except Exception as error:  # noqa: BLE001 (an application's import may fail in any way)
            raise UsageError(
                f"can't import {self.function} ({unloadable(error)}): run the job where your application can be imported, "
                "from its folder, or with PYTHONPATH set"
            ) from None
        if not callable(found):
            raise UsageError(f"{self.function} is no function, but a {type(found).__name__}")
        return cast("Function", found)


@dataclass(slots=True)
class Filler:
    """Works a transform's batches off: `read` gives the rows of a range that need a value, its key first, then the inputs."""

    transform: Transform
    read: Statement
    _write: Statement = field(init=False)
    _function: Function | None = None

    def __post_init__(self) -> None:
        self._write = statement(self.transform.write)

    def prepare(self) -> None:
        """Imports the function. Raises UsageError where that can't be done."""
        if self._function is None:
            self._function = self.transform.load()

    def fill(self, tx: Transaction, span: Mapping[str, str | None]) -> int:
        """Fills the rows of a range that need it; how many it wrote.

        Raises RowsRefusedError, which holds no value, where the function fails or has no answer; psycopg.Error.
        """
        self.prepare()
        written = 0
        for _ in range(_ROUNDS):
            texts, rows = self._rows(tx, span)
            if not rows:
                break
            columns = list(zip(*texts, strict=True))
            answers = [self._text(answer) for answer in self._answers(tx, rows)]
            done = tx.run(self._write, {"tenant_id": span.get("tenant_id"), **self._arrays(columns, answers)})
            written += done
            if done == len(rows):
                break
        return written

    def _rows(self, tx: Transaction, span: Mapping[str, str | None]) -> tuple[list[tuple[str | None, ...]], Rows]:
        """The rows in PostgreSQL's text form, which is compared again later, and their inputs as Python's values."""
        texts = tx.rows(self.read, span)
        inputs = len(self.transform.inputs)
        found = tx.cursor.fetchall()
        return texts, [dict(zip(self.transform.inputs, row[len(row) - inputs :], strict=True)) for row in found]

    def _answers(self, tx: Transaction, rows: Rows) -> list[object]:
        answers: list[object] = []
        heard = time.monotonic()
        for start in range(0, len(rows), self.transform.chunk):
            if time.monotonic() - heard > _SILENT_S:
                tx.rows(_WORD)
                heard = time.monotonic()
            answers += self._ask(rows[start : start + self.transform.chunk])
        return answers

    def _ask(self, rows: Rows) -> Sequence[object]:
        name = self.transform.function
        assert self._function is not None
        try:
            answers = list(self._function(rows))
        except Exception as error:  # noqa: BLE001 (a person's function may fail in any way)
            # What it says may quote a row: its class alone is told, and the chain with the values in it ends here.
            raise RowsRefusedError(type(error).__name__, f"{name} fails on the row") from None
        if len(answers) != len(rows):
            raise UsageError(
                f"{name} must return one value a row: it was given {len(rows)} rows, and returned {len(answers)}"
            )
        return answers

    def _arrays(self, columns: list[tuple[str | None, ...]], answers: list[str]) -> dict[str, str | None]:
        keys = len(columns) - len(self.transform.inputs)
        found = {f"key_{n}": array(column) for n, column in enumerate(columns[:keys], 1)}
        found |= {f"input_{n}": array(column) for n, column in enumerate(columns[keys:], 1)}
        return {**found, "answer": array(answers)}

    def _text(self, answer: object) -> str:
        """An answer as PostgreSQL reads a value of its type."""
        name = self.transform.function
        if answer is None:
            raise RowsRefusedError("NoAnswer", f"{name} returns None for the row")
        text = _document(answer) if self.transform.document else _plain(answer)
        if text is None:
            kind = type(answer).__name__
            raise RowsRefusedError("NoAnswer", f"{name} returns a {kind}, which is no value that the column can hold")
        if "\x00" in text:
            raise RowsRefusedError(
                "NoAnswer", f"{name} returns a text with a zero byte, which PostgreSQL has no room for"
            )
        return text


def array(values: Sequence[str | None]) -> str:
    """Texts as one of PostgreSQL's array literals."""
    return "{" + ",".join("NULL" if value is None else _quoted(value) for value in values) + "}"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _document(answer: object) -> str | None:
    try:
        return json.dumps(answer)
    except (TypeError, ValueError):
        return None


def _plain(answer: object) -> str | None:
    if isinstance(answer, str):
        return answer
    try:
        dumped = Transformer().get_dumper(answer, PyFormat.TEXT).dump(answer)
        return None if dumped is None else bytes(dumped).decode("utf-8")
    except (psycopg.Error, ValueError, TypeError):
        return None
